"""StepMania's `.sm` and `.ssc` files: tags and charts (`files`), notes (`notes`), the clock (`timeline`), `.ssc` written (`write`)."""

from chart.formats.stepmania.files import parse_stepmania, read_stepmania
from chart.formats.stepmania.write import format_ssc

__all__ = ["format_ssc", "parse_stepmania", "read_stepmania"]
