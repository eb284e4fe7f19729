"""RTF, OpenDocument text and document-like XML to text. Runs in the converter's child only."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from termrag.errors import UnreadableFile
from termrag.readers.plain import clean
from termrag.readers.tables import table
from termrag.records import Content

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_XML_DOCUMENTS = frozenset(("article", "book", "feed", "rss", "RDF", "TEI", "html", "OAI-PMH", "pmc-articleset"))
_XML_TITLES = frozenset(("title", "article-title", "head"))
_XML_SECTIONS = frozenset(("sec", "section", "abstract", "chapter", "item", "entry", "div", "app", "ref-list"))
_XML_BLOCKS = frozenset(
    re.findall(
        r"[\w-]+", "p para caption label li list-item summary description content pubDate link author name aff ref"
    )
)
_XML_SILENT = frozenset(
    re.findall(
        r"[\w-]+",
        "script style journal-meta permissions article-id contrib-id pub-date history counts custom-meta-group "
        "related-object pub-id object-id self-uri guid graphic inline-graphic volume elocation-id fpage lpage email",
    )
)
_MAX_DEPTH = 200
_RTF_TYPE = "application/rtf"
_ODT_TYPE = "application/vnd.oasis.opendocument.text"


def read_rtf(data: bytes) -> Content:
    from striprtf import striprtf

    source = data.decode("latin-1")
    text = clean(str(striprtf.rtf_to_text(source, encoding=_code_page(source), errors="replace")))  # type: ignore[no-untyped-call]
    text = re.sub(r"[ \t]*\|[ \t]*\n", "\n", re.sub(r"\n{3,}", "\n\n", text)).strip()
    if not text:
        raise UnreadableFile("has no text", "Open it in its own program and look whether it is empty.")
    title = re.search(r"\{\\title ([^{}\\]{2,200})\}", source)
    return Content(text=text + "\n", kind="text", media_type=_RTF_TYPE, title=title.group(1).strip() if title else "")


def read_odt(data: bytes) -> Content:
    from defusedxml import ElementTree

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if "META-INF/manifest.xml" in names and b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise UnreadableFile("is protected by a password", "Save a copy without a password and add that.")
        body = ElementTree.fromstring(archive.read("content.xml"))
        meta = ElementTree.fromstring(archive.read("meta.xml")) if "meta.xml" in names else None
    text = clean("\n\n".join(_odt_blocks(body))).strip()
    if not text:
        raise UnreadableFile("has no text", "Open it in its own program and look whether it is empty.")
    return Content(
        text=text + "\n",
        kind="markdown",
        media_type=_ODT_TYPE,
        syntax="markdown",
        title=_first_text(meta, "title"),
        author=_first_text(meta, "initial-creator") or _first_text(meta, "creator"),
        created=_first_text(meta, "creation-date")[:10],
    )


def read_xml(data: bytes) -> Content | None:
    """Document-like XML as Markdown; None for other XML, which reads best as it is."""
    from defusedxml import ElementTree

    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return None
    if _local(root) not in _XML_DOCUMENTS:
        return None
    blocks = [block for block in _xml_blocks(root, 1) if block]
    text = clean("\n\n".join(blocks)).strip()
    title = next((_inline(node) for node in root.iter() if _local(node) in _XML_TITLES), "")
    return Content(
        text=text + "\n", kind="markdown", media_type="application/xml", syntax="markdown", title=clean(title)[:300]
    )


def _code_page(source: str) -> str:
    found = re.search(r"\\ansicpg(\d+)", source[:1000])
    return f"cp{found.group(1)}" if found and found.group(1) not in ("0", "65001") else "cp1252"


# --- OpenDocument ------------------------------------------------------------------------------------------------


def _odt_blocks(node: Element) -> Iterator[str]:
    for child in node:
        match _local(child):
            case "h":
                level = next((int(v) for k, v in child.items() if k.endswith("outline-level") and v.isdigit()), 1)
                if heading := _odt_inline(child):
                    yield f"{'#' * min(max(level, 1), 6)} {heading}"
            case "p":
                if text := _odt_inline(child):
                    yield text
            case "list":
                if items := "\n".join(_odt_items(child, 0)):
                    yield items
            case "table":
                if rows := _odt_table(child):
                    yield rows
            case "tracked-changes" | "sequence-decls" | "forms":
                continue
            case _:
                yield from _odt_blocks(child)


def _odt_items(node: Element, depth: int) -> Iterator[str]:
    for item in node:
        for child in item:
            if _local(child) == "list":
                yield from _odt_items(child, depth + 1)
            elif text := _odt_inline(child):
                yield f"{'  ' * depth}- {text}"


def _odt_table(node: Element) -> str:
    rows = [
        tuple(" ".join(_odt_blocks(cell)).replace("\n", " ").replace("|", "\\|") for cell in row if "cell" in cell.tag)
        for row in node.iter()
        if _local(row) == "table-row"
    ]
    width = max(map(len, rows), default=0)
    return table([row + ("",) * (width - len(row)) for row in rows if any(row)])


def _odt_inline(node: Element) -> str:
    parts = [node.text or ""]
    for child in node:
        match _local(child):
            case "s":
                parts.append(" ")
            case "tab":
                parts.append("\t")
            case "line-break":
                parts.append("\n")
            case "annotation":
                pass
            case "note":
                body = " ".join(_odt_inline(part) for part in child if _local(part) == "note-body")
                parts.append(f" ({body.strip()})")
            case _:
                parts.append(_odt_inline(child))
        parts.append(child.tail or "")
    return "".join(parts).strip() if _local(node) in ("p", "h") else "".join(parts)


# --- XML -----------------------------------------------------------------------------------------------------------


def _xml_blocks(node: Element, level: int) -> Iterator[str]:
    name = _local(node)
    if level > _MAX_DEPTH or name in _XML_SILENT:
        return
    if name in _XML_TITLES:
        if title := _inline(node):
            yield f"{'#' * min(level, 6)} {title}"
    elif name == "tr":
        yield "| " + " | ".join(_inline(cell) for cell in node) + " |"
    elif name in _XML_BLOCKS or not len(node):
        text = _inline(node)
        yield _without_tags(text) if "<" in text else text
    else:
        if node.text and node.text.strip():
            yield " ".join(node.text.split())
        for child in node:
            yield from _xml_blocks(child, level + (name in _XML_SECTIONS))
            if child.tail and child.tail.strip():
                yield " ".join(child.tail.split())


def _inline(node: Element) -> str:
    """All text below a node; parts that nothing but tags part are words of their own, such as the names in a name."""
    return " ".join(_joined(node, 0).split())


def _joined(node: Element, depth: int) -> str:
    if depth > _MAX_DEPTH or _local(node) in _XML_SILENT:
        return ""
    is_mixed = bool((node.text or "").strip()) or any((child.tail or "").strip() for child in node)
    parts = [node.text or ""]
    for child in node:
        parts += [_joined(child, depth + 1), child.tail or ""]
    return ("" if is_mixed else " ").join(parts)


def _without_tags(text: str) -> str:
    """Feeds carry HTML as escaped text."""
    return " ".join(re.sub(r"<[^<>]{1,2000}>", " ", text).split())


def _local(node: Element) -> str:
    tag: str | Callable[..., object] = node.tag  # a comment's tag is a function
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _first_text(root: Element | None, name: str) -> str:
    if root is None:
        return ""
    return next((" ".join(clean(n.text).split()) for n in root.iter() if _local(n) == name and n.text), "")
