"""Slow twin of the judgement kernels: one note object at a time, plain Python, no code shared with `agents`.

Events are fed in time order to one object per column. A note is a dict; a grade is 0 (MAX) to 5 (MISS).
"""

from __future__ import annotations

import math
from typing import Any


def windows_of(od: float, rate: float, scale: float, lazer: bool) -> list[int]:
    """Half-widths from MAX to MISS, whole map ms."""
    slack = max(0.0, min(10.0, 10.0 - od))
    perfect = 16.0
    if lazer:
        perfect = 22.4 - 0.6 * od if od <= 5 else 24.9 - 1.1 * od
    bases = [perfect] + [base + 3 * slack for base in (34, 67, 97, 121, 158)]
    return [math.floor(round(base * scale * rate, 7)) for base in bases]


def one_grade(error: int, windows: list[int]) -> int:
    return next((grade for grade in range(5) if abs(error) <= windows[grade]), 5)


class StableColumn:
    """A column under stable's ScoreV1: the game's update loop, run once a millisecond."""

    def __init__(self, notes: list[tuple[int, int | None]], windows: list[int]) -> None:
        self.notes: list[dict[str, Any]] = [
            {"start": start, "end": end, "grade": None, "error": None, "tail": None, "when": None,
             "tail_grade": None, "over": False,
             "down": False, "pressed_at": None, "released_at": None, "missing": False, "broken": False}
            for start, end in notes
        ]  # fmt: skip
        self.windows = windows
        self.first = 0  # the earliest note that is not over

    def moments(self) -> set[int]:
        """Every millisecond at which something may happen by itself."""
        ok, miss = self.windows[3], self.windows[5]
        found: set[int] = set()
        for note in self.notes:
            start, end = note["start"], note["end"]
            found.update([start + ok] if end is None else range(start - miss, end + 2 * miss))
        return found

    def last_ms(self, note: dict[str, Any]) -> float:
        return (note["start"] if note["end"] is None else note["end"]) + self.windows[3]

    def update(self, now: float, held: bool, rising: bool) -> None:
        miss = self.windows[5]
        while self.first < len(self.notes) and self.notes[self.first]["over"]:
            self.first += 1
        taken = self.first > 0 and now < self.notes[self.first - 1]["start"]
        for note in self.notes[self.first :]:
            if taken or note["start"] - miss > now:
                return
            if note["over"]:
                taken = note["start"] > now
                continue
            self.wait(note, now)
            if now >= self.last_ms(note):
                self.check(note, now)
            elif rising and not note["down"]:
                note["down"], note["pressed_at"], taken = True, now, True
                self.strike(note, now)
            elif held:
                taken = note["down"]
            elif note["end"] is not None:
                if note["down"]:
                    note["down"], note["released_at"] = False, now
                    self.check(note, now)
                elif not note["missing"]:
                    self.check(note, now)

    def wait(self, note: dict[str, Any], now: float) -> None:
        """Time passes over a note that is not over."""

    def strike(self, note: dict[str, Any], now: float) -> None:
        """A press that this note takes."""
        error = now - note["start"]
        if note["end"] is None:
            note["error"] = error
            self.check(note, now)
        elif abs(error) <= self.windows[4]:
            note["error"] = error

    def tap(self, note: dict[str, Any], now: float) -> None:
        note["grade"], note["when"], note["over"] = 5, now, True
        if note["pressed_at"] is not None:
            note["grade"] = one_grade(note["pressed_at"] - note["start"], self.windows)

    def check(self, note: dict[str, Any], now: float) -> None:
        """Is the note over, and how good was it?"""
        perfect, great, good, ok, meh, _ = self.windows
        start, end, pressed = note["start"], note["end"], note["pressed_at"]
        if end is None:
            self.tap(note, now)
            return
        note["missing"] = not note["down"] and now > start + meh
        if now < start + meh and pressed is None:
            return
        if now < end - meh:
            note["broken"] = note["broken"] or not note["down"]
            return
        if note["down"] and now < end + meh:
            return
        note["when"], note["grade"], note["over"] = now, 5, True
        released = now if note["down"] else note["released_at"]
        if pressed is None or released is None or abs(released - end) > meh:
            return
        if not note["down"]:
            note["tail"] = released - end
        head = end - 1 - start if pressed < start - meh else abs(pressed - start)
        total = head + abs(released - end)
        limits = ((perfect * 1.2, perfect * 2.4), (great * 1.1, great * 2.2), (good, 2 * good), (ok, 2 * ok))
        grade = next((g for g, (alone, both) in enumerate(limits) if head <= alone and total <= both), 4)
        note["grade"] = max(grade, 2) if note["broken"] else grade


