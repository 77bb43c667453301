"""The work beside the server: processes, their tasks, and what becomes of the results."""

__all__ = [
    "jobs",
    "packing",
    "worker",
]
