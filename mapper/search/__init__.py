"""The closed loop that meets a target: candidates, objective, splicing, inpainting."""

__all__ = [
    "candidate_measures",
    "candidates",
    "closed_loop",
    "inpaint",
    "objective",
    "planned_sampling",
    "splice",
    "splice_kernels",
    "unmet",
]
