"""Spreadsheets to Markdown: one heading and one table per sheet, cells as they are shown. Runs in the child only.

Reads cells directly instead of through data frames, which turn whole numbers into decimals where a column has a gap,
fill gaps with NaN and invent column names.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterable, Iterator
from typing import Any

from termrag.errors import UnreadableFile
from termrag.readers.markup import core_properties
from termrag.readers.plain import clean
from termrag.readers.tables import table
from termrag.records import Content

_XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_XLS_TYPE = "application/vnd.ms-excel"
_CELL_CHARS = 32_767  # the most that a cell may hold by the format's own rules
_ROW_GAP = 2  # so many empty rows end a table


def read_xlsx(data: bytes) -> Content:
    import openpyxl  # type: ignore[import-untyped]

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    sheets = ((sheet.title, sheet.iter_rows(values_only=True)) for sheet in book.worksheets)
    fields = core_properties(data)  # openpyxl would fill gaps with its own name and today's date
    return _content(sheets, _XLSX_TYPE, fields)


def read_xls(data: bytes) -> Content:
    import xlrd  # type: ignore[import-untyped]

    book = xlrd.open_workbook(file_contents=data, on_demand=True, logfile=io.StringIO())

    def rows(sheet: Any) -> Iterator[tuple[Any, ...]]:
        for number in range(sheet.nrows):
            yield tuple(_xls_value(cell, book.datemode) for cell in sheet.row(number))

    return _content(((sheet.name, rows(sheet)) for sheet in book.sheets()), _XLS_TYPE, {})


def _content(
    sheets: Iterable[tuple[str, Iterable[tuple[Any, ...]]]],
    media_type: str,
    fields: dict[str, str],
) -> Content:
    parts = []
    for name, rows in sheets:
        tables = [_with_captions(_trimmed(block)) for block in _blocks(rows)]
        if tables:
            parts.append("\n\n".join([f"## {clean(name).strip() or 'Sheet'}", *tables]))
    if not parts:
        raise UnreadableFile("has only empty sheets", "Open it in its own program and look whether it is empty.")
    return Content(
        text="\n\n".join(parts) + "\n",
        kind="markdown",
        media_type=media_type,
        syntax="markdown",
        title=fields.get("title", ""),
        author=fields.get("creator", ""),
        created=fields.get("created", "")[:10],
    )


def _with_captions(rows: list[tuple[str, ...]]) -> str:
    """A table whose leading rows of a single cell stand above it as lines of text."""
    start = 0
    while start < len(rows) and len(rows[start]) > 1 and sum(map(bool, rows[start])) == 1:
        start += 1
    captions = ["".join(row) for row in rows[:start]]
    return "\n\n".join([*captions, *([table(rows[start:])] if start < len(rows) else [])])


def _blocks(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[list[str]]]:
    """Runs of rows with text, parted where several rows in a row are empty."""
    block: list[list[str]] = []
    gap = 0
    for row in rows:
        cells = [_shown(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            block.append(cells)
            gap = 0
            continue
        gap += 1
        if gap >= _ROW_GAP and block:
            yield block
            block = []
    if block:
        yield block


def _trimmed(block: list[list[str]]) -> list[tuple[str, ...]]:
    """The block's rows at one width, without columns that are empty throughout."""
    width = max(map(len, block))
    used = sorted({place for row in block for place, cell in enumerate(row) if cell and place < width})
    return [tuple(row[place] if place < len(row) else "" for place in used) for row in block]


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.10g}"
        case datetime.datetime():
            return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(" ", "minutes")
        case _:
            return " ".join(clean(str(value)[:_CELL_CHARS]).split()).replace("|", "\\|")


def _xls_value(cell: Any, datemode: int) -> Any:
    import xlrd

    match cell.ctype:
        case xlrd.XL_CELL_DATE:
            try:
                return xlrd.xldate_as_datetime(cell.value, datemode)
            except (xlrd.XLDateError, OverflowError, ValueError):
                return cell.value
        case xlrd.XL_CELL_BOOLEAN:
            return bool(cell.value)
        case xlrd.XL_CELL_ERROR:
            return None
        case _:
            return cell.value
