"""Shared test settings: a hypothesis profile without deadline (the first JIT compile breaks it), and the data folder."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("mania4k", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mania4k")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The training data beside the repository; tests that ask for it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the training data in {SHARED}, which users do not have")
    return SHARED
