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
    """A column under stable's ScoreV1."""

    def __init__(self, notes: list[tuple[int, int | None]], windows: list[int]) -> None:
        self.notes: list[dict[str, Any]] = [
            {"start": start, "end": end, "grade": None, "error": None, "tail": None, "when": None}
            for start, end in notes
        ]
        self.windows = windows
        self.waiting = list(range(len(notes)))  # notes not judged yet, first to come first
        self.reset()

    def reset(self) -> None:
        self.started = False  # the hold in front has been started …
        self.down = False  # … and the key is down in it
        self.broken = False
        self.spoilt = False  # an early try costs the hold everything above 200

    def finish(self, grade: int, when: int) -> None:
        note = self.notes[self.waiting.pop(0)]
        note["grade"], note["when"] = grade, when
        self.reset()

    def combined(self, note: dict[str, Any], tail: int) -> int:
        perfect, great, good, ok = self.windows[:4]
        head = abs(note["error"])
        limits = ((perfect * 1.2, perfect * 2.4), (great * 1.1, great * 2.2), (good, 2 * good), (ok, 2 * ok))
        for grade, (alone, together) in enumerate(limits):
            if head <= alone and head + tail <= together:
                return grade
        return 4

    def pass_time(self, now: float) -> None:
        ok, meh = self.windows[3], self.windows[4]
        while self.waiting:
            note = self.notes[self.waiting[0]]
            if note["end"] is None:
                last = note["start"] + ok - 1
            elif not self.started:
                last = note["start"] + meh
            else:
                last = note["end"] + ok
            if now <= last:
                return
            if not self.started:
                self.finish(5, last + 1)
            elif not self.broken:
                self.finish(self.combined(note, meh), last + 1)
            else:
                self.finish(4 if self.down else 5, last + 1)

    def press(self, now: int) -> None:
        self.pass_time(now)
        if not self.waiting:
            return
        index = self.waiting[0]
        note = self.notes[index]
        if index and now < self.notes[index - 1]["start"]:
            return
        error = now - note["start"]
        if error < -self.windows[5]:
            return
        if note["end"] is None:
            note["error"] = error
            self.finish(one_grade(error, self.windows), now)
        elif self.started:
            self.down = True
        elif error < -self.windows[4]:
            self.spoilt = True
        else:
            note["error"] = error
            self.started = self.down = True

    def release(self, now: int) -> None:
        self.pass_time(now)
        if not self.waiting or not self.down:
            return
        note = self.notes[self.waiting[0]]
        tail = now - note["end"]
        good, meh, far = self.windows[2], self.windows[4], self.windows[5]
        if self.broken:
            if tail < -meh:
                self.down = False
            else:
                note["tail"] = tail
                self.finish(4, now)
        elif now < note["start"] and tail < -meh:
            if abs(note["error"]) > good:
                self.finish(5, now)
            else:
                self.reset()
                self.spoilt = True
        elif tail < -far:
            self.broken, self.down = True, False
        else:
            note["tail"] = tail
            grade = self.combined(note, abs(tail))
            self.finish(max(grade, 2) if self.spoilt else grade, now)


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


def judge_slowly(
    columns: list[list[tuple[int, int | None]]],
    presses: list[list[tuple[int, int]]],
    windows: list[int],
    lazer: bool = False,
) -> list[list[dict[str, Any]]]:
    """Notes (start, end) and presses (down, up) by column; the judged notes by column."""
    judged = []
    for notes, keys in zip(columns, presses, strict=True):
        column: Any = (LazerColumn if lazer else StableColumn)(notes, windows)
        for down, up in keys:
            column.press(down)
            column.release(up)
        column.pass_time(math.inf)
        judged.append(column.notes)
    return judged
