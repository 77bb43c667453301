"""Lists ranked 4K maps by osu!'s official API: `python -m mapper.fetch -o maps.json`.

The API gives ids and metadata, not the maps themselves: download those with the game or from the website into a folder,
then build a dataset from it. Credentials come from the environment: make an OAuth application on osu!'s account page
and set OSU_CLIENT_ID and OSU_CLIENT_SECRET.
"""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from chart.model import KEYS
from runtime.atomic_write import save_bytes
from runtime.command import Command, use_utf8
from runtime.errors import ConfigError

API_URL = "https://osu.ppy.sh"
MANIA = 3
"""The game mode's number."""
WAIT_S = 30.0
"""Patience with one answer."""
WHOLE_ANSWER_S = 60.0
"""Patience with one answer that keeps on coming, byte by byte."""
BLOCK_BYTES = 1 << 16
PAUSE_S = 1.0
"""Between requests: the API's terms allow about one a second."""
MAX_ANSWER_BYTES = 20_000_000
STATUSES = ("ranked", "loved", "qualified", "pending", "graveyard", "any")


@dataclass(frozen=True)
class Difficulty:
    """One 4K difficulty of a beatmap set."""

    id: int
    version: str
    stars: float
    length_s: int


@dataclass(frozen=True)
class Found:
    """One beatmapset with 4K difficulties."""

    id: int
    title: str
    artist: str
    creator: str
    bpm: float
    url: str
    difficulties: tuple[Difficulty, ...]


class Api:
    """osu!'s API v2, logged in as an application (client credentials)."""

    def __init__(self, client_id: str, client_secret: str, url: str = API_URL) -> None:
        self.url = url.rstrip("/")
        answer = self._ask(
            "/oauth/token",
            {
                "client_id": client_id,
                "client_secret": client_secret,
                "grant_type": "client_credentials",
                "scope": "public",
            },
        )
        self.token = str(answer.get("access_token", ""))
        if not self.token:
            raise ConfigError(
                f"{self.url}: the API gave no access token; are OSU_CLIENT_ID and OSU_CLIENT_SECRET right?"
            )

    def search(self, query: str, status: str, most: int) -> Iterator[Found]:
        """Beatmapsets with 4K difficulties, newest first, until there are `most`."""
        given, cursor = 0, ""
        while given < most:
            parameters = {"m": str(MANIA), "s": status, "q": f"keys={KEYS} {query}".strip()}
            answer = self._ask(
                "/api/v2/beatmapsets/search", None, parameters | ({"cursor_string": cursor} if cursor else {})
            )
            for one in answer.get("beatmapsets") or []:
                found = _found(one, self.url)
                if found.difficulties and given < most:
                    given += 1
                    yield found
            cursor = str(answer.get("cursor_string") or "")
            if not cursor:
                return
            time.sleep(PAUSE_S)

    def _ask(self, path: str, form: dict[str, str] | None, query: dict[str, str] | None = None) -> dict[str, Any]:
        url = self.url + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        headers = {"Accept": "application/json"}
        if form is None:
            headers["Authorization"] = f"Bearer {self.token}"
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=WAIT_S) as answer:
                body = _read(answer)
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                raise ConfigError(
                    f"{self.url}: the API refused the login ({error.code}); check OSU_CLIENT_ID and OSU_CLIENT_SECRET"
                ) from error
            raise ConfigError(f"{self.url}: the API answered {error.code} {error.reason}; try again later") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise ConfigError(f"{self.url}: cannot reach the API ({reason}); is there a network?") from error
        try:
            if len(body) > MAX_ANSWER_BYTES:
                raise ValueError("too long")
            parsed = json.loads(body)
            if not isinstance(parsed, dict):
                raise ValueError("not an object")
            return parsed
        except ValueError as error:
            raise ConfigError(f"{self.url}: the API's answer cannot be read ({error}); is this osu!'s API?") from error


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The whole body, within `WHOLE_ANSWER_S`. Raises OSError where it ends early or takes longer."""
    deadline_s = time.monotonic() + WHOLE_ANSWER_S
    announced = answer.headers.get("Content-Length", "")
    blocks: list[bytes] = []
    while block := answer.read1(BLOCK_BYTES):
        blocks.append(block)
        if sum(map(len, blocks)) > MAX_ANSWER_BYTES:
            break
        if time.monotonic() > deadline_s:
            raise OSError(f"the answer took longer than {WHOLE_ANSWER_S:.0f} s")
    body = b"".join(blocks)
    if announced.isdecimal() and len(body) < min(int(announced), MAX_ANSWER_BYTES):
        raise OSError(f"the answer ended after {len(body)} of {announced} bytes")
    return body


def _found(one: dict[str, Any], url: str) -> Found:
    try:
        difficulties = [
            Difficulty(int(b["id"]), str(b["version"]), float(b["difficulty_rating"]), int(b["total_length"]))
            for b in one.get("beatmaps") or []
            if b.get("mode_int") == MANIA and round(float(b.get("cs", 0))) == KEYS
        ]
        number = int(one["id"])
        return Found(
            id=number,
            title=str(one.get("title_unicode") or one["title"]),
            artist=str(one.get("artist_unicode") or one["artist"]),
            creator=str(one["creator"]),
            bpm=float(one["bpm"]),
            url=f"{url}/beatmapsets/{number}",
            difficulties=tuple(difficulties),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{url}: a beatmapset in the API's answer cannot be read ({error!r})") from error


def credentials() -> tuple[str, str]:
    """(client id, client secret) of the environment. Raises ConfigError that says how to get them."""
    values = os.environ.get("OSU_CLIENT_ID", ""), os.environ.get("OSU_CLIENT_SECRET", "")
    if not all(values):
        raise ConfigError(
            "OSU_CLIENT_ID and OSU_CLIENT_SECRET are not set: make an OAuth application on "
            "https://osu.ppy.sh/home/account/edit and put its id and secret there"
        )
    return values


@click.command(cls=Command, help="List 4K maps with their metadata by osu!'s official API.")
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="JSON file to write.")
@click.option("--query", default="", help="As in the game's search, for example: stars>4 bpm<200 artist=camellia")
@click.option("--status", type=click.Choice(STATUSES), default="ranked", show_default=True)
@click.option("--most", type=click.IntRange(1), default=500, show_default=True, help="Beatmapsets to list.")
@click.option("--api", default=API_URL, show_default=True, help="Address of the API.")
def main(out: Path, query: str, status: str, most: int, api: str) -> None:
    use_utf8()
    found = []
    for one in Api(*credentials(), api).search(query, status, most):
        found.append(asdict(one))
        click.echo(f"\r{len(found)} beatmapsets", err=True, nl=False)
    click.echo("", err=True)
    save_bytes(out, json.dumps(found, ensure_ascii=False, indent=1).encode())
    click.echo(f"{out}: {len(found)} beatmapsets, {sum(len(one['difficulties']) for one in found)} 4K difficulties")


if __name__ == "__main__":
    main()
