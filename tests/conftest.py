"""Shared test settings: a hypothesis profile without deadline (the first JIT compile breaks it), tests with a browser, the data folder."""

import os
from pathlib import Path

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before numpy and torch: threads of small products wait more than they work

import pytest
from hypothesis import settings

settings.register_profile("mania4k", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("mania4k")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    kinds = ("with", "without", "only")
    parser.addoption(
        "--browser", choices=kinds, default="with", help="Select tests in files named *_browser.py, or not."
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that `--browser` asks for."""
    wanted = config.getoption("--browser")
    if wanted == "with":
        return
    with_browser = [item.path.stem.endswith("_browser") for item in items]
    chosen = [one == (wanted == "only") for one in with_browser]
    config.hook.pytest_deselected(items=[item for item, one in zip(items, chosen, strict=True) if not one])
    items[:] = [item for item, one in zip(items, chosen, strict=True) if one]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The training data beside the repository; tests that ask for it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the training data in {SHARED}, which users do not have")
    return SHARED
