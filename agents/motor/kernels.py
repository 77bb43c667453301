"""Compiled hands: two hands of two fingers press and release keys with human errors.

Facts behind the structure are in REFERENCES.md §3; every constant is named in `agents.motor.constants` with unit and source.
The random numbers are drawn here, by a counter-based generator that is given its seed (STYLE asks for pre-drawn
arrays): drawing four normal deviates a note beforehand would cost more than playing the note does, and a counter
makes every player's play independent of how many play beside it and on how many threads.
This file calls no other file's compiled code, so its compile cache cannot go stale.
"""

import numpy as np
from numba import njit

# columns of the [note, feature] array built by agents.motor.note_features; times are real ms (map ms / rate)
(
    TIME,  # target time of the press; flams are already collapsed
    END,  # end of a hold, NO_END for taps
    RELEASE_SHIFT,  # mean release error: late on long gaps, early where the column's next note is near
    COLUMN_RATE,  # 1 / ms since the column's last note was to be let go
    HAND_GAP,  # since the hand's last row
    KEEP_HAND,  # share of the hand's phase kept since the hand's last row, …
    RENEW_HAND,  # … and the size of what comes anew, √(1 − kept²)
    KEEP_DRIFT,  # share of the slow drift kept since the last row, …
    RENEW_DRIFT,  # … and the size of what comes anew
    RATE,  # movements of the hand per second: a chord is one, and a little for its second note
    RATE_END,  # the same where a hold ends
    TIRED_SHORT,  # the same, leaky mean over the last seconds
    TIRED_LONG,  # the same, leaky mean over the last minutes
    READING,  # rows/s to be read ahead, weighted by their irregularity
    HELD,  # 1 while the hand's other finger holds a note
    SLIP,  # 1 where the hand's other column is free for a stray press
    BESIDE,  # other notes of the row, 0–3
    KEEP_FINGER,  # share of the finger's own error kept since the column's last note, …
    RENEW_FINGER,  # … and the size of what comes anew
    NEXT_RATE,  # 1 / ms until the column's next note
) = range(20)
FEATURES = 20
NO_END = np.float32(-1e9)

