"""The report of a study run: one HTML file that needs nothing but itself."""

from sixfold.report.page import render_report, write_report

__all__ = ["render_report", "write_report"]
