"""The mapper as a policy: sampler, batches of decisions, action distribution, stable-baselines3 policy."""

__all__ = [
    "action_heads",
    "chart_sampler",
    "decision_kernels",
    "decisions",
    "distributions",
    "draft_sampling",
    "sb3_policy",
]
