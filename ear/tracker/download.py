"""Pretrained Beat This checkpoints of its authors: downloaded on first use to the user's cache, checked by SHA-256.

Address and names are those of `beat_this` (README, `beat_this/inference.py`). `final*`: trained on all data but GTZAN;
`small*`: the same with 2 M parameters; `single_final*`: without the downbeat sum; `fold*`: cross-validation.
"""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

from runtime.errors import CheckpointError

BASE_URL = "https://cloud.cp.jku.at/public.php/dav/files/7ik4RrBKTS273gp"

SHA256 = {
    "final0": "8c328b45f59d8dd3dff219253ff6a8d6482be57d0133a29140e2febbf8eb8331",
    "small0": "6074be2c4d490c5f6101fcc374a1ec72ae93456e23bb6019783b849f5dc7d47b",
}
"""Known contents. The other checkpoints are pinned to the contents of their first download."""

PRETRAINED_NAMES = (
    *(f"{kind}{seed}" for kind in ("final", "small", "single_final") for seed in range(3)),
    *(f"fold{fold}" for fold in range(8)),
)

MAX_DOWNLOAD_BYTES = 200_000_000
"""The full-size checkpoints have 80 MB."""

TIMEOUT_S = 30.0
BLOCK_BYTES = 1 << 16


def pretrained_checkpoint(name: str, base_url: str = BASE_URL, cache: Path | None = None) -> Path:
    """The cached file of a pretrained checkpoint, downloaded and checked where it is missing. Raises CheckpointError."""
    path = (cache or cache_folder()) / f"beat_this-{name}.ckpt"
    pin = path.with_suffix(".sha256")
    expected = SHA256.get(name) or (pin.read_text("ascii").strip() if pin.is_file() else None)
    if not path.is_file():
        _download(f"{base_url}/{name}.ckpt", path, expected)
        if name not in SHA256:
            pin.write_text(sha256_of(path) + "\n", "ascii")
    elif expected and sha256_of(path) != expected:
        raise CheckpointError(f"{path}: the cached checkpoint has changed (wrong SHA-256); delete it to fetch it again")
    return path


def cache_folder() -> Path:
    """Where downloads are kept: MANIA4K_CACHE, else the system's folder for caches."""
    if chosen := os.environ.get("MANIA4K_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mania4k"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, path: Path, expected: str | None) -> None:
    """Fetch `url` to `path` by a temporary file, which takes its place only when its hash is right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, temporary.open("wb") as file:
            while block := answer.read(BLOCK_BYTES):
                size += len(block)
                if size > MAX_DOWNLOAD_BYTES:
                    raise CheckpointError(f"{url}: more than {MAX_DOWNLOAD_BYTES // 1_000_000} MB; not a checkpoint")
                digest.update(block)
                file.write(block)
        if expected and digest.hexdigest() != expected:
            raise CheckpointError(f"{url}: the download is not the known checkpoint (wrong SHA-256); try again later")
        os.replace(temporary, path)
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise CheckpointError(
            f"{url}: cannot be downloaded ({reason}); go online once, put the file at {path}, or use --checkpoint bundled"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
