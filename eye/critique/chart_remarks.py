"""Remarks on the chart as a whole: the reward's terms in words, strengths and weaknesses.

A term is praised when the chart is clearly on the better side of what half of human charts of its stars reach, and
criticised when its score is low. Remarks about the whole never come before those about a place.
"""

from __future__ import annotations

import numpy as np

from chart.model import Chart
from eye.critique.types import Finding, Severity
from reward.band_table import CHART_BANDS
from reward.core.bands import FAR, STAR_KNOTS, Band
from reward.core.song import Song
from reward.total import Score, score

BAD, VERY_BAD = 0.35, 0.15
"""Scores of a term below which it is a note, or a warning: under 3 % of human charts have one half."""
WHOLE_WEIGHT = 0.45
"""Weight of a term that scores 0: less than any place that is listed."""
PRAISED = 4
CLEARLY = 0.25
"""Distance from the human median, in the band's softness, that is worth praise."""
STRUCTURAL = ("rhythm/", "musicality/accents", "musicality/sustain")
"""Terms of what only the whole chart shows: where one chart in thirty is as far off, their remark weighs as a place does."""
STRUCTURAL_WEIGHT = 1.0
"""Weight of such a remark where the term scores one half (−log10 of 3 % of human charts); it grows with the distance."""
UNLESS = {
    "ergonomics/repeats": ("ergonomics/alternation", "ergonomics/dominance"),
    "ergonomics/columns": ("ergonomics/alternation", "ergonomics/dominance"),
    "readability/rhythm": ("rhythm/even", "rhythm/even_run", "rhythm/intervals", "rhythm/recurrence"),
    "musicality/emphasis": ("ergonomics/alternation", "musicality/accents"),
    "musicality/energy": ("rhythm/dynamics",),
    "musicality/swells": ("rhythm/dynamics",),
    "musicality/repetition": ("rhythm/recurrence",),
    "fairness/spikes": ("rhythm/dynamics",),
}
"""Term → terms that must not be poor (below one half) for its praise: two chords in turn never repeat a column either."""
WARNED, HALF = 1.5, 0.5

GOOD = {
    "musicality/choice": "Of the moments the beat offers, the stronger ones have rows (correlation {value:.2f}, human charts of these stars {usual:.2f}).",
    "musicality/swells": "Density follows the music's swells half bar by half bar (correlation {value:.2f}, usually {usual:.2f}).",
    "musicality/repetition": "Where the music repeats, the patterns do (correlation {value:.2f}, usually {usual:.2f}).",
    "musicality/emphasis": "Chords stand on the strong sounds (correlation {value:.2f}, usually {usual:.2f}).",
    "musicality/energy": "The loud phrases are the dense ones (correlation {value:.2f}, usually {usual:.2f}).",
    "musicality/onsets": "Rows stand where the song's onsets are strongest ({value:.0%} of the best possible).",
    "musicality/coverage": "{value:.0%} of the strongest sounds have a row.",
    "fairness/spikes": "Difficulty is even: loudness allowed for, the hardest phrase is {value:+.1f} levels from the whole (usually {usual:+.1f}).",
    "ergonomics/columns": "The columns share the notes evenly from phrase to phrase.",
    "ergonomics/repeats": "Columns are seldom pressed twice running ({value:.2f} of what chance would give, usually {usual:.2f}).",
    "musicality/accents": "Bigger chords stand on sounds stronger than those around (correlation {value:.2f}, usually {usual:.2f}).",
    "musicality/sustain": "Holds lie on the sounds that last (rank above taps {value:.2f}, usually {usual:.2f}).",
    "readability/rhythm": "The rhythm is always prepared: {value:.0%} of the intervals come unannounced.",
}
"""Term → praise."""
POOR = {
    "fairness/level": ("Players of the target's level fall {value:+.1f} levels short or long of 96 %.", "Thin it out or fill it up towards the target."),
    "fairness/spikes": ("The hardest phrase asks for {value:+.1f} levels more than the whole.", "Lead up to it, or thin it."),
    "readability/density": ("{value:.1f} rows are in sight at a time; human charts of these stars have about {usual:.1f}.", "Change the rhythm's density towards that."),
    "readability/rhythm": ("{value:.0%} of the intervals come unprepared.", "Let a rhythm be heard in a plain place first, or resnap it."),
    "readability/surprise": ("The columns are about as predictable as {value:.0%} of chance (usually {usual:.0%}).", "Bring patterns back, and vary what never changes."),
    "readability/holds": ("{value:.0%} of the holds have gaps under 1/4 beside them.", "Leave 1/4 before and after holds."),
    "ergonomics/hands": ("One hand has {value:.0%} more of the notes than chance explains.", "Mirror some of the patterns."),
    "ergonomics/columns": ("The columns share the notes unevenly within phrases.", "Mirror or move some of the patterns."),
    "ergonomics/repeats": ("Columns are pressed twice running {value:.1f} times as often as by chance (usually {usual:.1f}).", "Move repeats to the neighbouring column."),
    "ergonomics/one_handed": ("{value:.0%} of the rows lie in runs that one hand plays alone.", "Let the hands take turns."),
    "ergonomics/strain": ("Single columns are pressed {value:.1f} times a second in the fast parts (usually {usual:.1f}).", "Spread the fast repeats."),
    "musicality/onsets": ("Rows miss the stronger onsets ({value:.0%} of what the best places would give; usually {usual:.0%}).", "Check the offset; move notes to the sounds."),
    "musicality/support": ("{value:.0%} of the rows have no sound behind them.", "Remove them, or move them to a sound."),
    "musicality/coverage": ("Only {value:.0%} of the strongest sounds have a row.", "Give the strong sounds their notes first."),
    "musicality/energy": ("Density does not follow loudness (correlation {value:.2f}).", "Save the dense patterns for the loud phrases."),
    "musicality/silence": ("{value:.0%} of the rows lie where the song is silent.", "Remove them."),
    "musicality/presence": ("Only {value:.0%} of the phrases in which the song sounds are charted.", "Chart the rest, or cut the song."),
    "musicality/repetition": ("Where the music repeats, the patterns do not (correlation {value:.2f}).", "Bring a phrase's patterns back with its music."),
    "musicality/choice": ("Which moments have rows has little to do with the sounds (correlation {value:.2f}).", "Move notes from weak sounds to the strong ones beside them."),
    "rhythm/even": ("{value:.0%} of the bars are evenly spaced (usually about {usual:.0%}).", "Let the rows follow the sounds between the beats, or keep a steady pulse where there is none."),
    "rhythm/recurrence": ("{value:.0%} of the bars have a rhythm that stood 1, 2, 4 or 8 bars before (usually about {usual:.0%}).", "Give bars that sound alike one rhythm, and others a new one."),
    "rhythm/intervals": ("The intervals between rows vary by {value:.1f} bits (usually {usual:.1f}).", "Vary the rhythm with the music, or settle on fewer intervals."),
    "rhythm/even_run": ("The longest run at one interval has 2^{value:.1f} rows (usually 2^{usual:.1f}).", "Break it where the music breathes, or let a rhythm run on."),
    "rhythm/dynamics": ("Density varies by {value:.0%} from phrase to phrase (usually {usual:.0%}).", "Thin quiet phrases and fill loud ones; leave steps between neighbours small."),
    "ergonomics/alternation": ("{value:.0%} of the rows take turns between the same two with a chord of three (usually {usual:.0%}).", "Vary the chords."),
    "ergonomics/dominance": ("The busiest column is pressed in {value:.0%} of 16 rows (usually {usual:.0%}).", "Spread its notes over the columns."),
    "musicality/accents": ("Chords do not stand on the stronger sounds (correlation {value:.2f}, usually {usual:.2f}).", "Give accents the bigger chords."),
    "musicality/sustain": ("Holds lie where the sound dies at once (rank against taps {value:+.2f}, usually {usual:+.2f}).", "Hold what lasts: voices, pads, strings; tap the drums."),
}  # fmt: skip
"""Term → (criticism, suggestion)."""


