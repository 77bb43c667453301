"""Command lines of `generate`, and the remedy that each error names."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from chart.formats.osu_write import write_osu
from mapper.cli import main
from mapper.pipeline import default_out
from mapper.request.arguments import read_ratio
from mapper.request.options import GenerateConfig, parse_patterns
from runtime.errors import ConfigError
from tests.builders import ChartBuilder


@pytest.mark.parametrize(("text", "ratio"), [(".2", 0.2), ("20%", 0.2), ("0.5 %", 0.005), ("1", 1.0)])
def test_ratios_and_percents(text: str, ratio: float) -> None:
    assert read_ratio(text) == pytest.approx(ratio)
    assert parse_patterns(f"jumpstream={text}") == {"jumpstream": pytest.approx(ratio)}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["map.osu"], 1, "is a map, not a song; to add difficulties to it: mania4k generate --from map.osu"),
        (["nowhere"], 1, "nowhere: no such file or folder"),
        (["song.mp3", "--holds", "20"], 2, "20 is more than all; write it as 0.2 or 20%"),
        (["song.mp3", "--holds", "many"], 2, "“many” is no ratio; write it as .2 or 20%"),
        (["song.mp3", "--fast", "--best"], 1, "--fast and --best contradict one another"),
        (["song.mp3", "--patterns", "jumpstream=80%,chordjack=.4"], 1, "shares of 120% together"),
        (["song.mp3", "--bpm", "120", "--timing", "map.osu"], 1, "--bpm changes the timing that is found"),
        (["song.mp3", "--tempo", "triple"], 2, "'triple' is not one of 'double', 'half'"),
        (["song.mp3", "--report", "report.txt"], 2, "report.txt must end in .json"),
    ],
)
def test_errors_name_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], exit_code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_osu(ChartBuilder().note(1).build(), tmp_path / "map.osu")
    result = CliRunner().invoke(main, arguments)
    assert said in " ".join(result.output.split())
    assert result.exit_code == exit_code


def test_a_set_made_from_a_map_has_a_name_of_its_own() -> None:
    assert default_out(GenerateConfig(from_map=Path("sets/a.osz"))) == Path("a (mania4k).osz")
    assert default_out(GenerateConfig(song=Path("songs/b.mp3"))) == Path("b.osz")


def test_patterns_that_are_more_than_all() -> None:
    with pytest.raises(ConfigError, match="shares of 150% together"):
        GenerateConfig(song=Path("a.mp3"), patterns={"jumpstream": 0.75, "chordjack": 0.75})
