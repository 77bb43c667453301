"""The report page and the pictures of charts."""

__all__ = [
    "canvas",
    "page_data",
    "page_html",
    "page_players",
    "page_song",
    "scene",
    "sound_marks",
]
