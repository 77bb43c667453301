"""File formats: `.osu` and `.osz` read and written, `.osr` replays, `.sm`, `.ssc` and `.qua` read."""

__all__ = [
    "find_file",
    "osr",
    "osu_read",
    "osu_sections",
    "osu_write",
    "osz",
    "parsing",
    "quaver",
    "read",
    "safe_zip",
    "stepmania",
    "written",
]
