"""Findings of a review: measures, anomalies, remarks, the structure of a chart."""

__all__ = [
    "anomaly",
    "chart_remarks",
    "curves",
    "explanation",
    "passage",
    "passage_remarks",
    "pattern_rows",
    "row_measures",
    "rule_remarks",
    "structure",
    "types",
]
