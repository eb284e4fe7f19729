"""The island's budget as a workbook of two sheets."""

from __future__ import annotations

from pathlib import Path

import archive
from openpyxl import Workbook
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

_INCOME = [
    ("Landing fees", 26300, "harbour and ferry"),
    ("Rent of the hostel", 18900, "paid in two parts, April and October"),
    ("Camping field", 4150, "at Skell"),
    ("County grant", 46000, "for school, nurse and paths"),
    ("Storm relief fund", 12500, "for the causeway only"),
    ("Donations", 2050, "box at the lighthouse"),
]

_SPENDING = [
    ("School", 31400, "one teacher, heating, books"),
    ("Causeway repair", 22750, "parapet and 31 coping stones, June"),
    ("Nurse", 16800, "of this 5,600 for the second day a week"),
    ("Harbour lights", 14200, "change to LED"),
    ("Lens of the lighthouse", 8500, "upper limit, work in May"),
    ("Insurance", 7250, "harbour, hostel, school"),
    ("Paths and signs", 3900, "cliff path first"),
    ("Library", 2600, "new shelves 900, books 1,700"),
]


def write(path: Path) -> None:
    workbook = Workbook()
    workbook.properties.title = "Budget of Vessa 2025"
    workbook.properties.creator = "Peter Wren"
    sheet = workbook.active
    sheet.title = "Income 2025"
    _fill(sheet, _INCOME)
    _fill(workbook.create_sheet("Spending 2025"), _SPENDING)
    workbook.save(path)
    archive.settle(path, "2025-02-20")


def _fill(sheet: Worksheet, rows: list[tuple[str, int, str]]) -> None:
    total = sum(amount for _, amount, _ in rows)
    for row in [("Item", "Euros", "Remark"), *rows, ("Total", total, "")]:
        sheet.append(row)
    for cell in (*sheet[1], *sheet[sheet.max_row]):
        cell.font = Font(bold=True)
    for column, width in (("A", 26), ("B", 12), ("C", 44)):
        sheet.column_dimensions[column].width = width
    for cell in sheet["B"]:
        cell.number_format = "#,##0"
    sheet.freeze_panes = "A2"
