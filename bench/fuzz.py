"""Feeds mutated files to every reader (`bench.fuzz_targets`): `python -m bench.fuzz`, or `--text 200 --binary 50` for a short round.

Every reader must give its value or one `Mania4KError`, within `MAX_S`, without needing more than `MAX_MB`, and write no
file of its own. Inputs are made here and mutated by a seeded generator; a failure prints the seed of its input, and
`--only FORMAT --seed SEED --text 1` repeats it. The last line is JSON.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from bench.fuzz_targets import Target, all_targets
from runtime.errors import Mania4KError
from runtime.limits import peak_mb

MAX_S = 2.0
MAX_MB = 500.0
"""Resident memory that a whole round may add."""
TEXT_TOKENS = [
    b"nan", b"inf", b"-1", b"0", b"1e308", b"2147483648", b"99999999999999999999", b"\xff\xfe", b"\x00", b"\xe2\x80\xa8", b",", b":",
    b";", b"#", b"[", b"]", b"\n", b"//", b"[HitObjects]\n", b"[TimingPoints]\n", b"#NOTES:", b"#BPMS:0=", b"- StartTime: ", b"128",
]  # fmt: skip
"""Tokens that are put into text files."""


@dataclass(frozen=True)
class Failure:
    """One input that went wrong."""

    target: str
    seed: int
    what: str


def mutated(data: bytes, rng: np.random.Generator, is_text: bool) -> bytes:
    """`data` with one to eight changes: bytes flipped, pieces cut, doubled, moved or overwritten, tokens inserted, the end cut off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if not out:
            break
        at, size = int(rng.integers(len(out))), int(2 ** rng.uniform(0, 8))
        kind = int(rng.integers(8 if is_text else 7))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del out[at : at + size]
        elif kind == 2:
            out[at:at] = out[at : at + size]
        elif kind == 3:
            out[at : at + size] = rng.bytes(min(size, len(out) - at))
        elif kind == 4:
            out[at : at + size] = bytes(min(size, len(out) - at))
        elif kind == 5 and rng.random() < 0.2:
            del out[at:]
        elif kind == 6:
            out[at : at + 4] = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF])).to_bytes(
                4, rng.choice(["little", "big"])
            )
        elif kind == 7:
            out[at : at + int(rng.integers(4))] = TEXT_TOKENS[int(rng.integers(len(TEXT_TOKENS)))]
    return bytes(out)


def try_one(target: Target, name: str, seed: int, folder: Path) -> Failure | None:
    """Read one mutated file; None if the reader returned or raised one Mania4KError in time."""
    rng = np.random.default_rng([seed, sum(name.encode())])
    data = mutated(target.seeds[int(rng.integers(len(target.seeds)))], rng, target.is_text)
    path = folder / f"input{target.suffix}"
    path.write_bytes(data)
    began = time.process_time()
    try:
        target.read(path)
    except Mania4KError as error:
        if "\n" in str(error):
            return Failure(name, seed, f"more than one line: {str(error)[:200]!r}")
    except Exception:
        return Failure(name, seed, traceback.format_exc(limit=-3))
    seconds = time.process_time() - began
    if seconds > MAX_S:
        return Failure(name, seed, f"took {seconds:.1f} s")
    written = sorted(one.name for one in folder.iterdir() if one != path)
    if written:
        return Failure(name, seed, f"wrote {written}")
    return None


def run_round(
    targets: dict[str, Target], counts: Callable[[Target], int], first_seed: int, log: Callable[[str], None]
) -> tuple[list[Failure], float]:
    """(failures, MB of memory that the round added at its peak)."""
    failures: list[Failure] = []
    with tempfile.TemporaryDirectory() as name:
        here = os.getcwd()
        folder = Path(name) / "in"
        folder.mkdir()
        os.chdir(folder)
        try:
            for target_name, target in targets.items():  # sound files first: what they load does not count
                for seed_file in target.seeds:
                    (folder / f"input{target.suffix}").write_bytes(seed_file)
                    target.read(folder / f"input{target.suffix}")
                (folder / f"input{target.suffix}").unlink()
                log(f"{target_name}: {len(target.seeds)} sound files are read")
            before_mb = peak_mb()
            for target_name, target in targets.items():
                for seed in range(first_seed, first_seed + counts(target)):
                    failure = try_one(target, target_name, seed, folder)
                    if failure is not None:
                        failures.append(failure)
                        log(f"{target_name} seed {seed}: {failure.what}")
                (folder / f"input{target.suffix}").unlink(missing_ok=True)
                log(f"{target_name}: {counts(target)} done, {peak_mb() - before_mb:.0f} MB more")
        finally:
            os.chdir(here)
    return failures, peak_mb() - before_mb


@click.command()
@click.option("--text", default=5000, show_default=True, help="Inputs of each text format.")
@click.option("--binary", default=1000, show_default=True, help="Inputs of each binary format.")
@click.option("--seed", default=0, show_default=True, help="First seed.")
@click.option("--only", multiple=True, help="Only these formats.")
def main(text: int, binary: int, seed: int, only: tuple[str, ...]) -> None:
    """Feed mutated files to every reader and print the failures."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        targets = {name: target for name, target in all_targets(Path(name)).items() if not only or name in only}
        began = time.perf_counter()
        failures, added_mb = run_round(targets, lambda one: text if one.is_text else binary, seed, click.echo)
    if added_mb > MAX_MB:
        failures.append(Failure("all", seed, f"{added_mb:.0f} MB of memory"))
    found = {
        "inputs": {name: text if target.is_text else binary for name, target in targets.items()},
        "seed": seed,
        "failures": len(failures),
        "added_mb": round(added_mb),
        "seconds": round(time.perf_counter() - began),
    }
    click.echo(json.dumps(found))
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
