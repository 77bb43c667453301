"""Benchmarks: each prints a readable table and one line of JSON last. Run as `python -m bench.NAME`."""
