"""Official checkpoints: fetched once, checked, and a clear word when there is no network."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ear.tracker import download as official
from ear.tracker.download import cache_folder, pretrained_checkpoint
from runtime.errors import CheckpointError

CONTENT = b"weights" * 1000


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


def test_a_missing_name_on_the_server_is_told(server: str, tmp_path: Path) -> None:
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
