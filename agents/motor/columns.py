"""Names of the columns of the arrays that the compiled hand model takes; times are real ms (map ms / rate)."""

import numpy as np

# columns of the [note, feature] array built by agents.motor.note_features
(
    TIME,  # target time of the press; flams are already collapsed
    END,  # end of a hold, NO_END for taps
    RELEASE_SHIFT,  # mean release error: late on long gaps, early where the column's next note is near
    COLUMN_RATE,  # 1 / ms since the column's last note was to be released
    HAND_GAP,  # since the hand's last row
    KEEP_HAND,  # fraction of the hand's phase kept since the hand's last row, …
    RENEW_HAND,  # … and the size of the new part, √(1 − kept²)
    KEEP_DRIFT,  # fraction of the slow drift kept since the last row, …
    RENEW_DRIFT,  # … and the size of the new part
    RATE,  # movements of the hand per second: a chord is one, and a little for its second note
    RATE_END,  # the same where a hold ends
    TIRED_SHORT,  # the same, leaky mean over the last seconds
    TIRED_LONG,  # the same, leaky mean over the last minutes
    READING,  # rows/s to be read ahead, weighted by their irregularity
    HELD,  # 1 while the hand's other finger holds a note
    SLIP,  # 1 where the hand's other column is free for a stray press
    BESIDE,  # other notes of the row, 0–3
    KEEP_FINGER,  # fraction of the finger's own error kept since the column's last note, …
    RENEW_FINGER,  # … and the size of the new part
    NEXT_RATE,  # 1 / ms until the column's next note
) = range(20)
FEATURES = 20
NO_END = np.float32(-1e9)

# columns of the [player, profile] array built by agents.motor.population
(
    SPREAD_MS,  # error SD in easy places
    BIAS_MS,  # mean error of the whole play
    SPEED,  # movements of one hand per second at which the spread has about doubled
    STAMINA,  # fraction of SPEED that can be kept up without tiring
    REPEAT_MS,  # shortest time between two presses of a finger
    READ,  # rows/s that can be read
    RELEASE_MS,  # error SD of releases in easy places
    HOLD_MS,  # length of a tap, median
    LEFT,  # SPEED of the left hand relative to the mean of both; the right has 2 − LEFT
) = range(9)
PROFILE = 9

# constants shared by all players, see agents.motor.constants.HandConstants for unit and source
(
    LINEAR_LOAD,
    STEEP_LOAD,
    JACK_LOAD,
    FINGER_SHARE,
    DRIFT_SHARE,
    REPEAT_JITTER,
    TRILL_SHARE,
    FLAM_MS,
    TIRE_SHORT,
    TIRE_LONG,
    READ_LOAD,
    LAPSE,
    LAPSE_LOAD,
    STRAY,
    GIVE_UP_MS,
    LIFT_MS,
    RELEASE_SHARED,
    HOLD_JITTER,
    HELD_LOAD,
    LAPSE_JACK,
    HELD_RATE,
    CHORD_EASE,
    CHORD_COUPLING,
    JACK_LATE_MS,
    JACK_EARLY_MS,
) = range(25)
CONSTANTS = 25
