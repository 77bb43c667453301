"""Access control: only this computer's own page. A page of another origin can start no job and read no song.

The server listens on loopback. Its address holds a random token as the first part of the path; `Host` and `Origin` must be the
server's own, which also stops names that were rebound to 127.0.0.1. Every answer forbids scripts, styles and
connections of other origins.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def new_token() -> str:
    """A fresh token, 192 bits."""
    return secrets.token_urlsafe(24)


class Guard:
    """Lets a request through to `app` when it carries the token and comes from our own page; else answers 403."""

    def __init__(self, app: App, token: str, port: int) -> None:
        self.app = app
        self.token = token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http" or not self.is_ours(scope):
            await _refuse(scope, send)
            return
        inner = {**scope, "path": scope["path"][len(self.token) + 1 :] or "/", "raw_path": None, "root_path": ""}
        await self.app(inner, receive, _with_headers(send))

    def is_ours(self, scope: Scope) -> bool:
        """Whether token, Host, Origin and Sec-Fetch-Site are those of our page."""
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        origins = [value for name, value in headers if name == b"origin"]
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        given = scope["path"].split("/")[1] if "/" in scope["path"] else ""
        return (
            len(hosts) == 1
            and hosts[0] in self.hosts
            and all(origin in self.origins for origin in origins)
            and all(site in ("same-origin", "none") for site in sites)
            and secrets.compare_digest(given.encode("utf-8", "replace"), self.token.encode("ascii"))
        )


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    body = b"403: open the address that `mania4k studio` printed\n"
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            own = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await send(message)

    return sending
