"""What docs/known-differences.md says of other people's libraries: each row is held by something that exists, and these still do it."""

from __future__ import annotations

import inspect
import math
import re
import tomllib
from pathlib import Path

import fosu
import msdparser
import numpy as np
import pytest
import rosu_pp_py as rosu
import soundfile

from chart.analysis.snap import beats_at
from chart.formats.osu_read import parse_osu
from chart.formats.stepmania import parse_stepmania
from runtime.errors import ChartFileError

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "known-differences.md").read_text(encoding="utf-8")


def held_rows() -> list[str]:
    """The rows of every table that says what holds them."""
    rows, is_held = [], False
    for line in PAGE.splitlines():
        if not line.startswith("|") or "|---" in line:
            is_held = is_held and "|---" in line
        elif line.endswith("| held by |"):
            is_held = True
        elif is_held:
            rows.append(line)
    return rows


HELD = held_rows()
PUBLIC = re.compile(r"(ppy/osu|Quaver\.API|StepMania|Etterna) `[\w.]+`")


def test_there_are_rows_for_every_neighbour() -> None:
    assert len(HELD) >= 35
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    for name in (
        "rosu-pp-py",
        "fosu",
        "osrparse",
        "osu-parsers",
        "simfile",
        "libsndfile",
        "FFmpeg",
        "onnxruntime",
        "gymnasium",
        "numba",
        "Ray",
    ):
        assert any(name in heading for heading in headings), name


@pytest.mark.parametrize("row", HELD, ids=lambda row: row.split("|")[1].strip()[:50])
def test_each_row_is_held_by_a_test_a_script_or_a_public_source(row: str) -> None:
    held_by = row.split("|")[4]
    names = re.findall(r"`((?:tests|findings|bench)/[^`]+)`", held_by)
    assert names or PUBLIC.search(held_by), row
    for name in names:
        assert (ROOT / name).is_file(), name


MODULES = {
    "rosu-pp-py": "rosu",
    "fosu": "fosu",
    "osrparse": "osrparse",
    "osu-parsers": "osu-parsers",
    "simfile": "simfile|msdparser",
    "libsndfile": "soundfile",
    "FFmpeg": "ffmpeg|browser",
    "onnxruntime": "onnxruntime",
    "gymnasium": "gymnasium|stable_baselines3",
    "numba": "numba",
    "Ray": "ray",
}
"""Word of each neighbour's heading → how scripts and tests that run it name it."""


