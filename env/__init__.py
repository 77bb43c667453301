"""`Mania4KChart-v2` and `Mania4KEdit-v2`, the mapper as a policy, refinement by reinforcement learning."""

from __future__ import annotations

from gymnasium import register, registry

__all__ = ["CHART_ENV", "EDIT_ENV", "register_envs"]

CHART_ENV, EDIT_ENV = "Mania4KChart-v2", "Mania4KEdit-v2"


def register_envs() -> None:
    """Make the environments known to gymnasium; importing `env` does it."""
    for name, edit in ((CHART_ENV, False), (EDIT_ENV, True)):
        if name not in registry:
            register(name, entry_point=f"env.gym_api.registration:{'make_edit' if edit else 'make_chart'}")


register_envs()
