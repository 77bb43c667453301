"""Listing maps by the API, against a server of our own on loopback that speaks as osu!'s does."""

import contextlib
import itertools
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlparse

import pytest
from click.testing import CliRunner

from mapper.fetch import main


def beatmapset(number: int, keys: float = 4.0) -> dict:
    beatmaps = [
        {"id": 10 * number, "version": "Hard", "difficulty_rating": 3.2, "cs": keys, "mode_int": 3, "total_length": 90},
        {
            "id": 10 * number + 1,
            "version": "osu!",
            "difficulty_rating": 2.0,
            "cs": 4,
            "mode_int": 0,
            "total_length": 90,
        },
    ]
    names = {"title": "Kyoku", "title_unicode": "曲", "artist": "Singer", "artist_unicode": "歌手"}
    return {"id": number, "creator": "someone", "bpm": 180.5, "beatmaps": beatmaps, **names}


class FakeApi(BaseHTTPRequestHandler):
    """Two pages of two sets, of which one has seven keys; what it was asked is kept in `requests`."""

    requests: list[dict]
    answer: bytes | None = None

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if form["client_secret"] != ["right"]:
            self.send_error(401)
            return
        self._say({"access_token": "a token"})

    def do_GET(self):
        query = parse_qs(urlparse(self.path).query)
        self.requests.append(query | {"authorization": self.headers["Authorization"]})
        if "cursor_string" in query:
            self._say({"beatmapsets": [beatmapset(3), beatmapset(4)], "cursor_string": None})
        else:
            self._say({"beatmapsets": [beatmapset(1), beatmapset(2, keys=7.0)], "cursor_string": "next"})

    def _say(self, value: dict) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode() if self.answer is None else self.answer)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def api(monkeypatch):
    handler = type("Handler", (FakeApi,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OSU_CLIENT_ID", "1")
    monkeypatch.setenv("OSU_CLIENT_SECRET", "right")
    monkeypatch.setattr("mapper.fetch.PAUSE_S", 0.0)
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_all_pages_are_listed_with_four_keys_only(api, tmp_path):
    url, handler = api
    result = run("-o", tmp_path / "maps.json", "--query", "stars>3", "--api", url)
    assert result.exit_code == 0, result.output
    maps = json.loads((tmp_path / "maps.json").read_text(encoding="utf-8"))
    assert [one["id"] for one in maps] == [1, 3, 4]
    assert maps[0]["title"] == "曲"
    assert maps[0]["url"] == f"{url}/beatmapsets/1"
    assert [one["version"] for one in maps[0]["difficulties"]] == ["Hard"]
    assert handler.requests[0]["q"] == ["keys=4 stars>3"]
    assert handler.requests[0]["m"] == ["3"]
    assert handler.requests[1]["cursor_string"] == ["next"]
    assert "3 beatmapsets, 3 4K difficulties" in result.output


def test_it_stops_at_the_requested_number(api, tmp_path):
    assert run("-o", tmp_path / "maps.json", "--most", 2, "--api", api[0]).exit_code == 0
    assert len(json.loads((tmp_path / "maps.json").read_text(encoding="utf-8"))) == 2


def refused(result, text: str) -> None:
    assert result.exit_code == 1
    assert text in result.output
    assert "Traceback" not in result.output


def test_missing_and_wrong_credentials_say_what_to_do(api, tmp_path, monkeypatch):
    monkeypatch.setenv("OSU_CLIENT_SECRET", "wrong")
    refused(run("-o", tmp_path / "maps.json", "--api", api[0]), "refused the login (401)")
    monkeypatch.delenv("OSU_CLIENT_SECRET")
    refused(run("-o", tmp_path / "maps.json", "--api", api[0]), "OSU_CLIENT_SECRET are not set")
    assert not (tmp_path / "maps.json").exists()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff\xfe"])
def test_an_answer_that_is_no_json_object_is_refused(api, tmp_path, body):
    api[1].answer = body
    refused(run("-o", tmp_path / "maps.json", "--api", api[0]), "answer cannot be read")


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("OSU_CLIENT_ID", "1")
    monkeypatch.setenv("OSU_CLIENT_SECRET", "2")
    refused(run("-o", tmp_path / "maps.json", "--api", "http://127.0.0.1:9"), "cannot reach the API")


class BrokenServer:
    """Answers every request with these bytes and closes the connection."""

    def __init__(self, answer: bytes) -> None:
        import socket

        self.listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.answer = answer
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listening.close()

    def _serve(self):
        connection, _ = self.listening.accept()
        with connection:
            self._read_request(connection)
            with contextlib.suppress(OSError):
                connection.sendall(self.answer)

    @staticmethod
    def _read_request(connection) -> None:
        """Read head and form to the last byte: closing a socket with unread bytes resets the connection."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(1 << 16)
        head, _, form = request.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        missing = int(length[1]) - len(form) if length else 0
        while missing > 0:
            missing -= len(connection.recv(missing))


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
BROKEN = {
    "a body that ends early": (HEAD + b'{"access_token": "x"}', "ended after|IncompleteRead"),
    "no HTTP": (b"hello there\r\n\r\n", "cannot reach the API"),
    "an endless header": (b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000, "cannot reach the API"),
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200, "cannot reach the API"),
    "nothing": (b"", "cannot reach the API"),
    "a bad chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "cannot reach the API"),
    "no JSON": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\xfe{[x", "answer cannot be read"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_answers_are_one_line(case, monkeypatch, tmp_path):
    answer, said = BROKEN[case]
    with BrokenServer(answer) as server:
        result = run_against(server.address, monkeypatch, tmp_path)
    assert result.exit_code == 1
    assert re.search(said, result.output), result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "maps.json").exists()


def test_an_answer_has_to_end_in_time(monkeypatch, tmp_path):
    seconds = itertools.count(0.0, 61.0)
    monkeypatch.setattr("mapper.fetch.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    with BrokenServer(HEAD + b" " * 5000) as server:
        result = run_against(server.address, monkeypatch, tmp_path)
    assert "took longer than" in result.output


def run_against(address, monkeypatch, tmp_path):
    monkeypatch.setenv("OSU_CLIENT_ID", "1")
    monkeypatch.setenv("OSU_CLIENT_SECRET", "right")
    return CliRunner().invoke(main, ["-o", str(tmp_path / "maps.json"), "--api", address])
