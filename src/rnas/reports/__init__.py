"""Tables, drawn cells, curves and the page of a run. Reads the files of a run's folder; needs no torch."""

from rnas.reports.cells import draw_cell, draw_genotype
from rnas.reports.page import report
from rnas.reports.reading import load_results
from rnas.reports.results import ModelResults, parse_results, read_results
from rnas.reports.tables import html_table, markdown_table, rich_table

__all__ = [
    "ModelResults",
    "draw_cell",
    "draw_genotype",
    "html_table",
    "load_results",
    "markdown_table",
    "parse_results",
    "read_results",
    "report",
    "rich_table",
]
