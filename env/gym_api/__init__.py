"""The gymnasium environments and their vectorised form."""

__all__ = [
    "chart_env",
    "registration",
    "session",
    "vec_env",
]
