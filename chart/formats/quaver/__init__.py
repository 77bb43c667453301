"""Quaver's `.qua` charts and `.qp` sets: read and written."""

from chart.formats.quaver.read import parse_quaver, read_quaver
from chart.formats.quaver.write import format_quaver, write_quaver_set

__all__ = ["format_quaver", "parse_quaver", "read_quaver", "write_quaver_set"]
