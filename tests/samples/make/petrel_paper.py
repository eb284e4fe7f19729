"""A short scientific paper in two columns with a table and a chart, pages 41 to 43 of a journal."""

from __future__ import annotations

from pathlib import Path

import archive
from petrel_paper_text import ABSTRACT, AUTHORS, BODY_TEXT, COUNTS, GROUNDED, JOURNAL, PLACES, TITLE
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    KeepTogether,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    Table,
)

INK = HexColor("#222222")
BAR = HexColor("#5b7f95")
WIDTH, HEIGHT = A4
MARGIN, GAP = 20 * mm, 8 * mm
COLUMN = (WIDTH - 2 * MARGIN - GAP) / 2
FIRST_PAGE = 41
TITLE_BLOCK = 69 * mm

BODY = ParagraphStyle(
    "body", fontName="Times-Roman", fontSize=10.6, leading=13.8, alignment=TA_JUSTIFY, firstLineIndent=9
)
FIRST = ParagraphStyle("first", parent=BODY, firstLineIndent=0)
SECTION = ParagraphStyle(
    "section", fontName="Times-Bold", fontSize=11.5, leading=14, spaceBefore=9, spaceAfter=3, keepWithNext=1
)
CAPTION = ParagraphStyle("caption", fontName="Times-Italic", fontSize=9, leading=11, spaceBefore=4, spaceAfter=8)
REFERENCE = ParagraphStyle("reference", parent=FIRST, fontSize=9, leading=11, leftIndent=9, firstLineIndent=-9)
PAPER_TITLE = ParagraphStyle("title", fontName="Times-Bold", fontSize=19, leading=23)
AUTHOR_LINE = ParagraphStyle("authors", fontName="Times-Roman", fontSize=11.5, leading=15, spaceBefore=5)
PLACE_LINE = ParagraphStyle("places", fontName="Times-Italic", fontSize=9.5, leading=12)
ABSTRACT_TEXT = ParagraphStyle("abstract", parent=FIRST, spaceBefore=6)


def write(path: Path) -> None:
    archive.fix_pdf_date("2025-02-03")
    document = BaseDocTemplate(str(path), pagesize=A4, title=TITLE, author="Elin Sørby and Marcus Adeyemi")
    document.subject = JOURNAL
    top = HEIGHT - 24 * mm
    head = Frame(MARGIN, top - TITLE_BLOCK, WIDTH - 2 * MARGIN, TITLE_BLOCK, 0, 0, 0, 0)
    document.addPageTemplates(
        [
            PageTemplate("first", [head, *_columns(top - TITLE_BLOCK - 4 * mm)], onPage=_furnish),
            PageTemplate("later", _columns(top), onPage=_furnish),
        ]
    )
    document.build([NextPageTemplate("later"), *_head(), *_body()])


def _columns(top: float) -> list[Frame]:
    bottom = 22 * mm
    lefts = (MARGIN, MARGIN + COLUMN + GAP)
    return [Frame(left, bottom, COLUMN, top - bottom, 0, 0, 0, 0) for left in lefts]


def _head() -> list[Flowable]:
    return [
        Paragraph(TITLE, PAPER_TITLE),
        Paragraph(AUTHORS, AUTHOR_LINE),
        Paragraph(PLACES, PLACE_LINE),
        Paragraph(ABSTRACT, ABSTRACT_TEXT),
    ]


def _body() -> list[Flowable]:
    story: list[Flowable] = []
    after_heading = True
    for kind, text in BODY_TEXT:
        match kind:
            case "section":
                story.append(Paragraph(text, SECTION))
            case "table":
                story.append(KeepTogether([_counts(), Paragraph(text, CAPTION)]))
            case "grounded":
                story.append(KeepTogether([_grounded(), Paragraph(text, CAPTION)]))
            case "chart":
                story.append(KeepTogether([_chart(), Paragraph(text, CAPTION)]))
            case "break":
                story.append(FrameBreak())
            case "reference":
                story.append(Paragraph(text, REFERENCE))
            case _:
                story.append(Paragraph(text, FIRST if after_heading else BODY))
        after_heading = kind != "text"
    return story


def _counts() -> Table:
    rows = [("Year", "Answers", "Occupied sites", "95 % interval")]
    rows += [(str(year), str(answers), str(sites), f"{low} to {high}") for year, answers, sites, low, high in COUNTS]
    return _table(rows, (0.16, 0.2, 0.34, 0.3))


def _grounded() -> Table:
    rows = [("Month", "Found", "Released"), *[(month, str(found), str(free)) for month, found, free in GROUNDED]]
    return _table(rows, (0.4, 0.3, 0.3))


def _table(rows: list[tuple[str, ...]], shares: tuple[float, ...]) -> Table:
    style = [
        ("FONT", (0, 0), (-1, 0), "Times-Bold", 9),
        ("FONT", (0, 1), (-1, -1), "Times-Roman", 9),
        ("LINEABOVE", (0, 0), (-1, 0), 0.8, INK),
        ("LINEBELOW", (0, 0), (-1, 0), 0.4, INK),
        ("LINEBELOW", (0, -1), (-1, -1), 0.8, INK),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
    ]
    return Table(rows, colWidths=[COLUMN * share for share in shares], style=style, spaceBefore=6)


def _chart() -> Drawing:
    drawing = Drawing(COLUMN, 52 * mm)
    base, scale, step = 8 * mm, 38 * mm / 500, COLUMN / 6
    for value in (0, 100, 200, 300, 400, 500):
        height = base + value * scale
        drawing.add(Line(9 * mm, height, COLUMN, height, strokeColor=HexColor("#cccccc"), strokeWidth=0.4))
        drawing.add(String(0, height - 2.5, str(value), fontName="Times-Roman", fontSize=8))
    for year, _, sites, low, high in COUNTS:
        middle = 9 * mm + (year - 2018.5) * (COLUMN - 9 * mm) / 6
        drawing.add(Rect(middle - step / 4, base, step / 2, sites * scale, fillColor=BAR, strokeColor=None))
        drawing.add(Line(middle, base + low * scale, middle, base + high * scale, strokeColor=INK, strokeWidth=0.8))
    for year in range(2019, 2025):
        middle = 9 * mm + (year - 2018.5) * (COLUMN - 9 * mm) / 6
        drawing.add(String(middle, 2 * mm, str(year), fontName="Times-Roman", fontSize=8, textAnchor="middle"))
    return drawing


def _furnish(canvas: Canvas, document: BaseDocTemplate) -> None:
    if document.page == 1:
        canvas.addPageLabel(0, "ARABIC", FIRST_PAGE)
    canvas.setFont("Times-Italic", 9)
    canvas.drawString(MARGIN, HEIGHT - 16 * mm, JOURNAL)
    canvas.setFont("Times-Roman", 9)
    canvas.drawCentredString(WIDTH / 2, 12 * mm, str(FIRST_PAGE + document.page - 1))
