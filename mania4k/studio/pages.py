"""The studio's page, and the player that it shares with the report page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from eye.rendering.page_html import SCRIPTS, TEMPLATES, read_template

STATIC = Path(__file__).parent / "static"


@cache
def studio_page() -> str:
    """The page; it holds no data."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([STATIC, TEMPLATES]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("studio.html").render(difficulties=[], left_out=0)


@cache
def player_script() -> str:
    """The report page's scripts but the one that starts it."""
    return "\n".join(read_template(name) for name in SCRIPTS)


@cache
def player_style() -> str:
    """The report page's style."""
    return read_template("page.css")
