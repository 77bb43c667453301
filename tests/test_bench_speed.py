"""The bench of two builds: cases that need an option, and what is made for each build."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import install_size, speed


def test_cases_that_need_an_option_run_where_it_is_given() -> None:
    assert not {"folder", "train", "refine"} & set(speed.pick([], []))
    assert set(speed.pick([], ["songs", "maps"])) == set(speed.CASES)
    assert speed.pick(["refine", "help"], ["songs"]) == ["help"]


def test_each_build_trains_on_a_dataset_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []
    monkeypatch.setattr(speed, "run", lambda checkout, arguments: ran.append((checkout, *arguments[1:])))
    files = speed.Inputs(tmp_path / "song.ogg", None, tmp_path / "map.osz", tmp_path / "long.osu")
    builds = tmp_path / "old", tmp_path / "new"
    inputs = speed.prepared(files, ["train"], builds, tmp_path / "maps")
    assert [(checkout, verb) for checkout, verb, *_ in ran] == [(builds[0], "dataset"), (builds[1], "dataset")]
    for build, one, (*_, dataset) in zip(builds, inputs, ran, strict=True):
        arguments = speed.CASES["train"](one, tmp_path)
        assert dataset in arguments
        assert str(build / "mapper" / "weights" / "mapper.safetensors") in arguments
    assert speed.prepared(files, ["help"], builds, None)[0].dataset is None


def test_it_says_which_option_is_missing(tmp_path: Path) -> None:
    (tmp_path / "song.ogg").touch()
    done = CliRunner().invoke(speed.main, [str(tmp_path), str(tmp_path), str(tmp_path / "song.ogg"), "--only", "train"])
    assert done.exit_code == 2
    assert "train need --songs or --maps" in done.output


def test_sizes_are_of_all_files_and_links_count_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(1 << 20))
    (tmp_path / "c").write_bytes(bytes(1 << 19))
    (tmp_path / "link").symlink_to(tmp_path / "c")
    assert install_size.size_mb(tmp_path) == pytest.approx(1.5)
