"""Values of sections: the song terms against the reward's own, the playtest, sections that are known to be bad."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from chart.model import Chart
from env.returns import slot_musicality
from env.returns.section_return import (
    TERM_NAMES,
    Job,
    Scorer,
    ScoringConfig,
    chart_of,
    phrase_ms,
    play_all,
)
from env.task import dynamics
from mapper.tokens.row_codes import STARTS_NOTE, Rows
from reward.core.batch_view import view_of
from reward.core.inputs import Inputs
from reward.terms import musicality
from reward.terms.local_musicality import choice
from runtime.errors import ConfigError
from tests.env_cases import episode_at, library

MEASURES = (
    musicality.onsets,
    musicality.support,
    musicality.coverage,
    musicality.silence,
    musicality.presence,
    choice,
)


def state_with(slots: np.ndarray, codes: np.ndarray, stars: float = 3.0) -> dynamics.State:
    """Two phrases of the first demo song with these rows (slots from the section's first)."""
    episode = episode_at(stars=stars)
    return dynamics.initial(library(), [replace(episode, before=Rows(slots + episode.first_slot, codes))])


def stream(codes: list[int], every: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Rows every so many slots (24 a beat) through both phrases, cycling through the codes."""
    slots = np.arange(0, 32 * 24, every)
    return slots, np.resize(codes, slots.size)


@pytest.mark.parametrize("seed", range(4))
def test_song_terms_are_the_rewards_own(seed: int) -> None:
    random = np.random.default_rng(seed)
    slots = np.sort(random.choice(np.arange(0, 16 * 24, 6), 40, replace=False))
    state = state_with(slots, 4 ** random.integers(0, 4, 40))
    job, song = Job(0, 0, 4, 0), library().songs[0]
    start, end = phrase_ms(state, job)
    chart = chart_of(library(), state, job)
    view = view_of([chart], [(start, end - 1)])
    at = int(np.argmin(np.abs(view.section_start_ms - view.offset_ms[0] - start)))
    theirs = [measure(view, Inputs(np.array([3.0]), [song.song])).section[at] for measure in MEASURES]
    rows = state.rows_of(0)
    heads = rows.slot[STARTS_NOTE[rows.code]]
    ours = slot_musicality.follow(song, slot_musicality.onset_features(song), heads, start, end)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def value_of(slots: np.ndarray, codes: np.ndarray, stars: float = 1.5) -> float:
    """The value of both phrases for a target that the plain stream of half beats meets."""
    scorer = Scorer(library(), ScoringConfig(players=16))
    jobs = [Job(0, phrase, 4, 1) for phrase in range(2)]
    return float(scorer.value(state_with(slots, codes, stars), jobs).value.mean())


ODD = np.sort(np.random.default_rng(0).choice([slot for slot in range(32 * 24) if slot % 6 in (1, 2, 4, 5)], 64, False))
"""Slots at 1/16, 1/12 and 1/8 that no pattern prepares."""


def test_what_is_known_to_be_bad_earns_less() -> None:
    good = value_of(*stream([1, 16, 4, 64, 16, 1, 64, 4]))
    bad = {
        "empty": value_of(np.empty(0, np.int64), np.empty(0, np.int64)),
        "jack wall": value_of(*stream([1], every=6)),
        "quads": value_of(*stream([85])),
        "one hand": value_of(*stream([1, 4], every=6)),
        "odd snaps": value_of(ODD, np.resize([1, 16, 4, 64], ODD.size)),
    }
    assert 0.0 < good <= 1.0
    assert {name for name, value in bad.items() if value >= good - 0.02} == set()


def test_players_are_the_same_for_a_seed_and_others_for_another() -> None:
    chart = Chart.from_notes(np.arange(100) * 90.0, np.arange(100) % 4)
    one, same, other = (play_all([chart], seed, 4.0, 8)[0] for seed in (1, 1, 2))
    assert one is not None
    assert same is not None
    assert other is not None
    assert (one.grade == same.grade).all()
    assert (one.population.skills != other.population.skills).any()


def test_siblings_play_in_one_sitting_without_tiring() -> None:
    chart = Chart.from_notes(np.arange(400) * 80.0, np.arange(400) % 4)
    played = play_all([chart] * 6, 3, 5.0, 64)
    misses = [float((one.grade == 5).mean()) for one in played if one is not None]
    assert len(misses) == 6
    assert abs(misses[-1] - misses[0]) < 0.02


def test_a_playtest_needs_players() -> None:
    with pytest.raises(ConfigError, match="--players is 1; give 4–512"):
        ScoringConfig(players=1)


def test_terms_have_bands_and_weights() -> None:
    scorer = Scorer(library())
    assert scorer.weight.shape == (len(TERM_NAMES),)
    assert (scorer.weight > 0).all()
