"""Charts scored: fairness, readability, ergonomics, musicality and the ranking criteria. Imports agents, ear, chart."""