class LazerColumn:
    """A column under lazer's rules."""

    def __init__(self, notes: list[tuple[int, int | None]], windows: list[int]) -> None:
        self.notes: list[dict[str, Any]] = [
            {"start": start, "end": end, "grade": None, "error": None, "tail": None, "tail_grade": None,
             "broken": False, "held": False} for start, end in notes
        ]  # fmt: skip
        self.windows = windows

    @staticmethod
    def done(note: dict[str, Any]) -> bool:
        return note["grade"] is not None and (note["end"] is None or note["tail_grade"] is not None)

    def pass_time(self, now: float) -> None:
        meh = self.windows[4]
        for note in self.notes:
            if note["grade"] is None and now > note["start"] + meh:
                note["grade"] = 5
            if note["end"] is not None and note["tail_grade"] is None and (now - note["end"]) / 1.5 > meh:
                note["tail_grade"] = 5

    def press(self, now: int) -> None:
        self.pass_time(now)
        for index, note in enumerate(self.notes):
            if self.done(note):
                continue
            following = self.notes[index + 1]["start"] if index + 1 < len(self.notes) else math.inf
            if now >= following:
                continue
            error = now - note["start"]
            if error < -self.windows[5]:
                return
            for earlier in self.notes[:index]:
                if earlier["grade"] is None:
                    earlier["grade"] = 5
                if earlier["end"] is not None and earlier["tail_grade"] is None:
                    earlier["tail_grade"] = 5
            if note["grade"] is None:
                note["error"], note["grade"] = error, one_grade(error, self.windows)
            note["held"] = note["end"] is not None
            return

    def release(self, now: int) -> None:
        self.pass_time(now)
        for note in self.notes:
            if not note["held"]:
                continue
            note["held"] = False
            if note["tail_grade"] is not None:
                continue
            tail = (now - note["end"]) / 1.5
            if tail < -self.windows[5]:
                note["broken"] = True
                continue
            note["tail"] = now - note["end"]
            grade = one_grade(tail, self.windows)  # type: ignore[arg-type]
            if (note["broken"] or note["grade"] == 5) and grade < 4:
                grade = 4
            note["tail_grade"] = grade


class ScoreV2Column(StableColumn):
    """A column under stable's ScoreV2: the same loop, but heads are judged when they are hit and tails by wider windows."""

    def last_ms(self, note: dict[str, Any]) -> float:
        return super().last_ms(note) if note["end"] is None else note["end"] + math.floor(1.5 * self.windows[3])

    def wait(self, note: dict[str, Any], now: float) -> None:
        if note["end"] is not None and note["grade"] is None and now >= note["start"] + self.windows[3]:
            note["grade"] = 5

    def strike(self, note: dict[str, Any], now: float) -> None:
        if note["end"] is None:
            super().strike(note, now)
        elif note["grade"] is None:
            note["error"] = now - note["start"]
            note["grade"] = one_grade(note["error"], self.windows)

    def check(self, note: dict[str, Any], now: float) -> None:
        ok, meh = self.windows[3:5]
        start, end, pressed = note["start"], note["end"], note["pressed_at"]
        if end is None:
            self.tap(note, now)
            return
        note["missing"] = not note["down"] and now >= start + ok
        if now < start + meh and pressed is None:
            return
        if now < end - meh:
            note["broken"] = note["broken"] or not note["down"]
            return
        note["over"], note["tail_grade"] = True, 5
        if note["grade"] is None:
            note["grade"] = 5
        released = now if note["down"] else note["released_at"]
        if pressed is None or released < end - meh:
            return
        if not note["down"]:
            note["tail"] = released - end
        note["tail_grade"] = next(grade for grade in range(5) if abs(released - end) <= 1.5 * self.windows[grade])
        if note["broken"] or note["grade"] == 5:
            note["tail_grade"] = 5 if pressed > end else max(note["tail_grade"], 4)


def judge_slowly(
    columns: list[list[tuple[int, int | None]]],
    presses: list[list[tuple[int, int]]],
    windows: list[int],
    rules: str = "stable",
) -> list[list[dict[str, Any]]]:
    """Notes (start, end) and presses (down, up) by column; the judged notes by column."""
    judged = []
    for notes, keys in zip(columns, presses, strict=True):
        if rules == "lazer":
            judged.append(_lazer(notes, keys, windows))
        else:
            judged.append(_stable((ScoreV2Column if rules == "scorev2" else StableColumn)(notes, windows), keys))
    return judged


def _stable(column: StableColumn, keys: list[tuple[int, int]]) -> list:
    changes = [(down, 1, True) for down, _ in keys] + [(up, 0, False) for _, up in keys]
    held = False
    # a release comes before a press of the same millisecond, and the clock ticks after neither
    for now, kind, rising in sorted(changes + [(moment, 2, False) for moment in column.moments()]):
        if kind < 2:
            held = kind == 1
        column.update(now, held, rising)
    return column.notes


def _lazer(notes: list[tuple[int, int | None]], keys: list[tuple[int, int]], windows: list[int]) -> list:
    column = LazerColumn(notes, windows)
    for down, up in keys:
        column.press(down)
        column.release(up)
    column.pass_time(math.inf)
    return column.notes
