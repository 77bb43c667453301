"""The requests of the page: each route is one method of the desk or one function of `changes`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from mania4k.studio import changes, uploads
from mania4k.studio.desk import Desk
from mania4k.studio.pages import STATIC, player_script, player_style, studio_page
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.project import StaleError
from runtime.errors import Mania4KError

Handler = Callable[[Request], Awaitable[Response]]

SONG_TYPES = {
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".flac": "audio/flac",
    ".wav": "audio/wav",
}
IMAGE_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
STATIC_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
PING_S = 15.0
"""An idle event stream is pinged this often, so that closed tabs are noticed."""
CHANGES: dict[str, Callable[[Desk, dict[str, Any]], None]] = {
    "timing": changes.edit_timing,
    "metadata": changes.set_metadata,
    "order": changes.order_difficulties,
    "rewrite": changes.rewrite,
    "take": changes.take,
    "edit": changes.edit_notes,
    "lock": changes.lock,
    "difficulty": changes.set_difficulty,
    "pin": changes.pin,
    "pack": lambda desk, values: changes.pack(desk),
    "undo": lambda desk, values: desk.step(-1, values.get("base")),
    "redo": lambda desk, values: desk.step(1, values.get("base")),
    "open": lambda desk, values: desk.open_listed(values.get("name")),
    "close": lambda desk, values: desk.close(),
    "analyse": lambda desk, values: desk.analyse(),
    "demo": lambda desk, values: desk.new_demo(),
    "cancel": lambda desk, values: desk.present_jobs().cancel(str(values.get("job"))),
    "again": lambda desk, values: desk.present_jobs().again(str(values.get("job"))),
}
"""POST /do/NAME with JSON; answers the new view."""


def application(desk: Desk) -> Starlette:
    """The studio as an ASGI application; put a Guard before it."""
    server = Server(desk)
    routes = [
        Route("/", server.start),
        Route("/static/{name}", server.static),
        Route("/view", answered(server.view)),
        Route("/events", server.events),
        Route("/song", answered(server.song)),
        Route("/background", answered(server.background)),
        Route("/page", answered(server.page)),
        Route("/notes/{digest}", answered(server.notes)),
        Route("/out/{kind}", answered(server.out)),
        Route("/do/{name}", answered(server.change), methods=["POST"]),
        Route("/drop", answered(server.drop), methods=["POST"]),
    ]
    return Starlette(routes=routes)


def answered(handler: Handler) -> Handler:
    """The handler, its errors as one line of JSON: 409 for what came too late, 400 for the rest."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except StaleError as error:
            return JSONResponse({"error": str(error)}, 409)
        except Mania4KError as error:
            return JSONResponse({"error": " ".join(str(error).splitlines())}, 400)

    return endpoint


class Server:
    """Handlers of the studio's HTTP requests."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def start(self, request: Request) -> Response:
        return Response(studio_page(), media_type="text/html; charset=utf-8")

    async def static(self, request: Request) -> Response:
        """Our own scripts and styles, by name; nothing else of the disk."""
        name = request.path_params["name"]
        own = {"player.js": player_script, "player.css": player_style}
        if name in own:
            return Response(own[name](), media_type=STATIC_TYPES[Path(name).suffix])
        if name not in {path.name for path in STATIC.iterdir()} or Path(name).suffix not in STATIC_TYPES:
            return Response("404: no such file\n", 404)
        return Response((STATIC / name).read_bytes(), media_type=STATIC_TYPES[Path(name).suffix])

    async def view(self, request: Request) -> Response:
        return JSONResponse(self.desk.view())

    async def events(self, request: Request) -> Response:
        """Server-sent events: what changed, as it changes."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.desk.listeners.add(queue)

        async def stream() -> AsyncIterator[str]:
            try:
                yield 'data: {"kind": "state"}\n\n'
                while True:
                    try:
                        event = await asyncio.wait_for(queue.get(), PING_S)
                        yield f"data: {json.dumps(event)}\n\n"
                    except TimeoutError:
                        yield ": ping\n\n"
            finally:
                self.desk.listeners.discard(queue)

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def song(self, request: Request) -> Response:
        path = self.desk.opened().song_path
        if path is None or not path.is_file():
            return JSONResponse({"error": "the project's song is missing"}, 404)
        self.desk.prepare_review()
        return FileResponse(path, media_type=SONG_TYPES.get(path.suffix, "application/octet-stream"))

    async def background(self, request: Request) -> Response:
        project = self.desk.opened()
        name = str(project.state["metadata"].get("background", ""))
        path = project.folder / Path(name).name
        if not name.startswith("background") or not path.is_file() or path.suffix not in IMAGE_TYPES:
            return JSONResponse({"error": "the set has no background"}, 404)
        return FileResponse(path, media_type=IMAGE_TYPES[path.suffix])

    async def page(self, request: Request) -> Response:
        """The player's data of the present charts, or of those named by ?chart=DIGEST."""
        project = self.desk.opened()
        digests = request.query_params.getlist("chart")[:24]
        chosen = digests or [one["chart"] for one in project.state["difficulties"]]
        texts = [project.chart_text(digest) for digest in chosen]
        data = await self.desk.page(texts)
        names = {one["chart"]: one for one in project.state["difficulties"]}
        for digest, chart in zip(chosen, data["charts"], strict=True):
            chart |= {"digest": digest, "id": names.get(digest, {}).get("id", "")}
            chart["name"] = names.get(digest, {}).get("name", chart["name"])
        return JSONResponse(data)

    async def notes(self, request: Request) -> Response:
        """Exact notes of a chart, for editing: [time_ms, column, end_ms or null]."""
        text = self.desk.opened().chart_text(request.path_params["digest"])
        return JSONResponse(note_lines.notes_of(text))

    async def out(self, request: Request) -> Response:
        """The packed set or its page, as a download."""
        project = self.desk.opened()
        packed, kind = project.data.get("packed", {}), request.path_params["kind"]
        if kind not in ("osz", "page") or kind not in packed:
            return JSONResponse({"error": "pack the set first"}, 404)
        path = project.folder / "out" / Path(packed[kind]).name
        if not path.is_file():
            return JSONResponse({"error": "the packed set is gone; pack it again"}, 404)
        return FileResponse(path, filename=f"{project.folder.stem}{path.suffix}", content_disposition_type="attachment")

    async def change(self, request: Request) -> Response:
        """Apply the change that the address names."""
        values = uploads.parse_json(await uploads.read_body(request.stream(), uploads.MAX_JSON_BYTES))
        change = CHANGES.get(request.path_params["name"])
        if change is None:
            return JSONResponse({"error": "no such request"}, 404)
        change(self.desk, values)
        return JSONResponse(self.desk.view())

    async def drop(self, request: Request) -> Response:
        """A file dropped on the page; its name is in a header, and only shown."""
        name = uploads.shown_name(request.headers.get("x-file-name", ""))
        kinds = (*uploads.SONGS, *uploads.SETS, *uploads.IMAGES)
        suffix = uploads.suffix_of(name, kinds)
        data = await uploads.read_body(request.stream(), uploads.LIMITS[suffix])
        if suffix in uploads.IMAGES:
            changes.set_background(self.desk, name, data)
        elif suffix in uploads.SETS and self.desk.project is not None:
            changes.merge_set(self.desk, name, data)
        else:
            self.desk.new_from_bytes(name, data)
        return JSONResponse(self.desk.view())
