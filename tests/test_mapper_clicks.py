"""A chart to listen to: clicks where notes are, over the song."""

import numpy as np

from mapper.pretraining.sonify import with_clicks
from tests.builders import ChartBuilder

RATE = 22_050


def test_clicks_sound_where_notes_are_and_chords_are_louder():
    chart = ChartBuilder().bpm(120, 0.0).note(1100.0, 0).note(1500.0, 1).note(1500.0, 2).note(5000.0, 3).build()
    sound = with_clicks(chart, 1000.0, 2000.0, RATE)
    assert sound.shape == (RATE,)
    loud = np.flatnonzero(np.abs(sound) > 0.02) / RATE * 1000
    assert loud.min() >= 99
    assert set(np.unique(np.round(loud / 100))) == {1, 5}
    assert np.abs(sound[RATE // 4 :]).max() > 1.5 * np.abs(sound[: RATE // 4]).max()


def test_the_song_is_under_the_clicks_also_where_the_excerpt_begins_before_it():
    song = np.full(RATE, 0.1, np.float32)
    sound = with_clicks(ChartBuilder().bpm(120, 0.0).note(-900.0, 0).build(), -500.0, 500.0, RATE, song)
    assert not sound[: RATE // 2 - 1].any()
    assert np.allclose(sound[RATE // 2 + 1 :], 0.5)
