"""Compiled hands: two hands of two fingers press and release keys with human errors.

Facts behind the structure are in REFERENCES.md §3; every constant is named in `agents.motor.constants` with unit and source.
`LANES` players play each note side by side, so that the compiler can use vector instructions: their state is one flat array of
float32 rows (`ROW + lane`), and every step below is a loop over lanes. Only `draw` and `press_keys` look up or branch per lane.

The random numbers are drawn here, by a counter-based generator that is given its seed (STYLE asks for pre-drawn
arrays): drawing four normal deviates a note beforehand would cost more than playing the note does, and a counter
makes every player's play independent of how many play beside it and on how many threads.
The steps are compiled with their caller in this file, so its compile cache cannot go stale.
"""

import numpy as np

from agents.motor import columns
from runtime.loops import njit

LANES = np.uint64(32)
"""Players side by side; a multiple of every vector length."""
(
    PHASE, FINGER, FREE, LAST, SLOWNESS, EFFORT, DRIFT, READABLE, SPREAD, BIAS, REPEAT, RELEASE, TAP,
    NEW_DRIFT, NEW_PHASE, NEW_FINGER, TIMING, CHANCE, OTHER_DRAW, TIRED, STRAIN, MISS_BY, DANGER, EARLY, TARGET, AT, UP, JACK,
) = (LANES * np.uint64(row) for row in (0, 2, 6, 10, 14, 16, *range(18, 40)))  # fmt: skip
"""First place of each row of the state. PHASE, SLOWNESS and EFFORT have a row for each hand, FINGER, FREE and LAST for each key;
they stand before the others, and places are unsigned, so that the compiler sees that no two rows overlap."""
ROWS = 40
KEYS = np.uint64(4)
NEXT = np.uint64(1)
"""Places are unsigned: signed ones may count from the end of an array, which takes the loop time to rule out."""
ONE = np.float32(1.0)
ZERO = np.float32(0.0)
NEVER = np.float32(-1e9)
SKIPPED = np.float32(1e9)  # time of a press that is left out
MOST_EARLY = np.float32(3.0)
"""Most that one starts early, in JACK_EARLY_MS: repeats faster than about .7 of the shortest are not played as such."""
STRAY_MS = np.float32(40.0)  # length of a stray press

BITS = 12  # a normal deviate is looked up by this many random bits
MASK = np.uint64((1 << BITS) - 1)
STEP = np.uint64(0x9E3779B97F4A7C15)  # splitmix64, Steele et al. 2014, public domain


