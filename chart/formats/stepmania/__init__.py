"""StepMania's `.sm` and `.ssc` files: tags and charts (`files`), notes (`notes`), the clock (`timeline`)."""

from chart.formats.stepmania.files import parse_stepmania, read_stepmania

__all__ = ["parse_stepmania", "read_stepmania"]
