"""Charts sampled from the network: encoding of the song, conditioning, compiled sampler."""

__all__ = [
    "advance",
    "conditioning",
    "encode_song",
    "kernels",
    "motif_noise",
    "row_penalties",
    "sampler",
    "song_analysis",
]
