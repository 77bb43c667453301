"""The work, in a process of its own: analyse a song, write a difficulty or a stretch of it, review, pack.

Each task takes and returns plain JSON; `report(share)` receives the share that is done. What was decoded and loaded is kept for the
next task. The process ends when its server does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from chart.model import Chart, TimingPoint
from mania4k.studio.sets import notes as note_lines
from mania4k.studio.sets.order import config_of
from runtime.errors import Mania4KError

Report = Callable[[float], None]
Task = Callable[[dict[str, Any], Report], dict[str, Any]]

SHARES = {"hear": (0.0, 0.2), "write": (0.2, 0.95), "pack": (0.95, 1.0)}
"""(start, end) of each stage of generate in a job's bar."""


NICENESS = 5
"""Of the process that writes; the scheduler gives the page three times its share."""
BELOW_NORMAL_PRIORITY_CLASS = 0x4000
"""Windows' name for the same."""


def serve(connection: Connection, yields: bool = False) -> None:
    """Answer tasks until the server goes; `yields`: at a lower priority."""
    if yields:
        lower_priority()
    lock = threading.Lock()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the server, which ends us
    threading.Thread(target=_end_with_the_server, daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        with lock:
            connection.send(message)

    for warm_up in WARM_UPS[yields]:
        if connection.poll():
            break  # somebody waits already
        warm_up()
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        share = partial(_send_share, send, task["number"])
        try:
            result = TASKS[task["kind"]](task, share)
            send({"number": task["number"], "result": result})
            if task["kind"] == "analyse" and not connection.poll():
                _measure(task["song"])  # while its timing is looked at
        except (Mania4KError, OSError, MemoryError) as error:
            send({"number": task["number"], "error": str(error).splitlines()[0] if str(error) else "out of memory"})
        except Exception as error:  # a fault of ours must not end the studio
            send({"number": task["number"], "error": f"{type(error).__name__}: {error}"[:300]})


def _end_with_the_server() -> None:
    """A killed server cannot end us, and a task may take minutes."""
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(0)


def _send_share(send: Callable[[dict[str, Any]], None], number: int, share: float) -> None:
    send({"number": number, "share": share})


def lower_priority() -> None:
    """Let the page's frames and the server go first, where there are not enough processors for all."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(NICENESS)


def _import_writing() -> None:
    import ear.song_timing  # noqa: F401
    import mapper.generate  # noqa: F401


def _import_reviewing() -> None:
    import ear.audio.decode  # noqa: F401
    import eye.rendering.page_data
    import eye.rendering.page_players
    import eye.review  # noqa: F401


def analyse(task: dict[str, Any], report: Report) -> dict[str, Any]:
    """Timing, candidates, tags, length and sound marks of a song."""
    from ear.audio.clock import OSU_CLOCK_MS
    from ear.audio.decode import read_tags
    from ear.song_timing import time_song
    from eye.rendering.sound_marks import sound_marks

    audio = _audio(task["song"])
    report(0.3)
    timing = time_song(audio).timing
    report(0.9)

    def line(point: TimingPoint) -> list[float]:
        return [point.time_ms + OSU_CLOCK_MS, point.beat_length_ms, point.meter, point.effects]

    lines = [line(point) for point in timing.points]
    others = [(one.bpm, one.chance) for one in timing.alternatives if abs(one.bpm - timing.bpm) > 0.01]
    total = max(1.0, sum(chance for _, chance in others))
    candidates = [{"bpm": timing.bpm, "chance": 1 - sum(chance for _, chance in others) / total, "lines": lines}]
    for bpm, chance in others:
        scaled = [[time, beat * timing.bpm / bpm, *rest] for time, beat, *rest in lines]
        candidates.append({"bpm": bpm, "chance": chance / total, "lines": scaled})
    tags = read_tags(task["song"])
    return {
        "lines": lines,
        "confidence": timing.confidence,
        "doubt": timing.doubt,
        "candidates": candidates,
        "duration_ms": audio.duration_ms,
        "lag_ms": -OSU_CLOCK_MS,
        "marks": sound_marks(audio),
        "title": tags.title,
        "artist": tags.artist,
        "cover": _cover(Path(task["song"])),
    }


def _cover(song: Path) -> str:
    """The file name of the song's cover art, written beside it as the background; empty where it has none."""
    from mania4k.studio.sets.pictures import cover_art
    from runtime.atomic_write import save_bytes

    art = cover_art(song)
    if art is None:
        return ""
    suffix, data = art
    save_bytes(song.with_name(f"background{suffix}"), data)
    return f"background{suffix}"


def generate(task: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write one difficulty; the same notes as the command's for the same choices."""
    from mapper.generate import run

    song = Path(task["song"])
    _audio(task["song"])  # held, so that a song is decoded and measured once for all its difficulties
    with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
        timing = Path(folder) / "timing.txt"
        timing.write_text(timing_text(task["timing"]), encoding="utf-8")
        config = config_of(task["order"], song, Path(folder) / "set.osz", timing)
        written = run(config, lambda stage, share: report(_share(stage, share)), _network())
        return {"text": _text_of(written.charts[0]), "report": _summary(written)}


def rewrite(task: dict[str, Any], report: Report) -> dict[str, Any]:
    """Versions of a stretch of a chart, one for each seed; the rest of each is the chart's own."""
    from mapper.generate import run
    from mapper.request.options import GenerateConfig

    song, span, versions = Path(task["song"]), task["span"], []
    before = note_lines.notes_of(task["text"])
    with tempfile.TemporaryDirectory(prefix="mania4k-") as folder:
        _audio(task["song"])
        source = Path(folder) / "chart.osu"
        source.write_text(note_lines.with_fields(task["text"], {"AudioFilename": song.name}), encoding="utf-8")
        for number, seed in enumerate(task["seeds"]):
            config = GenerateConfig(
                song=song,
                from_map=source,
                section=(span[0], span[1]),
                seed=seed,
                effort="fast",
                out=Path(folder) / "set.osz",
            )
            share = lambda stage, done, number=number: report((number + _share(stage, done)) / len(task["seeds"]))  # noqa: E731
            written = run(config, share, _network())
            new = note_lines.notes_of(_text_of(written.charts[0]))
            merged = note_lines.merged(before, new, span, task["locks"], [tuple(one) for one in task["hand"]])
            versions.append(note_lines.with_notes(task["text"], merged))
    return {"texts": versions}


def page(task: dict[str, Any], report: Report) -> dict[str, Any]:
    """Data of some charts for the page's player: notes, players, review."""
    from mania4k.studio.work.packing import page_of_texts

    return page_of_texts(task["song"], task["texts"], task["targets"], _page_song(task["song"]))


def prepare(task: dict[str, Any], report: Report) -> dict[str, Any]:
    """Analyse a song for the reviews to come, and review a chart of one note, which loads what is compiled."""
    from mania4k.studio.work.packing import page_of_texts

    known = _page_song(task["song"])
    text = _text_of(Chart.from_notes([0.0], [0], timing_points=(TimingPoint(0.0, 500.0),)))
    page_of_texts(task["song"], [text], [None], known)
    return {}


def pack(task: dict[str, Any], report: Report) -> dict[str, Any]:
    """Write the `.osz` and the report page of the set."""
    from mania4k.studio.work.packing import write_page_of, write_set

    song, out = Path(task["song"]), Path(task["out"])
    names = write_set(task["texts"], song, Path(task["background"]) if task["background"] else None, out)
    report(0.5)
    page_path = write_page_of(task["texts"], song, out.with_suffix(".html"), _page_song(task["song"]), task["targets"])
    return {"osz": out.name, "page": page_path.name, "charts": names}


def timing_text(lines: list[list[float]]) -> str:
    """Red lines as `mania4k generate --timing` reads them, exact to the last bit."""
    from chart.formats.osu_write import number

    rows = [
        f"{number(time)},{number(beat)},{int(metre)},1,0,100,1,{int(effects)}" for time, beat, metre, effects in lines
    ]
    return "\n".join(["[TimingPoints]", *rows, ""])


def _share(stage: str, done: float) -> float:
    first, last = SHARES.get(stage, (0.0, 1.0))
    return first + (last - first) * done


def _text_of(chart: Any) -> str:
    from chart.formats.osu_write import format_osu

    return format_osu(chart)


def _summary(written: Any) -> dict[str, Any]:
    one = written.report.difficulties[0]
    return {
        "stars": one.stars,
        "asked": one.asked_stars,
        "notes": one.notes,
        "holds": one.holds,
        "missed": list(one.missed),
    }


@lru_cache(maxsize=1)
def _audio(song: str) -> Any:
    from ear.audio.shared import audio_of

    return audio_of(Path(song))


def _measure(song: str) -> None:
    """The part of a song's analysis that does not depend on its timing, kept with its audio."""
    from mapper.sampling.song_analysis import measured

    measured(_audio(song))


@lru_cache(maxsize=1)
def _network() -> Any:
    from mapper.network.load import open_network

    return open_network(None, "auto", "auto").network


@lru_cache(maxsize=2)
def _page_song(song: str) -> Any:
    from mania4k.studio.work.packing import page_song_of

    return page_song_of(Path(song))


WARM_UPS = {True: (_import_writing, _network), False: (_import_reviewing,)}
"""Preparation of the writing and the reviewing process before their first task, so that no song waits for it."""
TASKS: dict[str, Task] = {
    "analyse": analyse,
    "generate": generate,
    "rewrite": rewrite,
    "page": page,
    "prepare": prepare,
    "pack": pack,
}
"""Every kind of work."""
