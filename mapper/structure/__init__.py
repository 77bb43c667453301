"""Structure of a chart before its rows are sampled: where it begins and ends, bar rhythms, dynamics and holds."""

__all__ = [
    "bars",
    "dynamics",
    "edges",
    "fit",
    "holds",
    "idle_holds",
    "plan",
    "rhythm",
    "rhythm_kernels",
    "row_shares",
    "settings",
]
