"""`.osr` files: what is written reads back, and files from strangers fail with one clear line."""

from __future__ import annotations

import lzma
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chart.formats import osr as module
from chart.formats.osr import Replay, format_replay, read_replay, write_replay
from runtime.errors import ChartFileError, ConfigError

WHEN = datetime(2024, 1, 1, tzinfo=UTC)


def replay_of(events: list[tuple[int, int, bool]], player: str = "mania4k") -> Replay:
    time, column, down = zip(*events, strict=True) if events else ((), (), ())
    return Replay(
        "0123456789abcdef0123456789abcdef", player, 64, np.array([5, 4, 3, 2, 1, 6]), 654_321, 17,
        np.array(time, np.int64), np.array(column, np.int8), np.array(down, bool),
    )  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 200), st.integers(1, 200)), max_size=30),
    st.integers(-500, 500),
)
def test_what_is_written_reads_back(tmp_path_factory: pytest.TempPathFactory, presses: list, start: int) -> None:
    at = [start] * 4
    events = []
    for column, gap, length in presses:
        events += [(at[column] + gap, column, True), (at[column] + gap + length, column, False)]
        at[column] += gap + length
    events.sort(key=lambda event: (event[0], event[1]))
    path = tmp_path_factory.mktemp("osr") / "日本語.osr"
    write_replay(replay_of(events), path, WHEN)
    back = read_replay(path)
    assert list(zip(back.time_ms.tolist(), back.column.tolist(), back.down.tolist(), strict=True)) == events
    assert (back.map_md5, back.player, back.mods) == ("0123456789abcdef0123456789abcdef", "mania4k", 64)
    assert (back.counts.tolist(), back.score, back.max_combo) == ([5, 4, 3, 2, 1, 6], 654_321, 17)


def frames_in(data: bytes) -> list[str]:
    """The frames of a replay as written, found without the reader: a second reading of the format."""
    at = 5
    for _ in range(3):
        size = data[at + 1] if data[at] == 11 else 0
        at += 1 + (1 + size if data[at] == 11 else 0)
    at += 6 * 2 + 4 + 2 + 1 + 4 + 1 + 8  # counts, score, combo, perfect, mods, no graph, ticks
    size = int.from_bytes(data[at : at + 4], "little")
    return lzma.decompress(data[at + 4 : at + 4 + size]).decode().split(",")


@pytest.mark.parametrize(
    ("first", "markers"), [(100, ["0|256|-500|0", "-1|256|-500|0"]), (9000, ["0|256|-500|0", "6999|256|-500|0"])]
)
def test_stables_markers_come_first_and_count_with_their_time(first: int, markers: list[str]) -> None:
    data = format_replay(replay_of([(first, 2, True), (first + 60, 2, False)]), WHEN)
    frames = frames_in(data)
    assert frames[:2] == markers
    assert frames[3:] == ["60|0|0|0", "-12345|0|0|1", ""]
    sums = np.cumsum([int(frame.split("|")[0]) for frame in frames[:4]])
    assert sums[2:].tolist() == [first, first + 60]
    assert int.from_bytes(data[1:5], "little") < 30_000_000


def with_frames(frames: list[str]) -> bytes:
    """A replay with these frames."""
    whole = format_replay(replay_of([]), WHEN)
    empty = lzma.compress(",".join(frames_in(whole)).encode(), format=lzma.FORMAT_ALONE)
    packed = lzma.compress(",".join([*frames, "-12345|0|0|7", ""]).encode(), format=lzma.FORMAT_ALONE)
    at = whole.index(empty)
    return whole[: at - 4] + len(packed).to_bytes(4, "little") + packed + whole[at + len(empty) :]


@pytest.mark.parametrize(
    ("frames", "times"),
    [
        (["0|256|-500|0", "8413|256|-500|0", "2277|8|0|0", "44|0|0|0"], [10690, 10734]),  # skipped
        (["0|256|-500|0", "8413|256|-500|0", "-9584|0|0|0", "11861|8|0|0", "44|0|0|0"], [10690, 10734]),  # waited
        (["0|256|-500|0", "-1|256|-500|0", "691|8|0|0", "44|0|0|0"], [690, 734]),  # no intro
        (["0|256|-500|0", "-1|256|-500|0", "-1170|8|0|0", "44|0|0|0"], [-1171, -1127]),  # keys before the song
        (["690|8.0|0.0|0", "44|0|0|0"], [690, 734]),  # lazer
        (["690|8|0|0", "0|0|0|0", "-5|8|0|0", "20|0|0|0"], [690, 690, 690, 705]),  # a frame that goes back
    ],
)
def test_every_frame_counts_with_its_time(tmp_path: Path, frames: list[str], times: list[int]) -> None:
    path = tmp_path / "stable.osr"
    path.write_bytes(with_frames(frames))
    back = read_replay(path)
    assert back.time_ms.tolist() == times
    assert set(back.column.tolist()) == {3}


def test_another_reader_reads_the_header() -> None:
    from osrparse import Replay as Parsed

    parsed = Parsed.from_string(format_replay(replay_of([(100, 2, True), (160, 2, False)]), WHEN))
    assert (parsed.username, parsed.beatmap_hash) == ("mania4k", "0123456789abcdef0123456789abcdef")
    assert (parsed.count_geki, parsed.count_300, parsed.count_katu, parsed.count_miss) == (5, 4, 3, 6)
    assert (parsed.score, parsed.max_combo, int(parsed.mods), parsed.timestamp) == (654_321, 17, 64, WHEN)
    assert [(int(event.keys), event.time_delta) for event in parsed.replay_data][-1] == (0, 60)


@pytest.mark.parametrize(
    "data", [b"", b"\x00rest", b"\x03", b"\x03" * 200, b"\x03\x01\x00\x00\x00" + b"\x0b\xff\xff\xff\xff\xff\xff\x01"]
)
def test_damaged_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.osr"
    path.write_bytes(data)
    with pytest.raises(ChartFileError, match=r"bad\.osr.*(damaged|is no osu!mania replay)"):
        read_replay(path)


@given(st.data())
def test_no_damage_escapes_as_another_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = format_replay(replay_of([(100 + n, n % 4, n % 8 < 4) for n in range(64)]), WHEN)
    at = data.draw(st.integers(0, len(whole) - 1))
    broken = (
        whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 : data.draw(st.integers(at, len(whole)))]
    )
    path = tmp_path_factory.mktemp("osr") / "broken.osr"
    path.write_bytes(broken)
    try:
        read_replay(path)
    except ChartFileError:
        return


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.osr"
    write_replay(replay_of([(n, 0, n % 2 == 0) for n in range(2000)]), path, WHEN)
    monkeypatch.setattr(module, "MAX_EVENT_BYTES", 1000)
    with pytest.raises(ChartFileError, match="unpacks to more than"):
        read_replay(path)


def test_more_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "7k.osr"
    write_replay(replay_of([(100, 6, True), (160, 6, False)]), path, WHEN)
    with pytest.raises(ChartFileError, match="beyond the fourth"):
        read_replay(path)


def test_names_in_any_script(tmp_path: Path) -> None:
    write_replay(replay_of([], player="プレイヤー" * 20), tmp_path / "name.osr", WHEN)
    assert read_replay(tmp_path / "name.osr").player == "プレイヤー" * 20


def test_what_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match="more than a day"):
        format_replay(replay_of([(10**9, 0, True)]))
