"""From stretches that stand out to remarks: what is wrong, in numbers a mapper knows, and what to change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eye.critique.anomaly import Stretch
from eye.critique.explanation import ModelReasons, why
from eye.critique.passage import Place
from eye.critique.row_measures import Measures
from eye.critique.types import Finding, Severity
from reward.core.song import Song
from reward.rules.check import Finding as Breach

NOTE_RARITY, WARNING_RARITY = 0.5, 1.3
"""A remark is made where one human chart in three has as much, a warning where it is one in twenty."""
MOST_PLACES = 100
"""Places that get a remark; charts come from strangers, and no mapper reads more."""
CLOSE_SHARE = 0.75
"""Measures at one place whose rarity is this near to the highest could each give the remark its kind."""
SOFT = {"snap": 0.95, "holds": 0.92, "density": 0.95, "loss": 0.85, "unheard": 0.6}
"""Measures that weigh less. Losses follow from what the others name, an onset can be missed by the Ear; the other three
have long tails among human charts (chosen on train charts with planted faults, docs/eye.md)."""
LOADS = ("jack", "repeat", "density", "holds")
"""Measures of what hands and eyes must bear: they weigh less where the players lose no more than elsewhere."""
HURTS, SPARED = 1.5, 0.75
"""Loss over the chart's own from which a load weighs fully, and what is left of the weight where nothing is lost."""
KINDS = {
    "snap": "unsnapped",  # or RARE_RHYTHM
    "holds": "holds",
    "jack": "jack",
    "repeat": "jack",
    "trill": "trill",
    "anchor": "anchor",
    "hands": "hand-imbalance",
    "density": "density",
    "loss": "difficulty-spike",
    "unheard": "unheard",
}
"""Measure → kind of finding, the more telling first: a jack also loses accuracy, a loss need not be a jack."""
RARE_RHYTHM = "rare-rhythm"
"""Kind of a place on snaps that the grid has and the chart hardly uses, such as a triplet."""
RARE_ROWS = 3
"""Rows of a rare rhythm from which it is one."""
RARE_SNAPS = (0, 5, 7, 9)
OFF_GRID_SHARE = 0.3
"""Share of rows off the grid or on rare snaps from which a place is called unsnapped."""
WALL_SHARE = 0.6
"""Share of rows with one column from which a place is called a jack: two columns in turn are a trill of one hand."""
HANDS = ("left", "right")


def remarks(
    measures: Measures,
    found: Sequence[Stretch],
    breaches: Sequence[Breach],
    target: float,
    song: Song | None,
    reasons: ModelReasons | None = None,
) -> list[Finding]:
    """One finding a place, weightiest first; stretches of several measures at one place become one finding."""
    weight = {stretch: _weight(stretch, measures) for stretch in found if stretch.rarity >= NOTE_RARITY}
    groups: list[list[Stretch]] = []
    for stretch in sorted(weight, key=lambda one: -weight[one]):
        group = next((group for group in groups if _same_place(group[0], stretch, measures)), None)
        if group is not None:
            group.append(stretch)
        elif weight[stretch] >= NOTE_RARITY and len(groups) < MOST_PLACES:
            groups.append([stretch])
    return [_finding(measures, group, weight, breaches, target, song, reasons) for group in groups]


def _weight(stretch: Stretch, measures: Measures) -> float:
    weight = stretch.rarity * SOFT.get(stretch.measure, 1.0)
    if stretch.measure == "snap" and stretch.last - stretch.first + 1 < RARE_ROWS:
        snaps = measures.view.snaps.divisor[measures.view.row_first[stretch.first : stretch.last + 1]]
        weight = weight if np.isin(snaps, RARE_SNAPS).any() else 0.0
    if stretch.measure not in LOADS or measures.plays is None:
        return weight
    notes = np.append(measures.view.row_first, measures.loss.size)
    here = float(measures.loss[notes[stretch.first] : notes[stretch.last + 1]].mean())
    return weight * min(max(here / max(HURTS * float(measures.loss.mean()), 1e-9), SPARED), 1.0)


