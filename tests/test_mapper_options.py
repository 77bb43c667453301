"""Options of `generate`: what is read, and what is refused with which words."""

from pathlib import Path

import numpy as np
import pytest

from chart.analysis.pattern_mix import FAMILIES
from chart.formats.osu_read import format_osu
from chart.model import Chart, TimingPoint
from mapper.request.levels import names_of, stars_of_names
from mapper.request.options import EFFORTS, GenerateConfig, parse_patterns, parse_section
from mapper.request.style_reference import references_in, references_of
from mapper.request.timing_file import read_timing
from mapper.sampling.conditioning import ChartTarget
from mapper.structure.row_shares import RowShares
from runtime.errors import ChartFileError, ConfigError
from tests.builders import ChartBuilder

SONG, MAP = Path("song.ogg"), Path("map.osz")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"song": None}, "no song: name an audio file"),
        ({"stars": (2.0,), "names": ("easy",)}, "--stars and --set contradict"),
        ({"stars": (99.0,)}, "--stars 99: ask for 0.5 to 10 stars"),
        ({"stars": (float("nan"),)}, "--stars nan"),
        ({"stars": (2.0,) * 17}, "takes 1 to 16 star ratings"),
        ({"names": ("lunatic",)}, "--set lunatic: no difficulty of that name; there are easy normal"),
        ({"names": ("easy", "Easy")}, "--set easy: named twice"),
        ({"style": "drums"}, "--style drums: must be one of keyboard pad"),
        ({"holds": 1.2}, r"--holds 1.2: must be a share from 0 to 0.9"),
        ({"patterns": {"vibro": 0.5}}, "--patterns vibro: unknown; there are stream"),
        ({"patterns": {"jack": 2.0}}, "--patterns jack=2: must be a share"),
        ({"section": (0.0, 1.0)}, "--section needs --from"),
        ({"difficulty": "Hard"}, "--difficulty says in which chart"),
        ({"timing": Path("x.txt"), "from_map": MAP}, "--timing and --from contradict"),
        ({"tolerance": 0.0}, "--tolerance 0: must be 0.01"),
        ({"effort": "heroic"}, "effort heroic: must be one of fast normal best"),
        ({"candidates": 0}, "--candidates 0: must be 1 to 32"),
        ({"guidance": 3.5}, r"--guidance 3.5: must be 0 to 3 \(1 is normal\)"),
        ({"density": 0.4}, r"--density 0.4: must be 0.5 to 1.6 \(1 is as people's charts\)"),
        ({"density": float("nan")}, "--density nan"),
        (
            {"names": ("easy",), "from_map": MAP, "section": (0.0, 1.0)},
            "name the chart whose --section is written with",
        ),
        ({"time_budget": 0.0}, "--time-budget 0: must be more than 0 seconds"),
        ({"seed": -1}, "--seed -1"),
        ({"audio_start": float("inf")}, "--audio-start inf"),
        ({"out": Path("x.zip")}, "must end in .osz"),
    ],
)
def test_options_out_of_range_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        GenerateConfig(**{"song": SONG, **options})


def test_options_say_what_to_write():
    assert GenerateConfig(SONG).target_stars == (2.0, 3.5, 5.0)
    assert GenerateConfig(SONG, names=("Hard", "easy")).target_stars == stars_of_names(["hard", "easy"])
    assert GenerateConfig(SONG, effort="best").takes == EFFORTS["best"].takes
    assert GenerateConfig(SONG, effort="best", candidates=2).takes == 2


def test_patterns_and_sections_are_read():
    assert parse_patterns("jumpstream=.5, chordjack=.1") == {"jumpstream": 0.5, "chordjack": 0.1}
    assert parse_section("1:05-1:20") == (65_000.0, 80_000.0)
    assert parse_section("7.5-12") == (7_500.0, 12_000.0)
    for text in ("jumpstream", "jack=much", "=.3="):
        with pytest.raises(ConfigError, match="write it as jumpstream"):
            parse_patterns(text)
    for text in ("1:05", "a-b", "1:05-"):
        with pytest.raises(ConfigError, match="write it as 1:05-1:20"):
            parse_section(text)
    with pytest.raises(ConfigError, match="ends before it starts"):
        parse_section("1:20-1:05")


def test_difficulties_are_named_as_mappers_do():
    assert names_of([1.5, 2.3, 3.3, 4.5, 5.6, 7.0]) == ["Easy", "Normal", "Hard", "Insane", "Expert", "Expert+"]
    assert names_of([3.0, 3.6]) == ["Light Hard", "Hard"]
    assert names_of([2.8, 3.2, 3.6]) == ["Hard 2.80*", "Hard 3.20*", "Hard 3.60*"]
    assert len(set(names_of([3.0, 3.0, 3.0]))) == 3


