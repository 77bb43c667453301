#!/bin/sh
# osrparse 7.0.1 leaves the two frames at (256, -500) out of `replay_data`, together with their times. Stable writes them first in every
# osu!mania replay and counts their times, so sums of the library's deltas are off by the second frame's time: 1 ms, or, on a map
# whose intro can be skipped, seconds. Here 10,690 ms is the time of the first press; the library's sum is 2,277 ms.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install osrparse==7.0.1
"$work/venv/bin/python" - <<'PY'
import lzma
import struct

from osrparse import Replay

frames = "0|256|-500|0,8413|256|-500|0,2277|8|0|0,44|0|0|0,-12345|0|0|7,"
packed = lzma.compress(frames.encode(), format=lzma.FORMAT_ALONE)
data = struct.pack("<BI", 3, 20250101) + b"\0\0\0" + struct.pack("<6HIHBI", 1, 0, 0, 0, 0, 0, 0, 1, 1, 0)
data += b"\0" + struct.pack("<qi", 0, len(packed)) + packed + struct.pack("<q", 0)
events = Replay.from_string(data).replay_data
print([(event.time_delta, int(event.keys)) for event in events])
assert [event.time_delta for event in events] == [2277, 44], "osrparse now keeps the frames"
PY
