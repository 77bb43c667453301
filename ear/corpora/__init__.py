"""Training music with known beats: mapped songs, and pieces rendered from MIDI, tracker modules and generators."""

__all__ = [
    "accompaniments",
    "electronic",
    "mapped_songs",
    "midi",
    "midi_excerpt",
    "module_beats",
    "openmpt",
    "render",
    "render_midi",
    "render_modules",
    "sources",
]
