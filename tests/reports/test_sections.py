"""The page is a list of sections: a new one is a function in it, and its texts cannot become markup."""

from pathlib import Path

import pytest
from markupsafe import Markup

from rnas.reports import page, report
from rnas.reports.blocks import definitions, details, figure, grid, listing, paragraph
from rnas.reports.gallery import Picture
from rnas.reports.sections import SECTIONS, Page, Section

EVIL = "<b>&\"'</b>"
HARMLESS = "&lt;b&gt;&amp;&#34;&#39;&lt;/b&gt;"


def test_a_section_of_ones_own_stands_where_the_list_has_it(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(page: Page) -> Section:
        return Section.of("counted", EVIL, [paragraph(f"{len(page.contents.models)} models")])

    def missing(page: Page) -> Section:
        return Section.of("missing", "Missing", [], absent=f"{page.contents.path.name} has none")

    def never(page: Page) -> None:  # noqa: ARG001 - one signature
        return None

    monkeypatch.setattr(page, "SECTIONS", (counted, never, missing))
    text = report(run_folder).read_text(encoding="utf-8")
    main = text[text.index("<main>") : text.index("</main>")]
    assert main == (
        f'<main>\n<section id="counted">\n<h2>{HARMLESS}</h2>\n<p>2 models</p>\n</section>\n'
        '<section id="missing">\n<h2>Missing</h2>\n<p class="note">Left out: quickstart has none.</p>\n</section>\n'
    )


def test_every_section_has_its_own_name_and_a_body(run_folder: Path, undrawn: None) -> None:  # noqa: ARG001
    made: list[Section] = []

    def kept(make: object) -> object:
        def run(page: Page) -> Section | None:
            section: Section | None = make(page)  # type: ignore[operator]
            made.extend([section] if section is not None else [])
            return section

        return run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "SECTIONS", tuple(kept(make) for make in SECTIONS))
        report(run_folder)
    names = [section.name for section in made]
    assert len(set(names)) == len(names) >= 7
    assert all(section.title and section.body for section in made)


@pytest.mark.parametrize(
    "block",
    [
        paragraph(EVIL),
        paragraph("x", EVIL),
        grid([EVIL], [[EVIL]]),
        grid([EVIL, "x"], [[EVIL, EVIL]], words=True, sides=True),
        definitions([(EVIL, EVIL)]),
        listing([EVIL]),
        details(EVIL, paragraph(EVIL)),
        figure(Picture(EVIL, EVIL, EVIL, EVIL)),
    ],
)
def test_text_cannot_become_markup(block: Markup) -> None:
    assert HARMLESS in block
    assert "<b>" not in block
    assert "'" not in block


def test_markup_stays_as_it_is() -> None:
    assert paragraph(Markup("a <b>b</b>")) == "<p>a <b>b</b></p>"
    table = grid(["n", "x"], [["a", "1"], ["b", "2"]], sides=True)
    assert table.count('<th scope="col">') == table.count('<th scope="row">') == table.count("<td>") == 2
