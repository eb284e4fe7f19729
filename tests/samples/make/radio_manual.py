"""The operator's manual of the shore radio: small pages, roman page labels in front, a drawing on the cover."""

from __future__ import annotations

from pathlib import Path

import archive
from radio_manual_text import ABOUT, CHAPTERS, CONTENTS
from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageBreak, PageTemplate, Paragraph, Spacer, Table

INK = HexColor("#1d2a35")
SEA = HexColor("#2f6f8f")
PALE = HexColor("#e4edf1")
WIDTH, HEIGHT = A5
FRONT_PAGES = 2

BODY = ParagraphStyle("body", fontName="Times-Roman", fontSize=10.8, leading=15, spaceAfter=6, alignment=TA_JUSTIFY)
STEP = ParagraphStyle("step", parent=BODY, leftIndent=6 * mm, bulletIndent=1 * mm, spaceAfter=3)
CHAPTER = ParagraphStyle("chapter", fontName="Helvetica-Bold", fontSize=14, leading=18, spaceAfter=7, textColor=SEA)
NOTE = ParagraphStyle("note", parent=BODY, backColor=PALE, borderPadding=5, spaceBefore=13, spaceAfter=12)
CELL = ParagraphStyle("cell", fontName="Times-Roman", fontSize=10, leading=13)
HEAD = ParagraphStyle("head", parent=CELL, fontName="Helvetica-Bold", fontSize=8.6)


def write(path: Path) -> None:
    archive.fix_pdf_date("2023-06-14")
    document = BaseDocTemplate(str(path), pagesize=A5, title="SR-40 Shore Radio: operator’s manual")
    document.author, document.subject = "Merrin Electronics", "Edition 3, June 2023"
    frame = Frame(18 * mm, 20 * mm, WIDTH - 36 * mm, HEIGHT - 38 * mm, 0, 0, 0, 0)
    document.addPageTemplates(PageTemplate("page", [frame], onPage=_furnish))
    document.build([Spacer(1, 1), PageBreak(), *_contents(), *_chapters()])


def _contents() -> list[Flowable]:
    rows = [[Paragraph(title, CELL), Paragraph(label, CELL)] for title, label in CONTENTS]
    table = Table(rows, colWidths=[96 * mm, 14 * mm], style=[("LINEBELOW", (0, 0), (-1, -1), 0.3, PALE)])
    return [Paragraph("Contents", CHAPTER), table, Spacer(1, 6 * mm), *[Paragraph(text, BODY) for text in ABOUT]]


def _chapters() -> list[Flowable]:
    story: list[Flowable] = []
    for chapter in CHAPTERS:
        if chapter.starts_page:
            story.append(PageBreak())
        else:
            story.append(Spacer(1, 4 * mm))
        story.append(Paragraph(chapter.title, CHAPTER))
        story.extend(_part(part) for part in chapter.parts)
    return story


def _part(part: str | tuple[str, str] | list[tuple[str, ...]]) -> Flowable:
    if isinstance(part, list):
        return _table(part)
    if isinstance(part, str):
        return Paragraph(part, BODY)
    mark, text = part
    if mark == "note":
        return Paragraph(text, NOTE)
    return Paragraph(text, STEP, bulletText=mark)


def _table(rows: list[tuple[str, ...]]) -> Table:
    widths = {2: [44, 66], 3: [20, 34, 56]}[len(rows[0])]
    cells = [[Paragraph(text, HEAD if number == 0 else CELL) for text in row] for number, row in enumerate(rows)]
    style = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.3, SEA),
        ("BACKGROUND", (0, 0), (-1, 0), PALE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    return Table(cells, colWidths=[width * mm for width in widths], repeatRows=1, style=style, spaceAfter=8)


def _furnish(canvas: Canvas, document: BaseDocTemplate) -> None:
    page = document.page
    if page == 1:
        canvas.addPageLabel(0, "ROMAN_LOWER", 1)
        canvas.addPageLabel(FRONT_PAGES, "ARABIC", 1)
        _draw_cover(canvas)
        return
    label = "ii" if page == FRONT_PAGES else str(page - FRONT_PAGES)
    canvas.setFillColor(INK)
    canvas.setFont("Helvetica", 8)
    canvas.drawString(18 * mm, 11 * mm, "SR-40 Shore Radio")
    canvas.drawRightString(WIDTH - 18 * mm, 11 * mm, label)


def _draw_cover(canvas: Canvas) -> None:
    canvas.setFillColor(PALE)
    canvas.rect(0, 0, WIDTH, HEIGHT, stroke=0, fill=1)
    canvas.setFillColor(INK)
    canvas.setFont("Helvetica-Bold", 30)
    canvas.drawString(18 * mm, 165 * mm, "SR-40")
    canvas.setFont("Helvetica", 17)
    canvas.drawString(18 * mm, 155 * mm, "Shore Radio")
    canvas.setFillColor(SEA)
    canvas.drawString(18 * mm, 143 * mm, "Operator’s manual")
    _draw_set(canvas, 18 * mm, 70 * mm)
    canvas.setFillColor(INK)
    canvas.setFont("Times-Roman", 10.5)
    canvas.drawString(18 * mm, 34 * mm, "Edition 3, June 2023")
    canvas.drawString(18 * mm, 28 * mm, "Merrin Electronics, Korrin")
    canvas.drawString(18 * mm, 22 * mm, "With an appendix for the station at Vessa harbour office")


def _draw_set(canvas: Canvas, left: float, bottom: float) -> None:
    """The front of the radio: display, dial, distress key under its cover, handset cradle, loudspeaker."""
    canvas.setStrokeColor(INK)
    canvas.setLineWidth(1.4)
    canvas.setFillColor(HexColor("#ffffff"))
    canvas.roundRect(left, bottom, 112 * mm, 52 * mm, 5 * mm, fill=1)
    canvas.setFillColor(HexColor("#c9dca8"))
    canvas.roundRect(left + 36 * mm, bottom + 25 * mm, 44 * mm, 20 * mm, 2 * mm, fill=1)
    canvas.setFillColor(INK)
    canvas.setFont("Helvetica-Bold", 26)
    canvas.drawString(left + 41 * mm, bottom + 31 * mm, "16")
    canvas.setFont("Helvetica", 9)
    canvas.drawString(left + 61 * mm, bottom + 38 * mm, "25 W")
    canvas.drawString(left + 61 * mm, bottom + 30 * mm, "WATCH")
    canvas.setFillColor(HexColor("#ffffff"))
    canvas.circle(left + 96 * mm, bottom + 34 * mm, 10 * mm, fill=1)
    canvas.line(left + 96 * mm, bottom + 34 * mm, left + 102 * mm, bottom + 41 * mm)
    canvas.setFillColor(HexColor("#b5382c"))
    canvas.roundRect(left + 88 * mm, bottom + 7 * mm, 16 * mm, 9 * mm, 1.5 * mm, fill=1)
    canvas.setFillColor(HexColor("#ffffff"))
    for number in range(4):
        canvas.roundRect(left + (36 + 11.6 * number) * mm, bottom + 8 * mm, 9 * mm, 7 * mm, 1 * mm, fill=1)
    for row in range(9):
        canvas.line(left + 7 * mm, bottom + (8 + 4.4 * row) * mm, left + 28 * mm, bottom + (8 + 4.4 * row) * mm)
