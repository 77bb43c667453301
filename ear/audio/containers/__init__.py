"""Containers of audio files, read far enough to decode past damage and to know how much a file should hold."""

__all__ = ["contents", "flac", "mp3", "ogg", "ogg_packets", "wav"]
