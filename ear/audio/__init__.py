"""Audio decoded, and its spectra, onset strength and clock."""

__all__ = [
    "clock",
    "decode",
    "onset",
    "spectrogram",
]