def _same_place(one: Stretch, two: Stretch, measures: Measures) -> bool:
    """Whether the shorter of the two lies in the longer for the most part."""
    time = measures.row_ms
    shared = min(time[one.last], time[two.last]) - max(time[one.first], time[two.first])
    shorter = min(time[one.last] - time[one.first], time[two.last] - time[two.first])
    return bool(shared >= shorter / 2 and shared >= 0)


def _finding(
    measures: Measures,
    group: list[Stretch],
    weights: dict[Stretch, float],
    breaches: Sequence[Breach],
    target: float,
    song: Song | None,
    reasons: ModelReasons | None,
) -> Finding:
    weight = weights[group[0]]
    order = list(KINDS)
    close = [stretch for stretch in group if weights[stretch] >= CLOSE_SHARE * weight]
    places = {stretch: Place(measures, stretch.first, stretch.last, target, song) for stretch in close}
    telling = [stretch for stretch in close if _fits(stretch, places[stretch])] or close[:1]
    chosen = min(telling, key=lambda stretch: (order.index(stretch.measure), -weights[stretch]))
    place = places[chosen]
    reason, suggestion, columns = TEXTS[chosen.measure](place)
    texts = (reason, _loss_text(place), _music_text(place, chosen.measure), why(reasons, place.inside))
    return Finding(
        place.start_ms,
        place.end_ms,
        _severity(chosen, place, breaches, weight),
        RARE_RHYTHM if chosen.measure == "snap" and not _off_grid(place) else KINDS[chosen.measure],
        " ".join(part for part in texts if part),
        suggestion,
        columns,
        weight,
    )


def _fits(stretch: Stretch, place: Place) -> bool:
    """Whether the measure's name says what the place is: rolls at 1/6 are dense, not unsnapped, though 1/6 be rare."""
    if stretch.measure == "snap":
        return _off_grid(place)
    if KINDS[stretch.measure] == "jack":
        return bool(place.by_column.max() >= WALL_SHARE * place.rows)
    return True


def _off_grid(place: Place) -> bool:
    return bool(np.isin(place.divisors, RARE_SNAPS).mean() >= OFF_GRID_SHARE)


def _severity(stretch: Stretch, place: Place, breaches: Sequence[Breach], weight: float) -> Severity:
    """A problem needs a problem of the criteria at this very place; rarity alone never makes one."""
    wanted = {"snap": ("unsnapped",), "holds": ("hold", "column-gap", "unsnapped-release")}.get(stretch.measure, ())
    backed = any(
        breach.severity == "problem"
        and any(word in breach.rule for word in wanted)
        and place.start_ms - 1 <= breach.start_ms <= place.end_ms + 1
        for breach in breaches
    )
    return "problem" if backed and weight >= NOTE_RARITY else "warning" if weight >= WARNING_RARITY else "note"


def _loss_text(place: Place) -> str:
    if place.lost is None:
        return ""
    here, whole = place.lost
    text = f"A {place.target:.1f} player loses {here:.0%} here"
    return f"{text} ({whole:.1%} in the whole chart)." if here >= 1.3 * whole else f"{text}."


def _music_text(place: Place, measure: str) -> str:
    if place.accented is None or measure in ("snap", "unheard"):
        return ""
    share = place.accented / place.rows
    if share < 0.25:
        return "The music does not accent it."
    return f"The music accents {place.accented} of the {place.rows} rows." if share < 0.6 else "The music accents it."


Text = tuple[str, str, tuple[int, ...]]


def _jack(place: Place) -> Text:
    count, column = int(place.by_column.max()), place.busiest
    walls = tuple(np.flatnonzero(place.by_column >= 0.7 * count).tolist())
    *most, last = (str(key + 1) for key in walls)
    name = f"Columns {', '.join(most)} and {last} are" if most else f"Column {last} is"
    reason = f"{name} pressed {count} times in {place.seconds:.1f} s ({count / place.seconds:.1f}/s)."
    other = "right" if column < 2 else "left"
    return reason, f"Spread the repeats over the {other} hand as well, or keep only every second one.", walls


