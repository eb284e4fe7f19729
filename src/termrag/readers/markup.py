"""Office and web formats to Markdown with markitdown's converters, and what they leave behind cleaned away.

Runs in the converter's child only. markitdown's own dispatcher is not used: it guesses types with a model and fetches
addresses; each converter is called directly on bytes in memory.
"""

from __future__ import annotations

import io
import re
from typing import Any

from termrag.chunking.headings import plain_heading
from termrag.errors import UnreadableFile
from termrag.readers.plain import clean, decode, first_heading, is_title
from termrag.readers.tables import tidy_tables
from termrag.records import Content, PageMark

_DATA_IMAGE = re.compile(r"!\[([^\]]*)\]\(\s*data:[^)]*\)")
_DATA_URI = re.compile(r"data:[\w/+.-]+;base64[,.]*[A-Za-z0-9+/=\s]{0,}")
_PICTURE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\(<?([^()\s>]*(?:\([^()\s]*\)[^()\s>]*)*)>?(?:\s+\"[^\"]*\")?\)")
_HIDING = re.compile(r"display\s*:\s*none|<ix:header|<(?:noscript|template|svg)\b|\shidden\b", re.IGNORECASE)
_DISPLAY_NONE = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_UNSHOWN = ("ix:header", "noscript", "template", "svg")
_WORD = re.compile(r"[^\W_]")
_MAX_LINK = 80
_SLIDE = re.compile(r"^<!-- Slide number: (\d+) -->[ \t]*\n?", re.MULTILINE)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*){2,}")


def read_docx(data: bytes) -> Content:
    fields = core_properties(data)
    return _content("DocxConverter", data, "wordprocessingml.document", fields)


def read_pptx(data: bytes) -> Content:
    """Slides are pages: a citation can name the slide."""
    content = _content("PptxConverter", data, "presentationml.presentation", core_properties(data))
    parts: list[str] = []
    marks: list[PageMark] = []
    length = 0
    pieces = _SLIDE.split(content.text)  # text before the first slide, then number and text of each
    for number, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if not text.strip():
            continue
        marks.append(PageMark(length, int(number)))
        parts.append(text.strip() + "\n\n")
        length += len(parts[-1])
    if not parts:
        raise UnreadableFile("has no text on its slides", "Add a PDF with a text layer made from it.")
    return _replace(content, text="".join(parts), pages=tuple(marks))


def read_html(data: bytes) -> Content:
    text = decode(data, _declared_charset(data))
    shown = _without_hidden(text) if _HIDING.search(text) else text
    return _content("HtmlConverter", shown.encode("utf-8", "replace"), "", {}, media_type="text/html")


def read_epub(data: bytes) -> Content:
    content = _content("EpubConverter", data, "", {}, media_type="application/epub+zip")
    author = re.search(r"^\*\*Authors:\*\* (.+)$", content.text[:2000], re.MULTILINE)
    date = re.search(r"^\*\*Date:\*\* (\S+)", content.text[:2000], re.MULTILINE)
    return _replace(content, author=author.group(1) if author else "", created=date.group(1)[:10] if date else "")


def read_msg(data: bytes) -> Content:
    """Headed by its subject, like a mail message."""
    content = _content("OutlookMsgConverter", data, "", {}, media_type="application/vnd.ms-outlook")
    sender = re.search(r"^\*\*From:\*\* (.+)$", content.text[:2000], re.MULTILINE)
    text = content.text.replace("# Email Message\n", f"# {content.title or 'Message'}\n", 1).replace(
        "\n## Content\n", "", 1
    )
    text = re.sub(r"^\*\*(From|To|Subject):\*\* ", r"\1: ", text, flags=re.MULTILINE)
    return _replace(content, text=text, author=sender.group(1) if sender else "")


def read_ipynb(data: bytes) -> Content:
    return _content("IpynbConverter", data, "", {}, media_type="application/x-ipynb+json")


def tidy_markdown(text: str) -> str:
    """Markdown without pictures (their descriptions stay), without link targets that only this file's own pages or a
    machine could use, control characters, empty table cells and stretches of blank lines."""
    text = _DATA_IMAGE.sub(r"\1", text)
    text = _DATA_URI.sub("", text)
    text = _PICTURE.sub(r"\1", text)
    text = _LINK.sub(_link, text)
    text = "\n".join(line.rstrip() for line in clean(text).replace("\xa0", " ").split("\n"))
    return _BLANK_LINES.sub("\n\n", tidy_tables(text)).strip("\n")


def _without_hidden(page: str) -> str:
    """A page without what a browser would not show: hidden elements, filings' data headers, drawings. A page that
    hides everything (until its script has run) stays as it is."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(page, "html.parser")
    everything = len(soup.get_text())
    hidden = soup.find_all(_UNSHOWN) + soup.find_all(style=_DISPLAY_NONE) + soup.find_all(hidden=True)
    for element in hidden:
        if not element.decomposed and len(element.get_text()) < everything / 2:
            element.decompose()
    return str(soup)


def _link(found: re.Match[str]) -> str:
    text, target = found.groups()
    is_useful = target.startswith(("http://", "https://")) and len(target) <= _MAX_LINK and "?" not in target
    return f"[{text}]({target})" if is_useful and text.strip() else text


def _content(converter: str, data: bytes, office_type: str, fields: dict[str, str], *, media_type: str = "") -> Content:
    """`converter` is the name of one of markitdown's converters."""
    from markitdown import StreamInfo, converters

    result = getattr(converters, converter)().convert(io.BytesIO(data), StreamInfo(charset="utf-8"))
    text = tidy_markdown(result.markdown)
    own_title = plain_heading(clean(result.title or ""))
    if not _WORD.search(text):
        raise UnreadableFile("has no text", "Open it in its own program and look whether it is empty.")
    return Content(
        text=text + "\n",
        kind="markdown",
        media_type=media_type or "application/vnd.openxmlformats-officedocument." + office_type,
        syntax="markdown",
        title=next(filter(is_title, (fields.get("title", ""), own_title)), "") or first_heading(text),
        author=fields.get("creator", ""),
        created=fields.get("created", "")[:10],
    )


def core_properties(data: bytes) -> dict[str, str]:
    """Title, creator and creation date of an office file; empty where there are none."""
    import zipfile

    from defusedxml import ElementTree

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "docProps/core.xml" not in archive.namelist():
            return {}
        try:
            root = ElementTree.fromstring(archive.read("docProps/core.xml"))
        except ElementTree.ParseError:
            return {}
    texts = ((element.tag.rpartition("}")[2], element.text or "") for element in root)
    wanted = ("title", "creator", "created")
    return {name: " ".join(clean(text).split())[:500] for name, text in texts if name in wanted}


def _declared_charset(data: bytes) -> str:
    found = _CHARSET.search(data[:4096])
    name = found.group(1).decode("ascii") if found else ""
    return {"gb2312": "gb18030", "iso-8859-1": "cp1252", "shift_jis": "cp932"}.get(name.lower(), name)


def _replace(content: Content, **changes: Any) -> Content:
    import dataclasses

    return dataclasses.replace(content, **changes)
