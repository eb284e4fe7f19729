"""PDF to text, page by page, with PDFium. Runs in the converter's child only."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

from termrag.errors import UnreadableFile
from termrag.readers.plain import clean, is_title
from termrag.records import Content, PageMark

if TYPE_CHECKING:
    import pypdfium2

# A full line of Chinese or Japanese goes on in the next one without a space.
_UNSPACED_LINE = re.compile("(^.{15,}[\u3040-\u30ff\u3400-\u9fff、，])\n(?=[\u3040-\u30ff\u3400-\u9fff])", re.MULTILINE)
_ERROR_PASSWORD = 4  # FPDF_ERR_PASSWORD
# PDFium writes U+FFFE or U+0002 for a hyphen at a line's end, mostly in place of the line end itself.
_LINE_HYPHEN = re.compile(r"(\S{0,40})(?:[\x02\ufffe\u00ad][ \t]*\n?|(?<=[^\W\d_])-[ \t]*\n)[ \t]*(\S*)[ \t]*\n?")
# Forms that only print: ligatures, Arabic presentation forms, CJK radicals and compatibility ideographs, letters of
# mathematics, full-width letters. Superscripts and full-width punctuation mean something and stay.
_PRESENTATION = re.compile(
    "[\ufb00-\ufb4f\ufb50-\ufdff\ufe70-\ufefc\u2e80-\u2fdf\uf900-\ufaff\uff10-\uff19\uff21-\uff3a\uff41-\uff5a"
    "\uff65-\uff9f\U0001d400-\U0001d7ff]+"
)
_PAGE_LIST_LIMIT = 8


def read_pdf(data: bytes) -> Content:
    """Text of every page with a mark where it begins; pages without a text layer are named in `warnings`."""
    document = _opened(data)
    parts: list[str] = []
    marks: list[PageMark] = []
    silent: list[int] = []
    length = 0
    for index in range(len(document)):
        text = _page_text(document, index)
        if not text:
            silent.append(index + 1)
            continue
        marks.append(PageMark(length, index + 1, _label(document, index)))
        parts.append(text + "\n\n")
        length += len(parts[-1])
    if not parts:
        raise UnreadableFile(
            "has no text layer: its pages are images", "Run it through text recognition (ocrmypdf) and add the result."
        )
    fields = _metadata(document)
    return Content(
        text="".join(parts).rstrip() + "\n",
        kind="text",
        media_type="application/pdf",
        pages=tuple(marks),
        title=fields["Title"] if is_title(fields["Title"]) else "",
        author=fields["Author"],
        created=_date(fields["CreationDate"]),
        tags=tuple(tag for part in re.split(r"[,;]", fields["Keywords"])[:20] if (tag := part.strip())),
        warnings=_warnings(silent, len(document)),
    )


def tidy_page(text: str) -> str:
    """One page's text as PDFium gives it, made readable: words joined over line ends, presentation forms unfolded."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _LINE_HYPHEN.sub(_without_hyphen, text)
    text = _PRESENTATION.sub(lambda found: unicodedata.normalize("NFKC", found.group()), text)
    text = unicodedata.normalize("NFC", clean(text))
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    text = _UNSPACED_LINE.sub(r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def _without_hyphen(found: re.Match[str]) -> str:
    """A word cut at a line's end, whole; a compound (Just-in-Time, UTF-8) keeps its hyphen. The line ends after it."""
    before, after = found.groups()
    is_one_word = before[-1:].islower() and after[:1].islower() and "-" not in before
    return f"{before}{'' if is_one_word else '-'}{after}\n"


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        pages = len(document)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == _ERROR_PASSWORD:
            raise UnreadableFile("is protected by a password", "Save a copy without a password and add that.") from None
        raise UnreadableFile("is no valid PDF, or is damaged", "Open it in a PDF viewer and save it again.") from None
    if not pages:
        raise UnreadableFile("is a PDF without pages, or is damaged", "Open it in a PDF viewer and save it again.")
    return document


def _page_text(document: pypdfium2.PdfDocument, index: int) -> str:
    """Empty for a page without text and for one that PDFium cannot load."""
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return ""
    try:
        textpage = page.get_textpage()
        text = tidy_page(textpage.get_text_bounded())
        textpage.close()
        return text if text.strip() else ""
    except pypdfium2.PdfiumError:
        return ""
    finally:
        page.close()


def _label(document: pypdfium2.PdfDocument, index: int) -> str:
    """What the page calls itself, where that differs from its number."""
    label = clean(document.get_page_label(index) or "").strip()[:20]
    return "" if label == str(index + 1) else label


def _metadata(document: pypdfium2.PdfDocument) -> dict[str, str]:
    values: dict[str, Any] = document.get_metadata_dict()
    keys = ("Title", "Author", "CreationDate", "Keywords")
    return {key: " ".join(clean(values.get(key) or "").split())[:500] for key in keys}


def _date(text: str) -> str:
    """`D:20240131120000Z` as `2024-01-31`; empty for anything else."""
    found = re.match(r"(?:D:)?(\d{4})(\d{2})(\d{2})", text)
    return "-".join(found.groups()) if found else ""


def _warnings(silent: list[int], total: int) -> tuple[str, ...]:
    if not silent:
        return ()
    if len(silent) == 1:
        return (f"page {silent[0]} has no text layer",)
    shown = ", ".join(map(str, silent[:_PAGE_LIST_LIMIT]))
    more = f" and {len(silent) - _PAGE_LIST_LIMIT} more" if len(silent) > _PAGE_LIST_LIMIT else ""
    return (f"pages {shown}{more} of {total} have no text layer",)
