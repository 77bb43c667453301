"""Audio decoded, and its spectra, onset strength and clock."""

__all__ = [
    "clock",
    "containers",
    "decode",
    "encode",
    "onset",
    "reader",
    "shared",
    "spectrogram",
]