@njit(nogil=True, inline="always")
def mix(counter):  # type: ignore[no-untyped-def]
    """splitmix64's finaliser: 64 random bits of a counter."""
    z = (counter ^ (counter >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(nogil=True)
def sit_down(players, seeds, hand_table, counters, lanes):  # type: ignore[no-untyped-def]
    """Fill the lanes' state before the first note; `counters` [2, lane]: of the notes' draws, and of the releases'."""
    for lane in range(LANES):
        me = players[min(lane, np.uint64(players.shape[0] - 1))]
        counters[0, lane] = mix(seeds[min(lane, np.uint64(players.shape[0] - 1))])
        first = mix(counters[0, lane])
        counters[1, lane] = first
        lanes[DRIFT + lane] = hand_table[first & MASK]
        lanes[PHASE + lane] = hand_table[(first >> np.uint64(12)) & MASK]
        lanes[PHASE + LANES + lane] = hand_table[(first >> np.uint64(24)) & MASK]
        left = ONE / (me[columns.SPEED] * me[columns.LEFT])
        right = ONE / (me[columns.SPEED] * (np.float32(2.0) - me[columns.LEFT]))
        lanes[SLOWNESS + lane], lanes[SLOWNESS + LANES + lane] = left, right
        lanes[EFFORT + lane], lanes[EFFORT + LANES + lane] = left / me[columns.STAMINA], right / me[columns.STAMINA]
        lanes[READABLE + lane] = ONE / me[columns.READ]
        lanes[SPREAD + lane], lanes[BIAS + lane], lanes[REPEAT + lane] = (
            me[columns.SPREAD_MS],
            me[columns.BIAS_MS],
            me[columns.REPEAT_MS],
        )
        lanes[RELEASE + lane], lanes[TAP + lane] = me[columns.RELEASE_MS], me[columns.HOLD_MS]
        lanes[OTHER_DRAW + lane] = ZERO
        for key in range(KEYS):
            lanes[FINGER + LANES * key + lane] = ZERO
            lanes[FREE + LANES * key + lane] = lanes[LAST + LANES * key + lane] = NEVER


@njit(nogil=True)
def draw(note, counters, tables, lanes):  # type: ignore[no-untyped-def]
    """Draw the note's deviates of unit variance and a uniform CHANCE, each lane from its own counter."""
    hand_table, finger_table = tables
    ahead = np.uint64(note + 1) * STEP
    for lane in range(LANES):
        bits = mix(counters[0, lane] + ahead)
        lanes[NEW_DRIFT + lane] = hand_table[bits & MASK]
        lanes[NEW_PHASE + lane] = hand_table[(bits >> np.uint64(12)) & MASK]
        lanes[NEW_FINGER + lane] = finger_table[(bits >> np.uint64(24)) & MASK]
        lanes[TIMING + lane] = finger_table[(bits >> np.uint64(36)) & MASK]
        lanes[CHANCE + lane] = np.float32(bits >> np.uint64(48)) * np.float32(1.0 / 65536.0)


@njit(nogil=True)
def wander(f, hand, key, coupling, constants, lanes):  # type: ignore[no-untyped-def]
    """Move drift, the hand's phase and the finger's own error on to this note; MISS_BY is their sum, of unit variance.

    coupling: correlation of this note's draw with the last one's, above 0 where two hands strike together.
    """
    drift_size, finger_size = np.sqrt(constants[columns.DRIFT_SHARE]), np.sqrt(constants[columns.FINGER_SHARE])
    hand_size = np.sqrt(ONE - constants[columns.DRIFT_SHARE] - constants[columns.FINGER_SHARE])
    apart = np.sqrt(ONE - coupling * coupling)
    phase, finger = PHASE + LANES * hand, FINGER + LANES * key
    keep_drift, renew_drift, keep_hand, renew_hand = (
        f[columns.KEEP_DRIFT],
        f[columns.RENEW_DRIFT],
        f[columns.KEEP_HAND],
        f[columns.RENEW_HAND],
    )
    keep_finger, renew_finger = f[columns.KEEP_FINGER], f[columns.RENEW_FINGER]
    for lane in range(LANES):  # three loops, for in one the compiler loses track of the rows
        lanes[DRIFT + lane] = keep_drift * lanes[DRIFT + lane] + renew_drift * lanes[NEW_DRIFT + lane]
        lanes[MISS_BY + lane] = drift_size * lanes[DRIFT + lane]
    for lane in range(LANES):
        new = coupling * lanes[OTHER_DRAW + lane] + apart * lanes[NEW_PHASE + lane]
        swing = keep_hand * lanes[phase + lane] + renew_hand * new
        lanes[OTHER_DRAW + lane], lanes[phase + lane] = new, swing
        lanes[MISS_BY + lane] += hand_size * swing
    for lane in range(LANES):
        own = keep_finger * lanes[finger + lane] + renew_finger * lanes[NEW_FINGER + lane]
        lanes[finger + lane] = own
        lanes[MISS_BY + lane] += finger_size * own


@njit(nogil=True)
def strain(f, hand, constants, lanes):  # type: ignore[no-untyped-def]
    """Difficulty of this moment for each player: TIRED, STRAIN (1 = easy), and JACK, shortest repeat / column gap."""
    short, long = constants[columns.TIRE_SHORT], constants[columns.TIRE_LONG]
    linear, steep = constants[columns.LINEAR_LOAD], constants[columns.STEEP_LOAD]
    jack_load, read_load = constants[columns.JACK_LOAD], constants[columns.READ_LOAD]
    held_load = constants[columns.HELD_LOAD] * f[columns.HELD]
    held_rate = ONE + constants[columns.HELD_RATE] * f[columns.HELD]
    rate, reading, column_rate = f[columns.RATE], f[columns.READING], f[columns.COLUMN_RATE]
    tired_short, tired_long = f[columns.TIRED_SHORT], f[columns.TIRED_LONG]
    slowness, effort = SLOWNESS + LANES * hand, EFFORT + LANES * hand
    for lane in range(LANES):
        tired, worn = tired_short * lanes[effort + lane], tired_long * lanes[effort + lane]
        tired = short * tired * tired + long * worn * worn
        load = rate * lanes[slowness + lane] * (ONE + tired) * held_rate
        jack = lanes[REPEAT + lane] * (ONE + tired) * column_rate
        read = reading * lanes[READABLE + lane]
        read *= read
        read *= read
        jack_square = jack * jack
        square = load * load
        total = ONE + linear * load + steep * square * square
        lanes[STRAIN + lane] = total + (jack_load * (jack * jack_square) + read_load * read + held_load)
        lanes[TIRED + lane], lanes[JACK + lane] = tired, jack


@njit(nogil=True)
def anticipate(f, constants, lanes):  # type: ignore[no-untyped-def]
    """Write three features of every event: DANGER, the probability of a lapse; TARGET, the time aimed at in ms; EARLY, the ms
    by which a press begins before its target because its column is pressed again soon."""
    lapse, lapse_jack, lapse_load = (
        constants[columns.LAPSE],
        constants[columns.LAPSE_JACK],
        constants[columns.LAPSE_LOAD],
    )
    late_ms, early_ms = constants[columns.JACK_LATE_MS], constants[columns.JACK_EARLY_MS]
    time, next_rate = f[columns.TIME], f[columns.NEXT_RATE]
    for lane in range(LANES):
        jack, over = lanes[JACK + lane], lanes[STRAIN + lane] - ONE
        jack_square = jack * jack
        jack_cube = jack * jack_square
        coming = lanes[REPEAT + lane] * (ONE + lanes[TIRED + lane]) * next_rate
        danger = lapse + lapse_jack * jack_cube * jack_square
        danger += lapse_load * over * over * over * jack_square * lanes[SPREAD + lane] * np.float32(0.01)
        lanes[DANGER + lane] = danger
        lanes[EARLY + lane] = early_ms * min(max(coming * coming * coming - jack_cube, ZERO), MOST_EARLY)
        lanes[TARGET + lane] = time + lanes[BIAS + lane] + late_ms * jack_cube


@njit(nogil=True)
def aim(f, key, constants, lanes):  # type: ignore[no-untyped-def]
    """Time AT of each lane's press in ms, `SKIPPED` where it is left out, and UP, where a tap would end.

    Who must soon repeat as fast as the finger can starts early; a finger that is not ready yet presses late; and who is
    too late leaves the note out.
    """
    ease, jitter, trill = (
        ONE - constants[columns.CHORD_EASE] * f[columns.BESIDE],
        constants[columns.REPEAT_JITTER],
        constants[columns.TRILL_SHARE],
    )
    give_up, hold_jitter = constants[columns.GIVE_UP_MS], constants[columns.HOLD_JITTER]
    if f[columns.HAND_GAP] <= constants[columns.FLAM_MS]:
        trill = NEVER  # one movement: the fingers of a hand do not wait for one another
    last, beside, free = LAST + LANES * key, LAST + LANES * (key ^ np.uint64(1)), FREE + LANES * key
    for lane in range(LANES):
        spread = lanes[SPREAD + lane] * lanes[STRAIN + lane] * ease
        ahead = lanes[TARGET + lane] + spread * lanes[MISS_BY + lane] - lanes[EARLY + lane]
        repeat, tired, timing = lanes[REPEAT + lane], ONE + lanes[TIRED + lane], lanes[TIMING + lane]
        ready = lanes[last + lane] + repeat * (tired + jitter * timing)
        ready = max(ready, lanes[beside + lane] + trill * repeat * tired)
        at = max(max(ahead, ready), lanes[free + lane])
        lanes[UP + lane] = at + lanes[TAP + lane] * max(np.float32(0.4), ONE + hold_jitter * timing)
        lapsed = lanes[CHANCE + lane] < lanes[DANGER + lane] or at - lanes[TARGET + lane] > give_up
        lanes[AT + lane] = SKIPPED if lapsed else at


@njit(nogil=True)
def hold_on(f, hand, counters, hand_table, constants, lanes):  # type: ignore[no-untyped-def]
    """UP for a hold: the fingers of a hand let go together, so that notes that end at one time share a deviate."""
    both, own = np.sqrt(constants[columns.RELEASE_SHARED]), np.sqrt(ONE - constants[columns.RELEASE_SHARED])
    linear, steep = constants[columns.LINEAR_LOAD], constants[columns.STEEP_LOAD]
    moment = np.uint64(np.int64(f[columns.END])) * STEP + hand
    for lane in range(LANES):
        load = f[columns.RATE_END] * lanes[SLOWNESS + LANES * hand + lane] * (ONE + lanes[TIRED + lane])
        slack = ONE + linear * load + steep * load * load * load * load
        bits = mix(counters[1, lane] + moment)
        miss_by = both * hand_table[bits & MASK] + own * lanes[TIMING + lane]
        up = f[columns.END] + f[columns.RELEASE_SHIFT] + lanes[RELEASE + lane] * slack * miss_by
        lanes[UP + lane] = max(lanes[UP + lane], up)


@njit(nogil=True)
def press_keys(f, key, room, constants, keys, rate, lanes):  # type: ignore[no-untyped-def]
    """Write each lane's press and release of this note in whole map ms, and a stray press of the neighbouring finger."""
    press, release, press_at, count = keys
    beside = key ^ NEXT
    first, first_beside = np.uint64(press_at[key]), np.uint64(press_at[beside])
    full, full_beside = np.uint64(room[key]), np.uint64(room[beside])
    strays, lift = f[columns.SLIP] > 0, constants[columns.LIFT_MS]
    for lane in range(np.uint64(press.shape[0])):
        at, place = lanes[AT + lane], np.uint64(count[lane, key])
        if at == SKIPPED or place >= full:
            continue
        down_at, spot = np.int32(np.rint(at * rate)), first + place
        if place and release[lane, spot - NEXT] >= down_at:  # a finger lifts before it presses again
            release[lane, spot - NEXT] = max(press[lane, spot - NEXT] + 1, down_at - 1)
            down_at = max(down_at, release[lane, spot - NEXT] + 1)
        press[lane, spot] = down_at
        release[lane, spot] = max(down_at + 1, np.int32(np.rint(lanes[UP + lane] * rate)))
        count[lane, key] = place + NEXT
        lanes[LAST + LANES * key + lane], lanes[FREE + LANES * key + lane] = at, at + lift
        if strays and lanes[CHANCE + lane] > ONE - constants[columns.STRAY] * lanes[STRAIN + lane]:
            place = np.uint64(count[lane, beside])
            spot = first_beside + place
            if place < full_beside and (place == 0 or release[lane, spot - NEXT] < down_at):
                press[lane, spot], release[lane, spot] = down_at, down_at + np.int32(STRAY_MS * rate)
                count[lane, beside] = place + NEXT


@njit(nogil=True)
def play_hands(notes, players, constants, tables, seeds, keys, rate):  # type: ignore[no-untyped-def]
    """Press keys for up to `LANES` players.

    notes: (features [note, 20] float32, column [note] int8) in time order; players: [player, 9] float32;
    constants: [25] float32; tables: (hand, finger) [4096] float32 quantiles of unit variance;
    seeds: [player] uint64; rate: map ms per real ms.
    keys: (press, release, press_at, count) as in `agents.judgement.judge.Presses`, filled here, whole map ms; a column that
    runs out of room keeps what it has.
    """
    features, column = notes
    press, _, press_at, count = keys
    room = np.empty(4, np.int64)
    for key in range(4):
        room[key] = (press_at[key + 1] if key < 3 else press.shape[1]) - press_at[key]
    lanes, counters = np.zeros(ROWS * 32, np.float32), np.empty((2, 32), np.uint64)
    sit_down(players, seeds, tables[0], counters, lanes)
    count[:] = 0
    before = np.uint64(0)  # hand of the note before
    for note in range(column.size):
        f, key = features[note], np.uint64(column[note])
        hand = key >> np.uint64(1)
        together = f[columns.KEEP_DRIFT] == ONE and hand != before  # one row, two hands
        draw(note, counters, tables, lanes)
        wander(f, hand, key, constants[columns.CHORD_COUPLING] if together else ZERO, constants, lanes)
        strain(f, hand, constants, lanes)
        anticipate(f, constants, lanes)
        aim(f, key, constants, lanes)
        if f[columns.END] > columns.NO_END:
            hold_on(f, hand, counters, tables[0], constants, lanes)
        press_keys(f, key, room, constants, keys, rate, lanes)
        before = hand