def chart_remarks(chart: Chart, song: Song | None, target: float, seed: int = 0) -> list[Finding]:
    """Criticism and praise of the whole chart, each weightiest first; empty for an empty chart."""
    if not len(chart):
        return []
    result = score(chart, target, song, seed=seed)
    good: list[Finding] = []
    poor: list[Finding] = []
    for name in {**GOOD, **POOR}:
        value, points = float(result.measures[name][0]), float(result.terms[name][0])
        if np.isnan(value):
            continue
        band = CHART_BANDS[name]
        usual = _usual(band, target)
        away = _distance(band, value, target) if name.startswith(STRUCTURAL) else 0.0
        if name in POOR and (points < BAD or away >= 1):
            reason, suggestion = POOR[name]
            severity: Severity = "warning" if points < VERY_BAD or away >= WARNED else "note"
            weight = max(WHOLE_WEIGHT * (1 - points), STRUCTURAL_WEIGHT * away * (away >= 1))
            poor.append(_finding(chart, severity, name, reason, suggestion, value, usual, weight))
        elif name in GOOD and (margin := _margin(band, value, target)) > CLEARLY and not _is_spoilt(name, result):
            good.append(_finding(chart, "praise", name, GOOD[name], "", value, usual, margin))
    return sorted(poor, key=_heaviest) + sorted(good, key=_heaviest)[:PRAISED]


def _is_spoilt(name: str, result: Score) -> bool:
    """Whether a term's praise would be for what another term calls a fault."""
    return any(float(result.terms[other][0]) < HALF for other in UNLESS.get(name, ()))


def _distance(band: Band, value: float, target: float) -> float:
    """Distance of the value outside the band, in the softness of that side; 0 inside."""
    low, high, soft_low, soft_high = (
        float(np.interp(target, STAR_KNOTS, np.clip(side, -FAR, FAR)))
        for side in (band.low, band.high, band.soft_low, band.soft_high)
    )
    return max((low - value) / soft_low, (value - high) / soft_high, 0.0)


def _heaviest(finding: Finding) -> float:
    return -finding.weight


def _finding(
    chart: Chart,
    severity: Severity,
    name: str,
    reason: str,
    suggestion: str,
    value: float,
    usual: float,
    weight: float,
) -> Finding:
    text = reason.format(value=value, usual=usual)
    return Finding(float(chart.time_ms[0]), chart.last_ms, severity, name, text, suggestion, (), weight)


def _usual(band: Band, target: float) -> float:
    """The human median of a one-sided band, the middle of a two-sided one."""
    low, high = (float(np.interp(target, STAR_KNOTS, side)) for side in (band.low, band.high))
    if np.isinf(low) or np.isinf(high):
        return high if np.isinf(low) else low
    return (low + high) / 2


def _margin(band: Band, value: float, target: float) -> float:
    """Distance of the value on the better side of the human median, in the band's softness; two-sided bands have none."""
    low, high = (float(np.interp(target, STAR_KNOTS, side)) for side in (band.low, band.high))
    soft = float(np.interp(target, STAR_KNOTS, band.soft_low if np.isinf(high) else band.soft_high))
    if np.isinf(high) == np.isinf(low):
        return 0.0
    return (value - low if np.isinf(high) else high - value) / max(soft, 1e-9)
