"""Training music with known beats, rendered from MIDI, tracker modules and generated pieces."""

__all__ = [
    "accompaniments",
    "electronic",
    "midi",
    "midi_excerpt",
    "module_beats",
    "openmpt",
    "render",
    "render_midi",
    "render_modules",
    "sources",
]
