"""Open a chart's report page in the browser: `mania4k view map.osz`, or a page that is there already."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from chart.formats.written import require_replaceable
from runtime.command import Command, OutputFile, use_utf8
from runtime.errors import ConfigError
from runtime.progress import waiting

PAGES = (".html", ".htm")


def page_for(path: Path, out: Path | None = None, overwrite: bool = False) -> Path:
    """The page to look at: `path` itself, or the chart's page: beside it, written anew where it is missing or older, or `out`."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such file (check the name)")
    if path.suffix.lower() in PAGES:
        return path
    from eye.page import PageConfig, page_of_file

    page = out or path.with_suffix(".html")
    require_replaceable(page, overwrite)
    if out is None and not overwrite and page.is_file() and page.stat().st_mtime >= path.stat().st_mtime:
        return page
    return page_of_file(PageConfig(path, page))


@click.command(cls=Command)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=OutputFile(*PAGES), help="The page to write (.html); default: beside the chart.")
@click.option("--overwrite", is_flag=True, help="Replace a page that is there, whoever wrote it.")
@click.option("--no-open", is_flag=True, help="Only write the page and print where it is.")
def main(path: Path, out: Path | None, overwrite: bool, no_open: bool) -> None:
    """Watch, read about and play the chart PATH (.osz, .osu, .sm, .ssc, .qua, or a page in .html) in the browser."""
    use_utf8()
    with waiting("Writing the page"):
        page = page_for(path, out, overwrite)
    if not no_open and not webbrowser.open(page.resolve().as_uri()):
        click.echo("no browser was found; open the page yourself:", err=True)
    click.echo(page)


if __name__ == "__main__":
    main()
