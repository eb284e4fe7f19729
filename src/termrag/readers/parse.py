"""What the converter's child runs: bytes of one file in, the fields of its Content out."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from functools import partial
from typing import Any

from termrag.errors import EMPTY, UnreadableFile
from termrag.readers import archive, formats, mail, markup, pdf, plain, rich, sheets
from termrag.readers.formats import HEAD_BYTES, Format, Unreadable
from termrag.records import Content

_PASSWORD = UnreadableFile("is protected by a password", "Save a copy without a password and add that.")


def parse(data: bytes, *, name: str) -> dict[str, Any]:
    """The fields of Content, and under `content_hash` the hash of the very bytes that were read."""
    content = _read(data, name, depth=0, allowance=archive.Allowance())
    return {"content_hash": hash_of(data), **dataclasses.asdict(content)}


def hash_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _read(data: bytes, name: str, *, depth: int, allowance: archive.Allowance) -> Content:
    if not data.strip():
        raise UnreadableFile(EMPTY, "Remove it or write something into it.")
    found = formats.sniff(data[:HEAD_BYTES], name)
    if isinstance(found, Unreadable):
        raise UnreadableFile(found.what, found.hint)
    member = partial(_member, depth=depth + 1, allowance=allowance)
    match found.name:
        case "pdf":
            return pdf.read_pdf(data)
        case "rtf":
            return rich.read_rtf(data)
        case "html":
            return markup.read_html(data)
        case "ipynb":
            return markup.read_ipynb(data)
        case "eml":
            return mail.read_eml(data, member)
        case "xml":
            return rich.read_xml(data) or plain.read_plain(data, found)
        case "ole":
            return _read_ole(data)
        case "zip":
            return _read_zip(data, found, member, depth, allowance)
        case "tar":
            _check_depth(depth)
            return archive.read_tar(data, member, allowance)
        case "gzip" | "bzip2" | "xz":
            _check_depth(depth)
            inner = archive.unpack(data, found.name, allowance)
            return _read(inner, _inner_name(name), depth=depth + 1, allowance=allowance)
        case _:
            return plain.read_plain(data, found)


def _member(data: bytes, name: str, *, depth: int, allowance: archive.Allowance) -> Content:
    """A member of an archive or a message; whatever breaks a parser is one line about this member."""
    try:
        return _read(data, name.replace("\\", "/").rpartition("/")[2], depth=depth, allowance=allowance)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:  # the other members are still worth reading
        raise UnreadableFile(f"seems to be damaged ({type(error).__name__})", "") from error


def _check_depth(depth: int) -> None:
    if depth > archive.MAX_DEPTH:
        raise UnreadableFile(f"lies more than {archive.MAX_DEPTH} archives deep", "Unpack it and add the folder.")


def _inner_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    match suffix.lower():
        case "tgz" | "tbz2" | "txz":
            return f"{stem}.tar"
        case _:
            return stem or name


def _read_zip(
    data: bytes, form: Format, member: archive.ReadMember, depth: int, allowance: archive.Allowance
) -> Content:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            names = set(package.namelist())
            kind = package.read("mimetype")[:100] if "mimetype" in names else b""
            _check_package(package)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError) as error:
        what = "archive" if form is formats.ZIP else "document"
        raise UnreadableFile(f"is a damaged {what} ({' '.join(str(error).split())[:80]})", "Save it again.") from None
    if kind.startswith(b"application/vnd.oasis.opendocument.text"):
        return rich.read_odt(data)
    if kind.startswith(b"application/epub") or "META-INF/container.xml" in names:
        return markup.read_epub(data)
    if "[Content_Types].xml" in names:
        if any(entry.startswith("word/") for entry in names):
            return markup.read_docx(data)
        if any(entry.startswith("ppt/") for entry in names):
            return markup.read_pptx(data)
        if any(entry.startswith("xl/") for entry in names):
            return sheets.read_xlsx(data)
    if kind.startswith(b"application/vnd.oasis.opendocument"):
        raise UnreadableFile("is an OpenDocument type that is not read", "Save it as ODT, XLSX or PDF.")
    _check_depth(depth)
    return archive.read_zip(data, member, allowance)


def _check_package(package: zipfile.ZipFile) -> None:
    """Office packages are unpacked by their own libraries: refuse one that claims to be a bomb before they start."""
    if "[Content_Types].xml" not in package.namelist():
        return
    if sum(info.file_size for info in package.infolist()) > 4 * archive.MAX_BYTES:
        raise UnreadableFile("unpacks to more than 800 MB", "Split it into smaller files.")


def _read_ole(data: bytes) -> Content:
    import olefile  # type: ignore[import-untyped]

    with olefile.OleFileIO(io.BytesIO(data)) as package:
        streams = {"/".join(path) for path in package.listdir(streams=True, storages=True)}
    if "EncryptedPackage" in streams or "EncryptionInfo" in streams:
        raise _PASSWORD
    if "__properties_version1.0" in streams:
        return markup.read_msg(data)
    if streams & {"Workbook", "Book"}:
        return sheets.read_xls(data)
    if "WordDocument" in streams:
        raise UnreadableFile("is in the old Word format", "Save it as DOCX and add that.")
    if "PowerPoint Document" in streams:
        raise UnreadableFile("is in the old PowerPoint format", "Save it as PPTX and add that.")
    raise UnreadableFile("is in an old office format that is not read", "Save it as DOCX, XLSX or PDF.")
