#!/usr/bin/env bash
# numba 0.68.1, numpy 2.4.6. `cache=True` looks at the file of the function alone: where a compiled function calls one of another module,
# and that module changes, the next run still gives the old result. Delete __pycache__ after an edit of shared kernels, or keep
# a kernel and what it calls in one file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
cd "$folder"
printf 'import numba\n@numba.njit\ndef half_width():\n    return 16\n' > windows.py
printf 'import numba\nfrom windows import half_width\n@numba.njit(cache=True)\ndef judge():\n    return half_width() * 2\n' > judgement.py
first=$("$folder/venv/bin/python" -c 'import judgement; print(judgement.judge())')
sed -i 's/16/20/' windows.py
second=$("$folder/venv/bin/python" -c 'import judgement; print(judgement.judge())')
rm -rf __pycache__
third=$("$folder/venv/bin/python" -c 'import judgement; print(judgement.judge())')
echo "before the edit $first, after it $second, without the cache $third"
[ "$first $second $third" = "32 32 40" ]
