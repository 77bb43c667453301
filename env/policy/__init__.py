"""The mapper as a policy: decoder with gradients, action heads, distributions."""

__all__ = [
    "action_heads",
    "actions",
    "distributions",
    "sb3_policy",
    "torch_decoder",
]
