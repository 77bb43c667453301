"""The Eye: reviews charts with reasons, and shows them. Imports reward, agents, ear and chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.lazy import lazy_exports

if TYPE_CHECKING:
    from eye.critique.explanation import ModelReasons
    from eye.critique.types import Finding, Review, Section
    from eye.page import write_page
    from eye.rendering.page_song import SongFile
    from eye.review import review_chart

__all__ = ["Finding", "ModelReasons", "Review", "Section", "SongFile", "review_chart", "write_page"]

__getattr__ = lazy_exports(
    __name__,
    {
        "eye.critique.types": ("Finding", "Review", "Section"),
        "eye.page": ("write_page",),
        "eye.rendering.page_song": ("SongFile",),
        "eye.review": ("review_chart",),
        "eye.critique.explanation": ("ModelReasons",),
    },
)
"""Names are imported when they are first used, so that a finding can be read without the simulated players."""
