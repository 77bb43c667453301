"""The playtest loop: the mapper refined by what simulated players make of its charts."""
