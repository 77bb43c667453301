"""Proximal policy optimisation on sections of charts, with the penalties that keep the mapper near its pretrained self."""

__all__ = [
    "buffer",
    "chart_rollout",
    "density_bias",
    "hold_penalty",
    "kl_control",
    "ppo",
    "rollout",
]