def test_given_timing_is_read_from_text_and_charts(tmp_path):
    points = (TimingPoint(123.5, 400.0), TimingPoint(60_000.0, 375.25, 3))
    text = "[TimingPoints]\n123.5,400,4,1,0,100,1,0\n60000,375.25,3,1,0,100,1,0\n"
    (tmp_path / "a.timing.txt").write_text(text, encoding="utf-8")
    assert read_timing(tmp_path / "a.timing.txt") == points
    chart = ChartBuilder().bpm(150, 77.0).green(1000, 1.5).note(1000).build()
    (tmp_path / "a.osu").write_text(format_osu(chart), encoding="utf-8")
    assert read_timing(tmp_path / "a.osu") == chart.red_lines
    (tmp_path / "empty.txt").write_text("[TimingPoints]\n", encoding="utf-8")
    with pytest.raises(ChartFileError, match="no timing in it"):
        read_timing(tmp_path / "empty.txt")
    (tmp_path / "bad.txt").write_text("[TimingPoints]\n0,zero,4\n", encoding="utf-8")
    with pytest.raises(ChartFileError, match=r"bad.txt:2: .*beat length"):
        read_timing(tmp_path / "bad.txt")


def test_like_takes_what_a_map_is_like_and_options_go_before(tmp_path):
    builder = ChartBuilder().bpm(150)
    for beat in range(40):
        builder.chord(400 * beat, beat % 4, (beat + 1) % 4)
        builder.hold(400 * beat + 200, 400 * beat + 300, (beat + 2) % 4)
    path = tmp_path / "like.osu"
    path.write_text(format_osu(builder.build()), encoding="utf-8")
    (like,) = references_in(path)
    assert like.hold_share == pytest.approx(1 / 3)
    assert like.style == "keyboard"
    assert np.isfinite(like.patterns).all()
    (requested,) = references_of(GenerateConfig(SONG, like=path, holds=0.1, style="pad", patterns={"jack": 0.4}))
    assert (requested.hold_share, requested.style) == (0.1, "pad")
    jack = list(FAMILIES).index("jack")
    assert requested.patterns[jack] == 0.4
    assert requested.patterns[:jack] == like.patterns[:jack]
    path.write_text(format_osu(Chart.from_notes([0], [0], timing_points=(TimingPoint(0, 500),))), encoding="utf-8")
    with pytest.raises(ChartFileError, match="nothing to follow"):
        references_in(path)


def requested(**shares: float) -> ChartTarget:
    return ChartTarget(3.5, patterns=tuple(shares.get(name, np.nan) for name in FAMILIES))


def test_rows_are_those_of_the_requested_patterns():
    few, many = (RowShares.of(requested(chordjack=share)) for share in (0.0, 0.5))
    assert many.repeats > few.repeats + 0.3
    assert sum(many.chords) > sum(few.chords) + 0.2
    assert RowShares.of(requested(jumpstream=0.8)).repeats < RowShares.of(requested(jumpstream=0.1)).repeats
    assert RowShares.of(requested(handstream=0.6)).chords[1] > RowShares.of(requested(handstream=0.0)).chords[1]
    both = RowShares.of(requested(stream=0.6, chordjack=0.4))
    assert RowShares.of(requested(stream=1.0)).repeats < both.repeats < RowShares.of(requested(chordjack=1.0)).repeats
    assert RowShares.of(ChartTarget(3.5)) == RowShares()


def test_row_shares_are_corrected_by_the_patterns_that_are_missing():
    target, nothing = requested(chordjack=0.2), np.zeros(len(FAMILIES))
    wanted = RowShares.of(target)
    more, less = wanted.corrected(target, nothing), wanted.corrected(target, nothing + 0.6)
    assert more.repeats > wanted.repeats > less.repeats
    assert sum(more.chords) > sum(wanted.chords) > sum(less.chords)
    assert min(wanted.corrected(target, nothing + 1.0).chords) >= 0
    assert sum(wanted.varied(9.0, 9.0).chords) <= 1
    free = ChartTarget(3.0)
    assert RowShares.of(free).corrected(free, nothing) == RowShares()


def test_a_density_is_that_of_the_request_before_that_of_the_reference():
    assert references_of(GenerateConfig(song=SONG, density=0.7))[0].density == 0.7
    assert references_of(GenerateConfig(song=SONG))[0].density == 1.0
