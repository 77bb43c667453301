"""The osu! clock: there and back, and the constant as the median of what maps say."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from chart.formats.osz import write_osz
from ear.audio.clock import (
    OSU_CLOCK_MS,
    SOURCE_LAG_MS,
    codec_of,
    from_osu_clock,
    lags_by_source,
    main,
    to_osu_clock,
    typical_lag,
)
from ear.audio.onset import Lag
from runtime.errors import ConfigError
from tests.builders import ChartBuilder
from tests.ear_signals import AT_ONCE_MS, hits_at, write_wav


def test_osu_maps_are_earlier_than_the_sound() -> None:
    assert to_osu_clock(1000.0) == 1000.0 + OSU_CLOCK_MS == 1000.0 - SOURCE_LAG_MS["osu"]
    assert -25 <= OSU_CLOCK_MS <= -20


def test_there_and_back() -> None:
    times = np.array([0.0, 12.5, 99_999.0])
    assert np.allclose(from_osu_clock(to_osu_clock(times)), times)


def test_typical_lag_is_the_median_of_the_sure_ones() -> None:
    lags = [Lag(20.0, 0.9), Lag(24.0, 0.99), Lag(22.0, 0.6), Lag(-200.0, 0.1), Lag(60.0, 0.8)]
    typical = typical_lag(lags)
    assert (typical.median_ms, typical.deviation_ms, typical.songs) == (23.0, 2.0, 4)


def test_too_few_songs_give_no_constant() -> None:
    with pytest.raises(ConfigError, match="1 songs with a clear lag are too few to determine a clock"):
        typical_lag([Lag(20.0, 0.9), Lag(24.0, 0.2)])


def make_sets(folder: Path, lags_ms: list[float]) -> None:
    """Beatmap sets whose sound comes this much after their notes."""
    for index, lag_ms in enumerate(lags_ms):
        times_s = 0.5 + np.cumsum(np.random.default_rng(index).choice([0.2, 0.4], 16))
        song = write_wav(folder / f"{index}.wav", hits_at(times_s, 7.0))
        builder = ChartBuilder()
        for time_s in times_s:
            builder.note(round(time_s * 1000 + AT_ONCE_MS - lag_ms), 0)
        write_osz([builder.build()], song, folder / f"{index}.osz")


def test_command_measures_a_folder(tmp_path: Path) -> None:
    make_sets(tmp_path, [20.0, 22.0, 30.0])
    (tmp_path / "broken.osz").write_bytes(b"no archive")
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("osu: +2")
    assert "3 songs" in result.stdout
    assert "skipped:" in result.stderr
    assert "broken.osz" in result.stderr


def test_validation_songs_are_left_out(tmp_path: Path) -> None:
    make_sets(tmp_path, [20.0, 5.0])
    (tmp_path / "songs.json").write_text(
        '[{"file": "0.osz", "split": "train", "style": "Quaver 4K"}, {"file": "1.osz", "split": "val"}]',
        encoding="utf-8",
    )
    lags = lags_by_source(tmp_path)
    assert list(lags) == ["quaver"]
    assert [round(lag.lag_ms) for lag in lags["quaver"]] == [20]


def test_codecs_are_kept_apart(tmp_path: Path) -> None:
    make_sets(tmp_path, [20.0])
    assert list(lags_by_source(tmp_path, by_codec=True)) == ["osu wav"]


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (b"ID3\x04rest", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"OggS" + bytes(24) + b"\x01vorbis", "vorbis"),
        (b"OggS" + bytes(24) + b"OpusHead", "opus"),
        (b"OggS" + bytes(24) + b"Speex", "other"),
        (b"fLaC", "flac"),
        (b"", "other"),
    ],
)
def test_codecs_are_recognized_by_their_first_bytes(data: bytes, codec: str) -> None:
    assert codec_of(data) == codec


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "holds no .osz files" in result.stderr
