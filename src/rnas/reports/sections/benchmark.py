"""Where the cells that searches found stand among all cells, where `rnas benchmark` looked them up."""

from __future__ import annotations

from markupsafe import Markup

from rnas.reports.benchmark import benchmark_html
from rnas.reports.blocks import paragraph, wide
from rnas.reports.sections.base import Page, Section

__all__ = ["benchmark"]

INTRODUCTION = """\
Where the cells that each seed's search found stand in NAS-RobBench-201: their parameters; their robust accuracy in
[0, 1]; its percentile among all cells, among those within the size limit, among those of exactly their size and among
those of at most their size; the percentile of their clean accuracy; and the passes that the search took. From three
seeds on, +- is half of the 95% interval of the mean."""


def benchmark(page: Page) -> Section | None:
    """The section; None where no benchmark has ended."""
    ended = [part for part in page.contents.benchmarks if part.ended]
    if not ended:
        return None
    body = [paragraph(INTRODUCTION)]
    for part in ended:
        body += [Markup("<h3>{}</h3>").format(part.name)] if len(ended) > 1 else []
        body.append(wide(benchmark_html(part)))
    return Section.of("benchmark", "Against ground truth", body)
