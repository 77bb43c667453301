"""Augmented windows stay valid: their rows are as legal as before, and the human's rows stay the target."""

import numpy as np
import pytest

from mapper.data.augment import augmented, augmented_window, noisy_history
from mapper.tokens.row_codes import HELD_AFTER, LEGAL, STARTS_HOLD, SYMBOLS, TAP, held_states
from mapper.tokens.vocabulary import BEAT_STATES, SIDE_CHANNELS

TAP_0, START_1, END_1, TAP_3 = 1, 2 << 2, 3 << 2, 1 << 6


@pytest.fixture
def rows():
    code = np.tile([TAP_0, START_1, TAP_3, END_1, TAP_3, TAP_0], 20)
    return np.arange(code.size) * 12, code, held_states(code)


def test_noisy_history_is_legal_and_differs_but_keeps_every_hold(rows):
    slot, code, held = rows
    changed = 0
    for seed in range(20):
        noisy_slot, noisy_code = noisy_history(slot, code, held, slot + 6, np.random.default_rng(seed))
        state = 0
        assert (np.diff(noisy_slot) > 0).all()
        for row in noisy_code:
            assert LEGAL[state, row]
            state = HELD_AFTER[state, row]
        assert state == 0
        assert STARTS_HOLD[noisy_code].sum() == STARTS_HOLD[code].sum()
        changed += not np.array_equal(noisy_code, code)
    assert changed >= 18


def test_an_added_row_never_touches_a_held_column(rows):
    slot, code, held = rows
    for seed in range(20):
        noisy_slot, noisy_code = noisy_history(slot, code, held, slot + 6, np.random.default_rng(seed))
        for at, row in zip(noisy_slot, noisy_code, strict=True):
            if at % 12 == 6:
                before = held[np.searchsorted(slot, at) - 1]
                assert not any(SYMBOLS[row, column] and before >> column & 1 for column in range(4))


def stretch() -> dict:
    frames = np.zeros((1000, 64 + SIDE_CHANNELS), np.float32)
    frames[500] = 1
    return {
        "mel": frames,
        "slot_frame": np.array([500.0], np.float32),
        "beat_ms": np.array([400.0], np.float32),
        "code": np.array([0, TAP_0]),
        "held": np.array([0, 0]),
        "next_code": np.array([TAP_0]),
        "mirrored": np.zeros(2, np.float32),
        "next_held": np.array([1]),
        "controls": np.array([4.0, 8.0, 0.1, 2, *[0.5] * 6], np.float32),
    }


def test_a_sound_stays_at_its_slot_whatever_the_tempo():
    tempos = set()
    for seed in range(40):
        arrays = augmented(stretch(), np.random.default_rng(seed))
        mel = arrays["mel"][:, :64].sum(1)
        if mel.any():  # else the bands, or the time around the sound, are left out
            centre = float((mel * np.arange(len(mel))).sum() / mel.sum())
            assert centre == pytest.approx(float(arrays["slot_frame"][0]), abs=2.5)
        tempos.add(round(float(arrays["beat_ms"][0]), 2))
    assert len(tempos) > 5


def test_code_target_and_held_state_are_mirrored_together():
    seen = set()
    for seed in range(40):
        arrays = augmented(stretch(), np.random.default_rng(seed))
        code, target, held = int(arrays["code"][1]), int(arrays["next_code"][0]), int(arrays["next_held"][0])
        column = int(np.flatnonzero(SYMBOLS[code])[0])
        assert target == code
        assert held == 1 << column
        seen.add(column)
    assert seen == {0, 1, 2, 3}


def test_controls_are_left_out_alone_and_all_together():
    dropped = np.array([np.isnan(augmented(stretch(), np.random.default_rng(seed))["controls"]) for seed in range(300)])
    share = dropped.mean(0)
    assert 0.15 < share[0] < 0.45
    assert (dropped[:, 4:] == dropped[:, 4:5]).all()
    assert dropped[:, [0, 1, 2, 4]].all(1).any()
    assert (~dropped).all(1).any()


def test_mirrored_windows_are_flagged():
    for seed in range(40):
        arrays = augmented(stretch(), np.random.default_rng(seed))
        mirrored, swapped = arrays["mirrored"].astype(bool)
        column = 3 if mirrored else 0
        assert SYMBOLS[arrays["code"][1], (column + 2) % 4 if swapped else column] == TAP


def test_silence_stays_silent_whatever_the_equaliser():
    for seed in range(20):
        mel = augmented(stretch(), np.random.default_rng(seed))["mel"][:, :64].sum(1)
        assert (mel > 0).sum() <= 3, "one frame sounded, a change of tempo may spread it"


def test_charts_of_a_window_share_its_sound_and_tempo():
    for seed in range(20):
        window = augmented_window([stretch(), stretch(), stretch()], np.random.default_rng(seed))
        slower = float(window[0]["beat_ms"][0]) / 400
        for arrays in window:
            assert arrays["mel"] is window[0]["mel"]
            assert arrays["slot_frame"] is window[0]["slot_frame"]
            stars = arrays["controls"][0]
            assert np.isnan(stars) or stars == pytest.approx(4.0 / slower, rel=1e-5)
    assert len({tuple(np.isnan(arrays["controls"])) for arrays in window}) > 1, "each chart's controls are its own"


def test_every_kind_of_channel_is_left_out_now_and_then_and_never_silences_all_for_long():
    out = np.zeros(3, int)
    for seed in range(200):
        arrays = stretch()
        arrays["mel"][:] = 0.5
        mel = augmented(arrays, np.random.default_rng(seed))["mel"]
        parts = mel[:, :64], mel[:, 64 : 64 + SIDE_CHANNELS - BEAT_STATES], mel[:, -BEAT_STATES:]
        out += [not part.any() for part in parts]
        silent = ~mel.any(1)
        assert silent.sum() <= 2 * 110 or not any(part.any() for part in parts)
    assert (out > 5).all()
    assert (out < 60).all()
