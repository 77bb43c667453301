"""`.osr` files: what is written reads back, and files from strangers fail with one clear line."""

from __future__ import annotations

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


def test_frames_are_stamped_1_ms_late_and_end_with_the_seed() -> None:
    from osrparse import Replay as Parsed

    parsed = Parsed.from_string(format_replay(replay_of([(100, 2, True), (160, 2, False)]), WHEN))
    assert [(event.time_delta, int(event.keys)) for event in parsed.replay_data] == [(101, 4), (60, 0)]
    assert parsed.rng_seed == 1
    assert parsed.game_version < 30_000_000


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


def test_what_cannot_be_written() -> None:
    with pytest.raises(ConfigError, match="ASCII"):
        format_replay(replay_of([], player="プレイヤー"))
    with pytest.raises(ConfigError, match="more than a day"):
        format_replay(replay_of([(10**9, 0, True)]))
