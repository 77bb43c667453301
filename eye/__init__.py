"""The Eye: reviews charts with reasons, and shows them. Imports reward, agents, ear and chart."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eye.critique.explanation import ModelReasons
    from eye.critique.types import Finding, Review, Section
    from eye.page import write_page
    from eye.rendering.page_song import SongFile
    from eye.review import review_chart

__all__ = ["Finding", "ModelReasons", "Review", "Section", "SongFile", "review_chart", "write_page"]

_MODULES = {
    "eye.critique.types": ("Finding", "Review", "Section"),
    "eye.page": ("write_page",),
    "eye.rendering.page_song": ("SongFile",),
    "eye.review": ("review_chart",),
    "eye.critique.explanation": ("ModelReasons",),
}


def __getattr__(name: str) -> Any:
    """Names are imported when they are first used, so that a finding can be read without the simulated players."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module 'eye' has no attribute '{name}'")
