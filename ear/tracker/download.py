"""Pretrained Beat This checkpoints of its authors: downloaded on first use to the user's cache, checked by SHA-256.

Address and names are those of `beat_this` (README, `beat_this/inference.py`). `final*`: trained on all data but GTZAN;
`small*`: the same with 2 M parameters; `single_final*`: without the downbeat sum; `fold*`: cross-validation.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

from runtime.atomic_write import save_bytes
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
"""Longest wait for the server's next bytes."""

MIN_BYTES_PER_S, GRACE_S = 16_384, 20.0
"""A download whose mean rate is below the first after the second is given up: 80 MB would take over an hour."""

BLOCK_BYTES = 1 << 16


def pretrained_checkpoint(name: str, base_url: str = BASE_URL, cache: Path | None = None) -> Path:
    """The cached file of a pretrained checkpoint, downloaded and checked where it is missing. Raises CheckpointError."""
    path = (cache or cache_folder()) / f"beat_this-{name}.ckpt"
    pin = path.with_suffix(".sha256")
    expected = SHA256.get(name) or (pin.read_text("ascii").strip() if pin.is_file() else None)
    if not path.is_file():
        temporary = _download(f"{base_url}/{name}.ckpt", path, expected)
        try:
            if name not in SHA256:
                save_bytes(pin, (sha256_of(temporary) + "\n").encode("ascii"))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    elif expected and sha256_of(path) != expected:
        raise CheckpointError(f"{path}: the cached checkpoint has changed (wrong SHA-256); delete it to fetch it again")
    return path


def cache_folder() -> Path:
    """Folder of downloads: MANIA4K_CACHE, else the system's folder for caches."""
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


def _download(url: str, path: Path, expected: str | None) -> Path:
    """Fetch `url` to a temporary file beside `path`; a file that is incomplete or of other contents is not kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        _fetch(url, temporary)
        _check_contents(url, temporary, expected)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        temporary.unlink(missing_ok=True)
        reason = getattr(error, "reason", None) or error
        raise CheckpointError(
            f"{url}: cannot be downloaded ({reason}); go online once, put the file at {path}, or use --checkpoint bundled"
        ) from error
    except CheckpointError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _fetch(url: str, temporary: Path) -> None:
    """Write the body of `url` to a file. Raises CheckpointError where it is too large, too slow or cut short."""
    began, size = time.monotonic(), 0
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, temporary.open("wb") as file:
        announced = answer.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > MAX_DOWNLOAD_BYTES:
            raise CheckpointError(_too_large(url))
        while block := answer.read1(BLOCK_BYTES):  # one receive: `read` would wait for a whole block
            size += len(block)
            if size > MAX_DOWNLOAD_BYTES:
                raise CheckpointError(_too_large(url))
            spent_s = time.monotonic() - began
            if spent_s > GRACE_S and size < MIN_BYTES_PER_S * spent_s:
                raise CheckpointError(
                    f"{url}: only {size} bytes came in {spent_s:.0f} s; try again on a faster network"
                )
            file.write(block)
    if announced.isdecimal() and size != int(announced):
        raise CheckpointError(f"{url}: the download was cut short ({size} of {announced} bytes); try again")


def _too_large(url: str) -> str:
    return f"{url}: more than {MAX_DOWNLOAD_BYTES // 1_000_000} MB; not a checkpoint"


def _check_contents(url: str, file: Path, expected: str | None) -> None:
    """Raise CheckpointError unless a download has the expected hash, or where none is known is a whole archive."""
    if expected:
        if sha256_of(file) != expected:
            raise CheckpointError(f"{url}: the download is not the known checkpoint (wrong SHA-256); try again later")
        return
    try:
        with zipfile.ZipFile(file) as archive:  # what torch.save writes; its directory stands at the end
            damaged = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, zlib.error, EOFError) as error:
        raise CheckpointError(f"{url}: the download is not a whole checkpoint ({error}); try again") from error
    if damaged is not None:
        raise CheckpointError(f"{url}: the download is damaged (at {damaged[:80]}); try again")
