"""Hostile input at a real server: every bad upload gets one clear line in the page, foreign requests get 403."""

import base64
import http.client
from urllib.parse import urlsplit

import pytest

from tests.browser import headless
from tests.hostile_uploads import hostile_uploads
from tests.studio_projects import programs_or_skip
from tests.studio_server import served

DROP = """
const bytes = Uint8Array.from(atob(arguments[0]), (letter) => letter.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], arguments[1]));
document.getElementById("message").textContent = "";
document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
"""
LINE = "const words = document.getElementById('message').textContent; return words && !words.endsWith(' is read …') ? words : null"


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    home = tmp_path_factory.mktemp("projects")
    with served(home) as (address, _):
        yield address, home


def test_fifty_hostile_uploads_get_a_line_each_in_the_page(studio):
    address, home = studio
    with headless(programs_or_skip()) as browser:
        browser.open(address)
        count = 0
        for name, data in hostile_uploads():
            browser.run(DROP, base64.b64encode(data).decode(), name)
            browser.wait(LINE)
            words = browser.run(LINE)
            assert 10 < len(words) < 400, name
            assert "Traceback" not in words
            assert "Error:" not in words, name
            count += 1
        assert count >= 50
        assert browser.run("return [window.hacked, document.scripts.length, studio.view.project]") == [None, 2, None]
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/view", {}),
        ("/wrong-token/view", {}),
        ("TOKEN/view", {"Host": "evil.example"}),
        ("TOKEN/view", {"Host": "localhost.evil.example:80"}),
        ("TOKEN/song", {"Origin": "http://evil.example"}),
        ("TOKEN/song", {"Origin": "null"}),
        ("TOKEN/do/demo", {"Origin": "http://127.0.0.1:1"}),
        ("TOKEN/do/demo", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_foreign_requests_get_403_from_the_real_server(studio, path, headers, method):
    address, home = studio
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(
        method, path.replace("TOKEN", parts.path.rstrip("/")), b"{}" if method == "POST" else None, headers
    )
    answer = connection.getresponse()
    assert answer.status == 403
    assert "access-control-allow-origin" not in {name.lower() for name, _ in answer.getheaders()}
    assert b"mania4k studio" in answer.read()
    connection.close()
    assert list(home.iterdir()) == []
