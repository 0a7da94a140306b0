"""Tables, drawn cells, curves and the page of a run. Reads the files of a run's folder; needs no torch."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.reports.benchmark import benchmark_table
    from rnas.reports.card import model_card
    from rnas.reports.cells import draw_cell, draw_genotype, draw_genotypes
    from rnas.reports.dots import save_comparison
    from rnas.reports.figures import save
    from rnas.reports.layer_figures import layer_figure
    from rnas.reports.layers import (
        ONE_POSITION,
        LayerRow,
        layer_quotients,
        layer_tables,
        layers_csv,
        read_layers,
    )
    from rnas.reports.page import report
    from rnas.reports.reading import load_results
    from rnas.reports.results import ModelResults, parse_results, read_results
    from rnas.reports.studies import StudyRow, study_csv, study_table
    from rnas.reports.study_figures import layers_figure, sweep_figure, table_figure
    from rnas.reports.tables import html_table, markdown_table, rich_table

__all__ = [
    "ONE_POSITION",
    "LayerRow",
    "ModelResults",
    "StudyRow",
    "benchmark_table",
    "draw_cell",
    "draw_genotype",
    "draw_genotypes",
    "html_table",
    "layer_figure",
    "layer_quotients",
    "layer_tables",
    "layers_csv",
    "layers_figure",
    "load_results",
    "markdown_table",
    "model_card",
    "parse_results",
    "read_layers",
    "read_results",
    "report",
    "rich_table",
    "save",
    "save_comparison",
    "study_csv",
    "study_table",
    "sweep_figure",
    "table_figure",
]

# Figures and columns of numbers take long to import, and a command line that is only parsed needs none.
__getattr__ = lazily(
    __name__,
    {
        **dict.fromkeys(("ONE_POSITION", "LayerRow", "layer_quotients"), "layers"),
        **dict.fromkeys(("layer_tables", "layers_csv", "read_layers"), "layers"),
        **dict.fromkeys(("StudyRow", "study_csv", "study_table"), "studies"),
        **dict.fromkeys(("layers_figure", "sweep_figure", "table_figure"), "study_figures"),
        "ModelResults": "results",
        "benchmark_table": "benchmark",
        "draw_cell": "cells",
        "draw_genotype": "cells",
        "draw_genotypes": "cells",
        "html_table": "tables",
        "layer_figure": "layer_figures",
        "load_results": "reading",
        "markdown_table": "tables",
        "model_card": "card",
        "parse_results": "results",
        "read_results": "results",
        "report": "page",
        "rich_table": "tables",
        "save": "figures",
        "save_comparison": "dots",
    },
)
