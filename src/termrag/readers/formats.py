"""Which files can be read, and what a file really is by its first bytes; the suffix only decides among plain texts."""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 4096

_STRAY_CONTROLS = 8  # so few do not make a short text binary


@dataclass(frozen=True, slots=True)
class Format:
    """`name` picks the reader; `kind` and `syntax` are those of Content; `media_type` as registered.

    `isolated`: third-party code parses it, so that only the converter's child may touch it.
    """

    name: str
    kind: str = "markdown"
    media_type: str = "text/plain"
    syntax: str = ""
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A recognised type that gives no text: why, and what to do."""

    what: str
    hint: str


_OFFICE = "application/vnd.openxmlformats-officedocument."
PDF = Format("pdf", "text", "application/pdf", isolated=True)
ZIP = Format("zip", media_type="application/zip", isolated=True)  # looked into by the child: office, EPUB, ODT, archive
OLE = Format("ole", media_type="application/x-ole-storage", isolated=True)  # MSG, XLS, DOC, PPT, encrypted office
RTF = Format("rtf", "text", "application/rtf", isolated=True)
HTML = Format("html", media_type="text/html", isolated=True)
EML = Format("eml", media_type="message/rfc822", isolated=True)
IPYNB = Format("ipynb", media_type="application/x-ipynb+json", isolated=True)
XML = Format("xml", "code", "application/xml", "xml", isolated=True)
TAR = Format("tar", media_type="application/x-tar", isolated=True)
GZIP = Format("gzip", media_type="application/gzip", isolated=True)
BZIP2 = Format("bzip2", media_type="application/x-bzip2", isolated=True)
XZ = Format("xz", media_type="application/x-xz", isolated=True)
TEXT = Format("text", "text")
MARKDOWN = Format("markdown", "markdown", "text/markdown", "markdown")

_ISOLATED_BY_SUFFIX = {
    "pdf": PDF,
    "docx": Format("zip", media_type=_OFFICE + "wordprocessingml.document", isolated=True),
    "docm": Format("zip", media_type=_OFFICE + "wordprocessingml.document", isolated=True),
    "pptx": Format("zip", media_type=_OFFICE + "presentationml.presentation", isolated=True),
    "xlsx": Format("zip", media_type=_OFFICE + "spreadsheetml.sheet", isolated=True),
    "xlsm": Format("zip", media_type=_OFFICE + "spreadsheetml.sheet", isolated=True),
    "odt": Format("zip", media_type="application/vnd.oasis.opendocument.text", isolated=True),
    "epub": Format("zip", media_type="application/epub+zip", isolated=True),
    "zip": ZIP,
    "xls": OLE,
    "msg": OLE,
    "rtf": RTF,
    "html": HTML,
    "htm": HTML,
    "xhtml": HTML,
    "eml": EML,
    "ipynb": IPYNB,
    "xml": XML,
    "rss": XML,
    "atom": XML,
    "tar": TAR,
    "tgz": GZIP,
    "gz": GZIP,
    "tbz2": BZIP2,
    "bz2": BZIP2,
    "txz": XZ,
    "xz": XZ,
}

_TEXT_BY_SUFFIX = {
    **dict.fromkeys(("md", "markdown", "mdown", "mkd", "mdx", "qmd", "rmd"), MARKDOWN),
    **dict.fromkeys(("txt", "text", "log", "srt", "vtt"), TEXT),
    "rst": Format("text", "text", "text/x-rst", "rst"),
    "org": Format("text", "text", "text/org", "org"),
    "adoc": Format("text", "text", "text/asciidoc", "asciidoc"),
    "asciidoc": Format("text", "text", "text/asciidoc", "asciidoc"),
    "tex": Format("text", "text", "text/x-tex", "tex"),
    "bib": Format("text", "code", "text/x-bibtex", "bibtex"),
    "csv": Format("text", "table", "text/csv", "csv"),
    "tsv": Format("text", "table", "text/tab-separated-values", "tsv"),
    "json": Format("text", "code", "application/json", "json"),
    "ndjson": Format("text", "code", "application/x-ndjson", "json"),
    "jsonl": Format("text", "code", "application/x-ndjson", "json"),
}

_SYNTAX_BY_SUFFIX = {
    "python": "py pyi pyw",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts tsx mts cts",
    "java": "java",
    "kotlin": "kt kts",
    "scala": "scala sbt",
    "groovy": "groovy gradle",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx ino cu",
    "objectivec": "m mm",
    "csharp": "cs",
    "fsharp": "fs fsx",
    "go": "go",
    "rust": "rs",
    "swift": "swift",
    "dart": "dart",
    "zig": "zig",
    "ruby": "rb rake gemspec",
    "php": "php",
    "perl": "pl pm",
    "lua": "lua",
    "r": "r",
    "julia": "jl",
    "haskell": "hs",
    "ocaml": "ml mli",
    "elixir": "ex exs",
    "erlang": "erl hrl",
    "clojure": "clj cljs edn",
    "lisp": "el lisp scm rkt",
    "shell": "sh bash zsh fish ksh",
    "powershell": "ps1 psm1",
    "batch": "bat cmd",
    "sql": "sql",
    "vue": "vue svelte",
    "css": "css scss sass less",
    "yaml": "yaml yml",
    "toml": "toml",
    "ini": "ini cfg conf properties",
    "diff": "diff patch",
    "proto": "proto thrift graphql",
    "terraform": "tf hcl nix",
    "assembly": "s asm",
    "fortran": "f f90 f95 for",
    "pascal": "pas",
    "ada": "adb ads",
    "vhdl": "vhd vhdl v sv",
    "cmake": "cmake mk",
    "viml": "vim",
}
_CODE_BY_SUFFIX = {
    suffix: Format("text", "code", "text/x-source", syntax)
    for syntax, suffixes in _SYNTAX_BY_SUFFIX.items()
    for suffix in suffixes.split()
}
_BY_NAME = {
    **dict.fromkeys(("readme", "license", "licence", "copying", "authors", "changelog", "news", "todo"), TEXT),
    "makefile": Format("text", "code", "text/x-source", "make"),
    "gnumakefile": Format("text", "code", "text/x-source", "make"),
    "justfile": Format("text", "code", "text/x-source", "make"),
    "dockerfile": Format("text", "code", "text/x-source", "docker"),
    "containerfile": Format("text", "code", "text/x-source", "docker"),
    "gemfile": Format("text", "code", "text/x-source", "ruby"),
    "rakefile": Format("text", "code", "text/x-source", "ruby"),
    "jenkinsfile": Format("text", "code", "text/x-source", "groovy"),
}

BY_SUFFIX = {**_ISOLATED_BY_SUFFIX, **_TEXT_BY_SUFFIX, **_CODE_BY_SUFFIX}

GROUPS: dict[str, tuple[str, ...]] = {
    title: tuple(suffixes.split())
    for title, suffixes in {
        "PDF": "pdf",
        "Word": "docx docm",
        "PowerPoint": "pptx",
        "Excel": "xlsx xlsm xls",
        "OpenDocument text": "odt",
        "Rich text": "rtf",
        "E-book": "epub",
        "Web page": "html htm xhtml",
        "E-mail": "eml msg",
        "Markdown": "md markdown mdown mkd mdx qmd rmd",
        "Plain text": "txt text log srt vtt rst org adoc asciidoc tex bib",
        "Table": "csv tsv",
        "JSON": "json ndjson jsonl",
        "XML and feeds": "xml rss atom",
        "Notebook": "ipynb",
        "Archive": "zip tar tgz gz tbz2 bz2 txz xz",
        "Source code": " ".join(_CODE_BY_SUFFIX),
    }.items()
}
"""The readable suffixes as people call them: each in one group."""

_IMAGE = Unreadable("is an image without text", "Add a text or a PDF with a text layer made from it.")
_AUDIO = Unreadable("is sound, not text", "Add a transcript of it.")
_VIDEO = Unreadable("is a film, not text", "Add its subtitles or a transcript.")
_PROGRAM = Unreadable("is a program, not a document", "Add its documentation or source instead.")
_ARCHIVE = Unreadable("is an archive of a kind that is not opened", "Unpack it and add the folder.")
_DATABASE = Unreadable("is a database, not a document", "Export what matters as CSV or text.")
_FONT = Unreadable("is a font, not a document", "")
POSTSCRIPT = Unreadable("is PostScript", "Save it as PDF and add that.")

_UNREADABLE_MAGIC: tuple[tuple[int, bytes, Unreadable], ...] = (
    (0, b"MZ", _PROGRAM),
    (0, b"\x7fELF", _PROGRAM),
    (0, b"\xfe\xed\xfa\xce", _PROGRAM),
    (0, b"\xfe\xed\xfa\xcf", _PROGRAM),
    (0, b"\xce\xfa\xed\xfe", _PROGRAM),
    (0, b"\xcf\xfa\xed\xfe", _PROGRAM),
    (0, b"\xca\xfe\xba\xbe", _PROGRAM),
    (0, b"\x00asm", _PROGRAM),
    (0, b"\x89PNG", _IMAGE),
    (0, b"\xff\xd8\xff", _IMAGE),
    (0, b"GIF8", _IMAGE),
    (0, b"II*\x00", _IMAGE),
    (0, b"MM\x00*", _IMAGE),
    (0, b"8BPS", _IMAGE),
    (8, b"WEBP", _IMAGE),
    (4, b"ftyphei", _IMAGE),
    (4, b"ftypavif", _IMAGE),
    (4, b"ftypM4A", _AUDIO),
    (4, b"ftyp", _VIDEO),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (8, b"AVI ", _VIDEO),
    (8, b"WAVE", _AUDIO),
    (0, b"ID3", _AUDIO),
    (0, b"OggS", _AUDIO),
    (0, b"fLaC", _AUDIO),
    (0, b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (0, b"Rar!\x1a", _ARCHIVE),
    (0, b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (0, b"SQLite format 3\x00", _DATABASE),
    (0, b"PAR1", _DATABASE),
    (0, b"\x00\x01\x00\x00\x00", _FONT),
    (0, b"OTTO", _FONT),
    (0, b"wOF", _FONT),
    (0, b"%!PS", POSTSCRIPT),
)
_UNREADABLE_BY_SUFFIX = {
    **dict.fromkeys(("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "heic", "ico"), _IMAGE),
    **dict.fromkeys(("mp3", "wav", "m4a", "ogg", "flac", "aac", "opus"), _AUDIO),
    **dict.fromkeys(("mp4", "mkv", "mov", "avi", "webm"), _VIDEO),
    **dict.fromkeys(("exe", "dll", "so", "dylib", "o", "a", "pyc", "class", "wasm"), _PROGRAM),
}

_READABLE_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OLE),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"{\\rtf", RTF),
    (b"\x1f\x8b", GZIP),
    (b"BZh", BZIP2),
    (b"\xfd7zXZ\x00", XZ),
)


def suffix_of(name: str) -> str:
    """The last suffix without its dot, in lower case."""
    stem, dot, suffix = name.rpartition(".")
    return suffix.lower() if dot and stem else ""


def is_known_unreadable(name: str) -> bool:
    """Whether the suffix is that of a type which never gives text."""
    return suffix_of(name) in _UNREADABLE_BY_SUFFIX


def by_name(name: str) -> Format | None:
    """What a file's name promises."""
    return BY_SUFFIX.get(suffix_of(name)) or _BY_NAME.get(name.lower())


