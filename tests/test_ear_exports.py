"""Public names of `ear`."""

import subprocess
import sys

import pytest

import ear


def test_every_name_is_there_and_sorted() -> None:
    assert sorted(ear.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == ear.__all__
    assert [name for name in ear.__all__ if getattr(ear, name) is None] == []
    assert sorted(name for names in ear._MODULES.values() for name in names) == sorted(ear.__all__)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'ear' has no attribute 'nothing'"):
        _ = ear.nothing


def test_importing_the_package_loads_no_audio_library() -> None:
    code = "import sys, ear, ear.beat_to_osu; sys.exit('soundfile' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