def _trill(place: Place) -> Text:
    reason = f"{place.rows} rows take turns between the same two, a chord of three against the rest."
    return reason, "Vary the chords, and keep those of three for the strongest sounds.", ()


def _anchor(place: Place) -> Text:
    count, column = int(place.by_column.max()), place.busiest
    reason = f"Column {column + 1} is pressed in {count} of {place.rows} rows ({place.seconds:.1f} s)."
    return reason, "Move some of its notes to the column beside it.", (column,)


def _hands(place: Place) -> Text:
    left, right = place.hands
    hand, most = (0, left) if left >= right else (1, right)
    total = left + right
    columns = (0, 1) if hand == 0 else (2, 3)
    reason = (
        f"The {HANDS[hand]} hand carries {most} of {total} notes for {place.seconds:.1f} s "
        f"({most / place.seconds:.1f} notes/s)."
    )
    moved = max(round(most - total / 2), 1)
    other = "3–4" if hand == 0 else "1–2"
    return reason, f"Move about {moved} of them to columns {other} ({HANDS[1 - hand]} hand).", columns


def _density(place: Place) -> Text:
    rate, elsewhere = place.notes / place.seconds, place.busiest_elsewhere
    reason = f"{place.notes} notes in {place.seconds:.1f} s ({rate:.1f} notes/s"
    reason += f"; elsewhere at most {elsewhere:.0f} in a second)" if rate > 1.1 * elsewhere else ")"
    quiet = place.song is not None and place.quieter_share <= 0.35
    if quiet:
        reason += f" where the song is quieter than in {1 - place.quieter_share:.0%} of the chart"
    return (
        f"{reason}.",
        "Thin it to what the music plays there" + (", and save it for a loud part." if quiet else "."),
        (),
    )


def _holds(place: Place) -> Text:
    holds, tight, odd = place.hold_trouble
    parts = [f"{holds} hold{'s' * (holds != 1)} in {place.seconds:.1f} s"]
    if tight:
        parts.append(f"{tight} gap{'s' * (tight > 1)} under 1/4 in their columns")
    if odd:
        parts.append(f"{odd} release{'s' * (odd > 1)} at a moment when nothing else happens")
    return (
        ", ".join(parts) + ".",
        "Let holds end together with other notes, and leave 1/4 before the next.",
        place.columns,
    )


def _snap(place: Place) -> Text:
    off, error = place.unsnapped
    rare = int(np.isin(place.divisors, RARE_SNAPS).sum())
    if not _off_grid(place):
        reason = f"{place.rows} rows stand on 1/{int(np.max(place.divisors))} and such, which this chart hardly uses elsewhere."
        return reason, "Make sure that the music plays this rhythm, and lead up to it.", place.columns
    if off:
        reason = f"{off} of {place.rows} rows are off the grid, half of them by {error:.0f} ms or more."
    else:
        reason = f"{rare} of {place.rows} rows stand on 1/5, 1/7 or 1/9."
    return reason, "Resnap them to 1/4, or put a red line where the tempo changes.", place.columns


def _loss(place: Place) -> Text:
    rate = place.notes / place.seconds
    reason = (
        f"{place.notes} notes in {place.seconds:.1f} s ({rate:.1f} notes/s) are far harder than what surrounds them."
    )
    return reason, "Thin the pattern, or lead up to it.", place.columns


def _without_onset(place: Place) -> Text:
    if place.rows == 1:
        return "A row falls where the song has no sound of its own.", "Remove it, or move it to a sound.", ()
    reason = f"{place.rows} rows fall where the song has no sound of its own."
    return reason, "Remove them, or move them to a sound.", ()


TEXTS: dict[str, Callable[[Place], Text]] = {
    "snap": _snap,
    "holds": _holds,
    "jack": _jack,
    "repeat": _jack,
    "trill": _trill,
    "anchor": _anchor,
    "hands": _hands,
    "density": _density,
    "loss": _loss,
    "unheard": _without_onset,
}
"""Measure → (reason, suggestion, columns)."""
