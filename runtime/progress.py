"""Progress on stderr: bars for what can be counted, a line for what cannot. Results on stdout are left alone."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

SHORT_WAIT_S = 1.0
"""Waits up to this are not worth a line."""
NARROW_BAR = 20
"""Width, in characters, of a bar that shares a line of 80 with a word on what is being done."""
SLOW_STEPS_S = 600.0
"""Span over which the speed of training is averaged: steps may take half a minute each."""


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` while a progress bar on stderr counts them."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    if total is None and isinstance(items, Sized):
        total = len(items)
    with _bars(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task(description, total=total)
        for item in items:
            yield item
            bar.advance(task)


@contextmanager
def stages(names: dict[str, str]) -> Iterator[Callable[[str, float], None]]:
    """Progress bars on stderr for work that is done in stages; the block gets `report(stage, share done)`.

    `names` maps a stage to what is shown; a bar appears when its stage begins, with the time left, and at its end the time it took.
    """
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    width = max(map(len, names.values()))
    left = TimeRemainingColumn(elapsed_when_finished=True)
    with _bars(TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), left) as bar:
        tasks = {
            stage: bar.add_task(f"{name:{width}}", total=1.0, visible=False, start=False)
            for stage, name in names.items()
        }

        def report(stage: str, share: float) -> None:
            if not bar.tasks[tasks[stage]].started:
                bar.start_task(tasks[stage])
            bar.update(tasks[stage], completed=share, visible=True)

        yield report


@contextmanager
def training_bar(name: str, total: int, done: int = 0, visible: bool = True) -> Iterator[Callable[[int, str], None]]:
    """A bar with the time that is left; the block gets `report(steps done, what is being done now)`.

    Lines that are printed within the block appear above the bar.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(NARROW_BAR), MofNCompleteColumn(), TimeRemainingColumn())
    now = TextColumn("{task.fields[now]}", markup=False)
    with _bars(*columns, now, speed_estimate_period=SLOW_STEPS_S, disable=not visible) as bar:
        task = bar.add_task(name, total=total, completed=done, now="")

        def report(steps: int, doing: str) -> None:
            bar.update(task, completed=steps, now=doing)

        yield report


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """A line on a terminal while the block takes longer than a second; removed at its end. Other lines appear above it.

    Nothing is imported or drawn for shorter waits, so that imports themselves can be waited for.
    """
    drawn: list[Any] = []

    def show() -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        live = Live(
            Spinner("line", text),
            console=Console(file=sys.stderr),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        live.start()
        drawn.append(live)

    timer = threading.Timer(SHORT_WAIT_S, show)
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if timer.is_alive():
            timer.join()
        for live in drawn:
            live.stop()


def _bars(*columns: Any, **options: Any) -> Any:
    from rich.console import Console
    from rich.progress import Progress

    # stdout that is a file or a pipe must get its lines, also while a bar is on the terminal
    return Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty(), **options)