# columns of the [player, profile] array built by agents.motor.population
(
    SPREAD_MS,  # error SD in easy places
    BIAS_MS,  # mean error of the whole play
    SPEED,  # movements of one hand per second at which the spread has about doubled
    STAMINA,  # share of SPEED that can be kept up without tiring
    REPEAT_MS,  # shortest time between two presses of a finger
    READ,  # rows/s that can be read
    RELEASE_MS,  # error SD of releases in easy places
    HOLD_MS,  # how long a tap is held, median
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
MOST_EARLY = np.float32(3.0)  # times JACK_EARLY_MS: repeats faster than about .7 of the shortest are not played as such

BITS = 12  # a normal deviate is looked up by this many random bits
MASK = np.uint64((1 << BITS) - 1)
STEP = np.uint64(0x9E3779B97F4A7C15)  # splitmix64, Steele et al. 2014, public domain


@njit(cache=True, nogil=True, inline="always")
def mix(counter):  # type: ignore[no-untyped-def]
    """splitmix64's finaliser: 64 random bits of a counter."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def play_hands(notes, players, constants, tables, seeds, keys, rate):  # type: ignore[no-untyped-def]
    """Press keys for every player.

    notes: (features [note, 20] float32, column [note] int8) in time order; players: [player, 9] float32;
    constants: [25] float32; tables: (hand, finger) [4096] float32 quantiles of unit variance;
    seeds: [player] uint64; rate: map ms per real ms.
    keys: (press, release, press_at, count) as in `agents.judgement.judge.Presses`, filled here, whole map ms; a column that
    runs out of room keeps what it has.
    """
    features, column = notes
    hand_table, finger_table = tables
    press, release, press_at, count = keys
    room = np.empty(4, np.int64)
    for c in range(3):
        room[c] = press_at[c + 1] - press_at[c]
    room[3] = press.shape[1] - press_at[3]
    phase = np.zeros(2, np.float32)
    finger = np.zeros(4, np.float32)  # each finger's own error, unit variance
    slowness = np.empty(2, np.float32)  # of each hand, s a movement
    effort = np.empty(2, np.float32)  # the same against what it can keep up
    free = np.empty(4, np.float32)
    last = np.empty(4, np.float32)
    drift_size = np.sqrt(constants[DRIFT_SHARE])
    finger_size = np.sqrt(constants[FINGER_SHARE])
    hand_size = np.sqrt(np.float32(1.0) - constants[DRIFT_SHARE] - constants[FINGER_SHARE])
    release_both = np.sqrt(constants[RELEASE_SHARED])
    release_own = np.sqrt(np.float32(1.0) - constants[RELEASE_SHARED])
    coupling = constants[CHORD_COUPLING]
    apart = np.sqrt(np.float32(1.0) - coupling * coupling)
    one = np.float32(1.0)
    for player in range(players.shape[0]):
        me = players[player]
        counter = mix(seeds[player])
        first = mix(counter)
        drift = hand_table[first & MASK]
        phase[0] = hand_table[(first >> np.uint64(12)) & MASK]
        phase[1] = hand_table[(first >> np.uint64(24)) & MASK]
        slowness[0] = one / (me[SPEED] * me[LEFT])
        slowness[1] = one / (me[SPEED] * (np.float32(2.0) - me[LEFT]))
        effort[0], effort[1] = slowness[0] / me[STAMINA], slowness[1] / me[STAMINA]
        readable = one / me[READ]
        other_draw, other_hand = np.float32(0.0), 0
        free[:], last[:] = -1e9, -1e9
        count[player, :] = 0
        for n in range(column.size):
            f = features[n]
            c = column[n]
            hand = c >> 1
            counter += STEP  # a new place in the sequence, whatever was drawn before
            dice = mix(counter)
            keep = f[KEEP_DRIFT]
            drift = keep * drift + f[RENEW_DRIFT] * hand_table[dice & MASK]
            draw = hand_table[(dice >> np.uint64(12)) & MASK]
            if keep == one and hand != other_hand:  # two hands that strike together draw one another along
                draw = coupling * other_draw + apart * draw
            other_draw, other_hand = draw, hand
            phase[hand] = f[KEEP_HAND] * phase[hand] + f[RENEW_HAND] * draw
            finger[c] = f[KEEP_FINGER] * finger[c] + f[RENEW_FINGER] * finger_table[(dice >> np.uint64(24)) & MASK]
            timing = finger_table[(dice >> np.uint64(36)) & MASK]
            chance = np.float32(dice >> np.uint64(48)) * np.float32(1.0 / 65536.0)

            # how hard this moment is for this player, 1 = as fast as the hand can go in good order
            tired = f[TIRED_SHORT] * effort[hand]
            worn = f[TIRED_LONG] * effort[hand]
            tired = constants[TIRE_SHORT] * tired * tired + constants[TIRE_LONG] * worn * worn
            load = f[RATE] * slowness[hand] * (one + tired) * (one + constants[HELD_RATE] * f[HELD])
            jack = me[REPEAT_MS] * (one + tired) * f[COLUMN_RATE]
            read = f[READING] * readable
            read *= read
            read *= read
            jack_square = jack * jack
            jack_cube = jack * jack_square
            coming = me[REPEAT_MS] * (one + tired) * f[NEXT_RATE]
            sooner = min(max(coming * coming * coming - jack_cube, np.float32(0.0)), MOST_EARLY)
            steep = load * load
            strain = one + constants[LINEAR_LOAD] * load + constants[STEEP_LOAD] * steep * steep
            strain += constants[JACK_LOAD] * jack_cube + constants[READ_LOAD] * read + constants[HELD_LOAD] * f[HELD]
            spread = me[SPREAD_MS] * strain * (one - constants[CHORD_EASE] * f[BESIDE])

            # a lapse: the note is not played at all
            over = strain - one
            danger = constants[LAPSE] + constants[LAPSE_JACK] * jack_cube * jack_square
            danger += constants[LAPSE_LOAD] * over * over * over * jack_square * me[SPREAD_MS] * np.float32(0.01)
            if chance < danger:
                continue

            target = f[TIME] + me[BIAS_MS] + constants[JACK_LATE_MS] * jack_cube
            error = drift_size * drift + hand_size * phase[hand] + finger_size * finger[c]
            # who must soon repeat as fast as the finger can starts early, to be less late at the end
            aim = target + spread * error - constants[JACK_EARLY_MS] * sooner
            ready = last[c] + me[REPEAT_MS] * (one + tired + constants[REPEAT_JITTER] * timing)
            if f[HAND_GAP] > constants[FLAM_MS]:
                ready = max(ready, last[c ^ 1] + constants[TRILL_SHARE] * me[REPEAT_MS] * (one + tired))
            at = max(aim, ready, free[c])
            if at - target > constants[GIVE_UP_MS]:  # too late to bother: leave it and catch up
                continue
            up = at + me[HOLD_MS] * max(np.float32(0.4), one + constants[HOLD_JITTER] * timing)
            if f[END] > NO_END:
                load = f[RATE_END] * slowness[hand] * (one + tired)
                slack = one + constants[LINEAR_LOAD] * load + constants[STEEP_LOAD] * load * load * load * load
                # fingers of a hand let go together: notes that end at one time share a deviate
                both = mix(first + np.uint64(np.int64(f[END])) * STEP + np.uint64(hand))
                miss_by = release_both * hand_table[both & MASK] + release_own * timing
                up = max(up, f[END] + f[RELEASE_SHIFT] + me[RELEASE_MS] * slack * miss_by)
            place = count[player, c]
            if place >= room[c]:
                continue
            down_at = np.int32(np.rint(at * rate))
            spot = press_at[c] + place
            if place and release[player, spot - 1] >= down_at:  # a finger lifts before it presses again
                release[player, spot - 1] = max(press[player, spot - 1] + 1, down_at - 1)
                down_at = max(down_at, release[player, spot - 1] + 1)
            press[player, spot] = down_at
            release[player, spot] = max(down_at + 1, np.int32(np.rint(up * rate)))
            count[player, c] = place + 1
            last[c], free[c] = at, at + constants[LIFT_MS]

            # a stray press of the neighbouring finger
            if f[SLIP] > 0 and chance > one - constants[STRAY] * strain:
                other = c ^ 1
                place = count[player, other]
                spot = press_at[other] + place
                if place < room[other] and (place == 0 or release[player, spot - 1] < down_at):
                    press[player, spot], release[player, spot] = down_at, down_at + np.int32(40.0 * rate)
                    count[player, other] = place + 1
