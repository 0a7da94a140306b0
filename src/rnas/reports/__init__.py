"""Tables, drawn cells, curves and the page of a run. Reads the files of a run's folder; needs no torch."""

from typing import TYPE_CHECKING

from rnas.lazy import lazily

if TYPE_CHECKING:
    from rnas.reports.benchmark import benchmark_table
    from rnas.reports.card import model_card
    from rnas.reports.certificates import certificates_table, contradictions
    from rnas.reports.figures.cells import draw_cell, draw_genotype, draw_genotypes
    from rnas.reports.figures.dots import save_comparison
    from rnas.reports.figures.layers import layer_figure
    from rnas.reports.figures.studies import layers_figure, sweep_figure, table_figure
    from rnas.reports.figures.style import save
    from rnas.reports.front import front_table, trial_rows
    from rnas.reports.layers import ONE_POSITION, LayerRow, layer_quotients, layer_tables, layers_csv, read_layers
    from rnas.reports.page import report
    from rnas.reports.studies import StudyRow, study_csv, study_table
    from rnas.reports.tables import html_table, markdown_table, rich_table
else:
    # Figures and columns of numbers take long to import, and a command line that is only parsed needs none.
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "layers": ("ONE_POSITION", "LayerRow", "layer_quotients", "layer_tables", "layers_csv", "read_layers"),
            "studies": ("StudyRow", "study_csv", "study_table"),
            "figures.studies": ("layers_figure", "sweep_figure", "table_figure"),
            "benchmark": ("benchmark_table",),
            "certificates": ("certificates_table", "contradictions"),
            "figures.cells": ("draw_cell", "draw_genotype", "draw_genotypes"),
            "tables": ("html_table", "markdown_table", "rich_table"),
            "figures.layers": ("layer_figure",),
            "card": ("model_card",),
            "front": ("front_table", "trial_rows"),
            "page": ("report",),
            "figures.style": ("save",),
            "figures.dots": ("save_comparison",),
        },
    )

__all__ = [
    "ONE_POSITION",
    "LayerRow",
    "StudyRow",
    "benchmark_table",
    "certificates_table",
    "contradictions",
    "draw_cell",
    "draw_genotype",
    "draw_genotypes",
    "front_table",
    "html_table",
    "layer_figure",
    "layer_quotients",
    "layer_tables",
    "layers_csv",
    "layers_figure",
    "markdown_table",
    "model_card",
    "read_layers",
    "report",
    "rich_table",
    "save",
    "save_comparison",
    "study_csv",
    "study_table",
    "sweep_figure",
    "table_figure",
    "trial_rows",
]
