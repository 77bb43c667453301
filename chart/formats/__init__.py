"""File formats: `.osu`, `.osz`, `.ssc` and `.qua` read and written, `.osr` replays, `.sm`, `.mc` and four-key BMS read."""

__all__ = [
    "find_file",
    "imports",
    "osr",
    "osu_plain_notes",
    "osu_read",
    "osu_sections",
    "osu_write",
    "osz",
    "parsing",
    "quaver",
    "read",
    "rhythm",
    "safe_zip",
    "stepmania",
    "written",
]