def sniff(head: bytes, name: str) -> Format | Unreadable:
    """What a file is, by the first HEAD_BYTES of it and, among plain texts, by its name."""
    promised = by_name(name)
    for offset, magic, unreadable in _UNREADABLE_MAGIC:
        if head.startswith(magic, offset):
            return unreadable
    if b"%PDF-" in head[:1024]:
        return PDF
    for magic, found in _READABLE_MAGIC:
        if head.startswith(magic):
            return promised if promised and promised.name == found.name else found
    if head[257:262] == b"ustar":
        return TAR
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and b"\x00" in head:
        return _AUDIO  # a bare MPEG frame; FF FE is the byte order mark of UTF-16
    return _sniff_text(head, name, promised)


def _sniff_text(head: bytes, name: str, promised: Format | None) -> Format | Unreadable:
    if promised and promised.name in ("pdf", "zip", "ole", "gzip", "bzip2", "xz", "tar", "rtf"):
        suffix = suffix_of(name)
        if not looks_binary(head):
            return TEXT
        return Unreadable(f"is not what .{suffix} promises, or is damaged", "Open it in its own program and save it.")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:200].lower()
    if start.startswith((b"<!doctype html", b"<html")) and not (promised and promised.kind == "code"):
        return HTML
    if promised:
        return promised
    if looks_binary(head):
        return _UNREADABLE_BY_SUFFIX.get(suffix_of(name)) or Unreadable("is not text", "Save it as text, PDF or DOCX.")
    return XML if start.startswith(b"<?xml") else TEXT


def looks_binary(head: bytes) -> bool:
    """Whether bytes are no text in any usual encoding: many control bytes, unless they are UTF-16 or UTF-32."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or not head:
        return False
    zeros = head.count(0)
    if zeros and (zeros_at(head, 0) > 0.9 or zeros_at(head, 1) > 0.9) and len(head) >= 16:
        return False  # UTF-16 without a byte order mark
    controls = sum(head.count(code) for code in range(32) if code not in (9, 10, 12, 13, 27))
    return controls > max(_STRAY_CONTROLS, len(head) * (0.02 if zeros else 0.1))


def zeros_at(data: bytes, parity: int) -> float:
    """Share of zero bytes among those at even (0) or odd (1) places."""
    half = data[parity::2]
    return half.count(0) / len(half) if half else 0.0
