"""Archives opened by ourselves under limits: every readable member becomes one top-level part. Child only.

Limits hold over the whole tree of nested archives, on what really comes out, never on what headers claim.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO

from termrag.errors import UnreadableFile
from termrag.readers.plain import clean
from termrag.records import Content

MAX_DEPTH = 2
MAX_MEMBERS = 1000
MAX_BYTES = 200_000_000
MAX_RATIO = 100
_RATIO_FREE_BYTES = 1_000_000  # small files may shrink well: 1 MB of blanks is no bomb
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError)

ReadMember = Callable[[bytes, str], Content]


@dataclass(slots=True)
class Allowance:
    """What is left of the limits, shared by an archive and those inside it."""

    members: int = MAX_MEMBERS
    size_bytes: int = MAX_BYTES

    def take(self, stream: IO[bytes], packed_bytes: int) -> bytes:
        """All of a member. Raises UnreadableFile when it passes a limit."""
        limit = min(self.size_bytes, max(packed_bytes * MAX_RATIO, _RATIO_FREE_BYTES))
        data = stream.read(limit + 1)
        if len(data) > self.size_bytes:
            raise UnreadableFile(f"unpacks to more than {MAX_BYTES // 1_000_000} MB", "Unpack it and add the folder.")
        if len(data) > limit:
            raise UnreadableFile(f"grows more than {MAX_RATIO} times when unpacked", "Unpack it if you trust it.")
        self.size_bytes -= len(data)
        return data


def read_zip(data: bytes, read_member: ReadMember, allowance: Allowance) -> Content:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _joined(_zip_members(archive, allowance), read_member, "application/zip", allowance)
    except _BROKEN as error:
        raise UnreadableFile(f"is a damaged archive ({_words(error)})", "Pack it again.") from None


def read_tar(data: bytes, read_member: ReadMember, allowance: Allowance) -> Content:
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            return _joined(_tar_members(archive, allowance), read_member, "application/x-tar", allowance)
    except _BROKEN as error:
        raise UnreadableFile(f"is a damaged archive ({_words(error)})", "Pack it again.") from None


def unpack(data: bytes, form: str, allowance: Allowance) -> bytes:
    """The one stream inside gzip, bzip2 or xz."""
    openers: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}  # type: ignore[dict-item]
    try:
        with openers[form](io.BytesIO(data)) as stream:
            return allowance.take(stream, len(data))
    except _BROKEN as error:
        raise UnreadableFile(f"is a damaged archive ({_words(error)})", "Pack it again.") from None


Member = tuple[str, Callable[[], bytes]]


def _zip_members(archive: zipfile.ZipFile, allowance: Allowance) -> Iterator[Member]:
    for info in archive.infolist():
        if info.is_dir() or (info.external_attr >> 28) == 0xA:  # a symbolic link
            continue
        if info.flag_bits & 1:
            yield info.filename, _refusing("is protected by a password")
            continue

        def content(info: zipfile.ZipInfo = info) -> bytes:
            with archive.open(info) as stream:
                return allowance.take(stream, info.compress_size)

        yield info.filename, content


def _tar_members(archive: tarfile.TarFile, allowance: Allowance) -> Iterator[Member]:
    for info in archive:
        if not info.isreg():
            continue

        def content(info: tarfile.TarInfo = info) -> bytes:
            stream = archive.extractfile(info)
            return allowance.take(stream, info.size) if stream else b""

        yield info.name, content


def _refusing(message: str) -> Callable[[], bytes]:
    def refuse() -> bytes:
        raise UnreadableFile(message, "Unpack it yourself and add the folder.")

    return refuse


def _joined(members: Iterator[Member], read_member: ReadMember, media_type: str, allowance: Allowance) -> Content:
    parts: list[str] = []
    warnings: list[str] = []
    for name, content in members:
        shown = " ".join(clean(name).split())[:300]
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            warnings.append(f"{shown}: leads out of the archive, left out")
            continue
        if allowance.members <= 0:
            warnings.append(f"more than {MAX_MEMBERS} files inside, the rest is left out")
            break
        allowance.members -= 1
        try:
            inner = read_member(content(), name)
        except UnreadableFile as error:
            warnings.append(f"{shown} {error.message}")
        except _BROKEN as error:
            warnings.append(f"{shown} is damaged ({_words(error)})")
        else:
            parts.append(f"# {shown}\n\n{as_part(inner)}")
            warnings.extend(f"{shown}: {warning}" for warning in inner.warnings)
    if not parts:
        reason = f": {warnings[0]}" if warnings else ""
        raise UnreadableFile(f"is an archive without a readable file{reason}", "Unpack it and add the folder.")
    return Content(
        text="\n\n".join(parts) + "\n",
        kind="markdown",
        media_type=media_type,
        syntax="markdown",
        warnings=tuple(warnings),
    )


def as_part(content: Content) -> str:
    """A content as Markdown under a heading of its own: its headings one level down, code in a fence."""
    text = content.text.strip("\n")
    if content.kind == "code":
        fence = "```" if "```" not in text else "~~~~~~"
        return f"{fence}{content.syntax}\n{text}\n{fence}"
    if content.kind != "markdown":
        return text
    lines, fenced = [], False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        lines.append("#" + line if line.startswith("#") and not fenced and not line.startswith("######") else line)
    return "\n".join(lines)


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
