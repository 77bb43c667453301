"""The studio: a local page where a mapper makes, hears, compares and mends a set.

    mania4k studio                     # the start page: drop a song, or try the demo song
    mania4k studio song.mp3            # a new project for a song (or an .osz)
    mania4k studio "song.studio"       # go on with a project

`server` answers the page's requests; `project` keeps what is made, in a folder; `jobs` and `worker` do the work in
other processes. docs/studio.md describes it.
"""

__all__ = [
    "changes",
    "command",
    "desk",
    "guard",
    "pages",
    "results",
    "server",
    "sets",
    "uploads",
    "work",
]
