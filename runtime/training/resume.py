"""State of a training run on disk, from which it resumes after a crash."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from runtime.atomic_write import replacing
from runtime.errors import CheckpointError

STATE = "state.pt"


def save_state(out: Path, state: dict[str, Any]) -> None:
    """Write the state atomically: a crash at any moment leaves a whole one."""
    with replacing(out / STATE) as file:
        torch.save(state, file)


def load_state(
    out: Path, device: torch.device | str, needed: Collection[str], kind: str = "training run"
) -> dict[str, Any] | None:
    """The saved state, None for a fresh run; CheckpointError when it is damaged or lacks what is `needed`."""
    path = out / STATE
    if not path.is_file():
        return None
    try:
        saved: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises pickle.UnpicklingError, RuntimeError, EOFError, … on damaged files
        reason = first_line(error)
        if "eights only load" in reason:  # torch goes on to advise loading it all the same, which would run its code
            reason = "it holds more than tensors and plain values"
        raise CheckpointError(f"{path}: damaged ({reason}); remove it to start anew") from error
    if not isinstance(saved, dict):
        raise _another_run(out, f"it holds a {type(saved).__name__}, no {kind}'s state")
    missing = set(needed) - set(saved)
    if missing:
        raise _another_run(out, f"not a {kind}'s state (no {', '.join(sorted(missing))})")
    return saved


@contextmanager
def checkpoint_errors(out: Path) -> Iterator[None]:
    """Context manager that re-raises errors of restoring a state as CheckpointError."""
    try:
        yield
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError, OverflowError) as error:
        raise _another_run(out, first_line(error)) from error


def first_line(error: Exception) -> str:
    """The first line of an error's text, or its kind where it has none."""
    return next(iter(str(error).splitlines()), "")[:100] or type(error).__name__


def _another_run(out: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{out / STATE}: is of another run; give another folder with -o, or remove it: {reason}")
