"""Bytes to text: the encoding found, control characters taken out without moving a line, metadata picked up."""

from __future__ import annotations

import codecs
import re

from termrag.chunking.headings import plain_heading
from termrag.errors import UnreadableFile
from termrag.readers.formats import Format, looks_binary, zeros_at
from termrag.records import Content

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE_BYTES = 200_000
# CSI and OSC sequences, then single escapes: what a terminal would obey.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[@-_]?|\x9b[0-?]*[ -/]*[@-~]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
# Marks that reorder what follows: invisible, and a way to make text read other than it is.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_FIELD = re.compile(r"^([A-Za-z][\w-]*)[ \t]*:[ \t]*(.*)$")
_ITEM = re.compile(r"^[ \t]*-[ \t]+(.*)$")

_NO_TITLE = re.compile(
    r"^(untitled|microsoft |powerpoint presentation|slide 1$|document\d*$|presentation\d*$|unbekannt|sans titre)"
    r"|\.(docx?|pdf|indd|qxd|tex|dvi|xlsx?|pptx?|ps|fm|ai|rtf|html?|txt|p65|eps|sam|wpd|lwp)$",
    re.IGNORECASE,
)


def decode(data: bytes, declared: str = "") -> str:
    """Text of `data`: by byte order mark, strict UTF-8, the declared encoding, then detection.

    Raises UnreadableFile for what is no text.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if looks_binary(data[:_SAMPLE_BYTES]):
        raise UnreadableFile("holds binary data, not text", "Save it as text, PDF or DOCX.")
    for encoding in ("utf-8", declared):
        try:
            if encoding and zeros_at(data[:_SAMPLE_BYTES], 0) + zeros_at(data[:_SAMPLE_BYTES], 1) < 0.5:
                return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode(_detected(data[:_SAMPLE_BYTES]), "replace")


def clean(text: str) -> str:
    """`text` with line ends as \\n and without control characters, terminal escapes and reordering marks; line n
    stays line n."""
    text = text.replace("\r\n", "\n")
    text = text.replace("\r", " " if "\n" in text else "\n")  # progress bars; files of the old Mac
    if not text.isascii():
        text = _BIDI.sub("", text)
    if "\x1b" in text or "\x9b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROLS.sub("", text)


def read_plain(data: bytes, form: Format) -> Content:
    """Content of a file that needs no parser. Raises UnreadableFile for binary data and for nothing at all."""
    text = clean(decode(data))
    if not text.strip():
        raise UnreadableFile("is empty", "Remove it or write something into it.")
    fields = front_matter(text) if form.kind == "markdown" else {}
    return Content(
        text=text,
        kind=form.kind,
        media_type=form.media_type,
        syntax=form.syntax,
        lines_match=True,
        title=_one(fields, "title") or (first_heading(text) if form.kind == "markdown" else ""),
        author=_one(fields, "author") or ", ".join(fields.get("authors", ())),
        created=_one(fields, "date") or _one(fields, "created"),
        tags=tuple(fields.get("tags", ()) or fields.get("keywords", ())),
    )


def front_matter(text: str) -> dict[str, list[str]]:
    """Fields of a YAML-like header as lists of plain texts; understands `key: value`, `[a, b]` and `- item` lines."""
    found = _FRONT_MATTER.match(text)
    fields: dict[str, list[str]] = {}
    key = ""
    for line in found.group(1).splitlines() if found else ():
        if field := _FIELD.match(line):
            key = field.group(1).lower()
            fields[key] = _values(field.group(2))
        elif key and (item := _ITEM.match(line)):
            fields[key].extend(_values(item.group(1)))
    return fields


def is_title(text: str) -> bool:
    """Whether a title field was written by a person rather than left by a program."""
    return bool(re.search(r"[^\W\d_]{2}", text)) and not _NO_TITLE.search(text) and "/" not in text[:2]


def first_heading(text: str) -> str:
    """The first Markdown heading, without marks; empty if none stands in the first 50 lines."""
    fenced = False
    for line in text[:20_000].splitlines()[:50]:
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if not fenced and (found := re.match(r" {0,3}#{1,6}[ \t]+(.*?)[ \t#]*$", line)):
            return plain_heading(found.group(1))
    return ""


def _values(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [value for part in text[1:-1].split(",") if (value := part.strip().strip("'\""))]
    value = text.strip("'\"")
    return [value] if value and value not in ("|", ">", "null", "~") else []


def _one(fields: dict[str, list[str]], key: str) -> str:
    values = fields.get(key, [])
    return ", ".join(values)[:500]


def _detected(sample: bytes) -> str:
    even, odd = zeros_at(sample, 0), zeros_at(sample, 1)
    if max(even, odd) > 0.3:
        return "utf-16-be" if even > odd else "utf-16-le"
    from charset_normalizer import from_bytes

    best = from_bytes(sample).best()
    return best.encoding if best else "cp1252"
