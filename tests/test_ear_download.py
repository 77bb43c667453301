"""Pretrained checkpoints: fetched once, checked, and a clear message without a network or with a faulty server."""

import hashlib
import io
import itertools
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from ear.tracker import download as official
from ear.tracker.download import cache_folder, pretrained_checkpoint
from runtime.errors import CheckpointError


def archive() -> bytes:
    """A file of the kind that torch.save writes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("archive/data", b"weights" * 1000)
    return buffer.getvalue()


CONTENT = archive()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A loopback server with one checkpoint."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "final0.ckpt").write_bytes(CONTENT)
    (folder / "final1.ckpt").write_bytes(CONTENT)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


Body = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Body], str]]:
    """Starts a loopback server that answers every request with the given body."""
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start(body: Body) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body(self)

            def log_message(self, *_: object) -> None:
                pass

        httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        httpd.daemon_threads = True
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        running.append((httpd, thread))
        return f"http://127.0.0.1:{httpd.server_address[1]}"

    yield start
    for httpd, thread in running:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def answer(content: bytes, announced: int | None) -> Body:
    """A body with a Content-Length that need not be true."""

    def body(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        if announced is not None:
            request.send_header("Content-Length", str(announced))
        request.end_headers()
        request.wfile.write(content)

    return body


@pytest.mark.parametrize(
    ("content", "announced", "message"),
    [
        (CONTENT[:-100], len(CONTENT), "was cut short"),
        (CONTENT, len(CONTENT) - 100, "is not a whole checkpoint"),
        (CONTENT[:-100], None, "is not a whole checkpoint"),
        (b"<html>log in</html>", None, "is not a whole checkpoint"),
        (CONTENT.replace(b"weights" * 3, b"heights" * 3, 1), None, "is damaged"),
        (b"", 10**12, "not a checkpoint"),
    ],
)
def test_incomplete_and_damaged_downloads_are_refused_and_never_pinned(
    serve: Callable[[Body], str], tmp_path: Path, content: bytes, announced: int | None, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        pretrained_checkpoint("final1", serve(answer(content, announced)), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_download_of_unknown_length_is_pinned_when_it_is_whole(serve: Callable[[Body], str], tmp_path: Path) -> None:
    path = pretrained_checkpoint("final1", serve(answer(CONTENT, None)), tmp_path)
    assert path.read_bytes() == CONTENT
    assert path.with_suffix(".sha256").read_text("ascii").strip() == hashlib.sha256(CONTENT).hexdigest()


def test_dripping_downloads_are_given_up(
    serve: Callable[[Body], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(0.0, 30.0)
    monkeypatch.setattr(official, "time", SimpleNamespace(monotonic=lambda: next(seconds)))

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(CONTENT)))
        request.end_headers()
        for _ in range(200):
            try:
                request.wfile.write(b"x")
            except OSError:
                return

    with pytest.raises(CheckpointError, match=r"bytes came in .* try again on a faster network"):
        pretrained_checkpoint("final1", serve(drip), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "SHA256", {"final0": hashlib.sha256(CONTENT).hexdigest()})


@pytest.mark.usefixtures("known")
def test_a_download_is_kept_and_used_again(server: str, tmp_path: Path) -> None:
    path = pretrained_checkpoint("final0", server, tmp_path / "cache")
    assert path.read_bytes() == CONTENT
    assert pretrained_checkpoint("final0", "http://127.0.0.1:9", tmp_path / "cache") == path  # no network is needed now


def test_wrong_contents_are_not_kept(server: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"not the known checkpoint \(wrong SHA-256\)"):
        pretrained_checkpoint("final0", server, tmp_path / "cache")  # the real final0 has another hash
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("name", ["final0", "final1"])
def test_a_changed_cache_is_noticed(server: str, tmp_path: Path, name: str) -> None:
    path = pretrained_checkpoint(name, server, tmp_path / "cache")
    path.write_bytes(CONTENT + b"!")
    with pytest.raises(CheckpointError, match=r"has changed \(wrong SHA-256\); delete it"):
        pretrained_checkpoint(name, server, tmp_path / "cache")


def test_offline_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"cannot be downloaded .*go online once, put the file at .*use --checkpoint bundled"
    ):
        pretrained_checkpoint("small0", "http://127.0.0.1:9", tmp_path)


def test_a_name_missing_on_the_server_is_reported(server: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"fold3\.ckpt: cannot be downloaded"):
        pretrained_checkpoint("fold3", server, tmp_path)


def test_endless_downloads_are_cut(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "MAX_DOWNLOAD_BYTES", 100)
    with pytest.raises(CheckpointError, match="more than 0 MB; not a checkpoint"):
        pretrained_checkpoint("final1", server, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MANIA4K_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MANIA4K_CACHE")
    assert cache_folder().name == "mania4k"
