"""Which songs of a dataset are kept for validation, and how a build takes the place of an earlier one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mapper import dataset
from mapper.data.corpus import array_files, open_corpus
from mapper.data.sources import MIN_SONGS_TO_VALIDATE, Source, find_sources, for_validation
from mapper.tokens.log_mel import BANDS
from mapper.tokens.vocabulary import SIDE_CHANNELS


def sources(count: int, split: str = "train", by_chance: bool = True) -> list[Source]:
    return [Source(f"Songs/{number}.osz", split, by_chance=by_chance) for number in range(count)]


def test_seven_songs_have_one_to_validate_on_whatever_their_names() -> None:
    chosen = for_validation(sources(7))
    assert chosen in sources(7)
    assert for_validation(sources(7)[::-1]) == chosen, "the order of the files does not matter"


@pytest.mark.parametrize(
    "given",
    [
        sources(MIN_SONGS_TO_VALIDATE - 1),
        sources(7, by_chance=False),
        [*sources(7), Source("x.osz", "val", by_chance=True)],
    ],
    ids=["too few", "split given", "chosen by chance"],
)
def test_otherwise_none_is_moved(given: list[Source]) -> None:
    assert for_validation(given) is None


def test_a_stamp_changes_with_a_file_of_a_folder(tmp_path: Path) -> None:
    song = tmp_path / "song"
    song.mkdir()
    chart = song / "a.osu"
    chart.write_text("one", encoding="utf-8")
    (source,) = find_sources([tmp_path], None)
    before = source.stamp
    chart.write_text("another", encoding="utf-8")
    assert source.stamp != before
    (song / "lost").symlink_to(tmp_path / "nowhere")
    assert source.stamp


def part_of(folder: Path, name: str, frames: int) -> dataset.Part:
    """A built part with one song of one chart."""
    song = {"name": name, "title": "", "artist": "", "frames": (0, frames), "duration_ms": 1e4, "lag_ms": 0.0}
    chart = {"name": name, "stars": 1.0, "style": 0, "notes_per_s": 1.0, "hold_share": 0.0, "rows": (0, 2)}
    chart |= {"red_lines": ((0.0, 500.0, 4),), "unsnapped": 0, "patterns": (), "snap_error_ms": 0.0}
    arrays = {
        "features": np.full((frames, BANDS + SIDE_CHANNELS), frames, np.uint8),
        "rows": np.zeros((2, 2), np.int32),
    }
    file = folder / f"{name}.npz"
    np.savez(file, **arrays, meta=json.dumps([(song, [chart])]))
    return dataset.Part(Source(f"{name}.osz", "train"), str(file), ())


def test_a_build_that_is_stopped_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    out.mkdir()
    dataset._join([part_of(tmp_path, "old", 5)], out)

    def stopped(path: Path, value: object) -> None:
        if path.name == "index.json":
            raise KeyboardInterrupt

    new = part_of(tmp_path, "new", 9)
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "_write_json", stopped)
        with pytest.raises(KeyboardInterrupt):
            dataset._join([new], out)
    found = open_corpus(out)
    assert [song.name for song in found.songs] == ["old"]
    assert len(found.frames) == 5
    dataset._join([new], out)
    found = open_corpus(out)
    assert [song.name for song in found.songs] == ["new"]
    assert np.array_equal(np.unique(found.frames), [9])
    assert len(list(out.glob("*.npy"))) == 2, "arrays of stopped and earlier builds are gone"


def test_an_index_cannot_name_arrays_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="arrays are named"):
        array_files(tmp_path, "../../secret")
    assert array_files(tmp_path, "")[0].name == "features.npy", "datasets of before"
