"""Open a chart's report page in the browser: `mania4k view map.osz`, or a page that is there already."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

PAGES = (".html", ".htm")


def page_for(path: Path, out: Path | None = None) -> Path:
    """The page to look at: `path` itself, or the chart's page beside it, written anew where it is missing or older."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file (check the name)")
    if path.suffix.lower() in PAGES:
        return path
    from eye.page import PageConfig, page_of_file

    page = out or path.with_suffix(".html")
    if page.is_file() and page.stat().st_mtime >= path.stat().st_mtime:
        return page
    return page_of_file(PageConfig(path, page))


@click.command(cls=Command)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The page to write; default: beside the chart.")
@click.option("--no-open", is_flag=True, help="Only write the page and print where it is.")
def main(path: Path, out: Path | None, no_open: bool) -> None:
    """Watch, read about and play the chart PATH (.osz, .osu, .sm, .ssc, .qua, or a page in .html) in the browser."""
    use_utf8()
    page = page_for(path, out)
    if not no_open and not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser was found; open the page yourself:", err=True)
    click.echo(page)


if __name__ == "__main__":
    main()