@pytest.mark.parametrize("name", MODULES)
def test_rows_of_a_library_are_held_by_something_that_runs_it(name: str) -> None:
    [section] = re.findall(rf"^## {name}.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [row for row in HELD if row in section]
    assert rows
    for row in rows:
        files = re.findall(r"`((?:tests|findings|bench)/[^`]+)`", row.split("|")[4])
        texts = [(ROOT / file).read_text(encoding="utf-8") for file in files]
        assert any(re.search(MODULES[name], text) for text in texts), row


def test_every_finding_of_a_listed_neighbour_is_in_a_row() -> None:
    listed = set(re.findall(r"findings/([\w.-]+)", PAGE))
    others = {
        "basic-pitch-frames-run-slow.sh",
        "basic-pitch-onnx-outputs-by-position.sh",
        "beat-this-moves-downbeats-any-distance.sh",
        "numpy-rfft-of-float32-is-double.sh",
    }  # of the Ear alone
    assert {path.name for path in (ROOT / "findings").glob("*.sh")} - others <= listed


def test_the_versions_are_those_that_are_pinned() -> None:
    pins = dict(
        re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    )
    pins |= {name.replace("_", "-"): pin for name, pin in pins.items()}
    named = re.findall(
        r"(rosu-pp-py|fosu|osrparse|msdparser|soundfile|onnxruntime|gymnasium|stable-baselines3|numba|Ray) (\d[\d.]*\d)",
        PAGE,
    )
    assert len({name for name, _ in named}) == 10
    assert {name: pins[name.lower()] for name, _ in named} == dict(named)


def osu(timing: str = "0,400,4,1,0,100,1,0", notes: str = "64,192,1000,1,0,0:0:0:0:") -> str:
    return (
        "osu file format v14\n\n[General]\nMode: 3\n\n[Difficulty]\nCircleSize:4\n\n"
        f"[TimingPoints]\n{timing}\n\n[HitObjects]\n{notes}\n"
    )


def test_holds_without_a_length() -> None:
    text = osu(notes="64,192,1000,1,0,0:0:0:0:\n192,192,1500,128,0,1500:0:0:0:0:")
    assert rosu.Beatmap(content=text).n_holds == 1
    assert [note.is_hold for note in fosu.parse(text.encode()).hit_objects] == [False, True]
    assert parse_osu(text, "a.osu").is_hold.tolist() == [False, False]


def test_rosu_rounds_beats() -> None:
    text = osu("0,379.746835443038,4,1,0,100,1,0")
    assert rosu.Beatmap(content=text).bpm == pytest.approx(60_000 / 379.747, rel=1e-12)
    assert rosu.Beatmap(content=osu("0,400,0,1,0,100,1,0")).bpm == math.inf
    bounds = {"1e13": math.inf, "61000": 1, "2": 10_000}
    assert {beat: rosu.Beatmap(content=osu(f"0,{beat},4,1,0,100,1,0")).bpm for beat in bounds} == bounds
    assert parse_osu(text, "a.osu").red_lines[0].bpm == pytest.approx(158, rel=1e-12)


def test_red_lines_that_others_lose() -> None:
    long = osu("0,400,4,1,0,100,1,0\n900,1e13,4,1,0,100,1,0")
    assert len(fosu.parse(long.encode()).timing_points) == 1
    assert len(parse_osu(long, "a.osu").red_lines) == 2
    barless = osu("0,400,0,1,0,100,1,0")
    assert [line.meter for line in fosu.parse(barless.encode()).timing_points] == [0]
    assert [line.meter for line in parse_osu(barless, "a.osu").red_lines] == [4]


def test_red_lines_at_one_time() -> None:
    """osu!lazer and rosu-pp play by the first, osu!stable by the last; fosu and our reader keep both."""
    text = osu("0,400,4,1,0,100,1,0\n0,300,3,1,0,100,1,0", "64,192,1000,1,0,0:0:0:0:\n64,192,9000,1,0,0:0:0:0:")
    assert rosu.Beatmap(content=text).bpm == pytest.approx(150)
    assert [line.meter for line in fosu.parse(text.encode()).timing_points] == [4, 3]
    chart = parse_osu(text, "a.osu")
    assert [line.meter for line in chart.red_lines] == [4, 3]
    assert beats_at(chart.time_ms, chart.red_lines).meter.tolist() == [3, 3]


SSC = "#VERSION:0.83;\n#OFFSET:-1.000;\n#BPMS:0=120;\n#NOTEDATA:;\n#STEPSTYPE:dance-single;\n{own}#NOTES:\n1000\n0100\n;\n"


def test_a_chart_with_its_own_tempo_keeps_the_songs_offset() -> None:
    [chart] = parse_stepmania(SSC.format(own="#BPMS:0=60;\n"), "a.ssc")
    assert chart.time_ms.tolist() == [1000, 3000]


def test_a_chart_with_only_stops_has_no_tempo() -> None:
    with pytest.raises(ChartFileError, match="no BPM above 0"):
        parse_stepmania(SSC.format(own="#STOPS:1=0.5;\n"), "a.ssc")


def test_msdparser_refuses_stray_text() -> None:
    with pytest.raises(msdparser.MSDParserError):
        list(msdparser.parse_msd(string="#TITLE:a;\nstray\n#ARTIST:b;"))
    assert len(list(msdparser.parse_msd(string="#TITLE:a;\nstray\n#ARTIST:b;", ignore_stray_text=True))) == 2


def test_libsndfile_is_the_one_of_the_page() -> None:
    assert soundfile.__libsndfile_version__ == "1.2.2"


def test_one_onnxruntime_a_platform() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra in ("infer", "train"):
        packages = [line for line in extras[extra] if line.startswith("onnxruntime")]
        assert [re.split(r"[>=]", line)[0] for line in packages] == ["onnxruntime-directml", "onnxruntime"]
        assert [line.partition("; ")[2] for line in packages] == ["sys_platform == 'win32'", "sys_platform != 'win32'"]


def test_finished_environments_are_reset_at_another_step() -> None:
    from gymnasium.vector import AutoresetMode, SyncVectorEnv
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

    assert inspect.signature(SyncVectorEnv).parameters["autoreset_mode"].default == AutoresetMode.NEXT_STEP
    source = inspect.getsource(OnPolicyAlgorithm.collect_rollouts)
    assert 'infos[idx].get("TimeLimit.truncated", False)' in source


def test_sb3_resets_at_the_same_step_and_keeps_the_last_observation() -> None:
    import gymnasium
    from stable_baselines3.common.vec_env import DummyVecEnv

    class Counting(gymnasium.Env):
        """Ends at its second step; observes the number of steps."""

        observation_space = gymnasium.spaces.Box(0, 9, (1,))
        action_space = gymnasium.spaces.Discrete(1)
        steps = 0

        def reset(self, *, seed: int | None = None, options: dict | None = None):
            self.steps = 0
            return np.zeros(1, np.float32), {}

        def step(self, action: object):
            self.steps += 1
            return np.full(1, self.steps, np.float32), 0.0, False, self.steps == 2, {}

    ours, theirs = DummyVecEnv([Counting]), gymnasium.vector.SyncVectorEnv([Counting])
    ours.reset(), theirs.reset()
    ours.step(np.zeros(1, int)), theirs.step(np.zeros(1, int))
    observed, _, done, [info] = ours.step(np.zeros(1, int))
    assert (observed.item(), done.item(), info["terminal_observation"].item()) == (0, True, 2)
    assert info["TimeLimit.truncated"]
    assert theirs.step(np.zeros(1, int))[0].item() == 2
    assert theirs.step(np.zeros(1, int))[0].item() == 0


def test_ray_is_an_extra_of_its_own() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert [name for name, packages in extras.items() if any(package.startswith("ray") for package in packages)] == [
        "ray"
    ]
