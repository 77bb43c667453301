"""The public surface of `eye`, and what it must not import."""

import subprocess
import sys

import pytest

import eye


def test_public_names_exist_and_are_sorted():
    assert list(eye.__all__) == sorted(eye.__all__)
    for name in eye.__all__:
        assert getattr(eye, name) is not None
    with pytest.raises(AttributeError, match="module 'eye' has no attribute 'glance'"):
        _ = eye.glance  # type: ignore[attr-defined]


def test_a_review_needs_no_learning_library_and_help_no_players():
    code = "import sys, eye.review, eye.pictures, eye.page\nassert not {'torch', 'numba', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import sys\nfrom eye import review_chart\nfrom tests.eye_charts import plain_chart\nreview_chart(plain_chart(16))\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
