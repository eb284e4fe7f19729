"""The one door from a file to its text: which files are readable, their fingerprint, their Content.

Opens regular files only, never follows a link at the last step, never waits on a pipe, and reads no more than the
size it saw when it opened. Plain text is decoded here; whatever needs a parser goes to the converter's child.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from termrag.errors import UnreadableFile
from termrag.readers import formats, plain
from termrag.records import Content, PageMark

if TYPE_CHECKING:
    from termrag.converter import Converter

READER_VERSION = "1"
"""Changes whenever the same bytes may give another text; part of what a library was built with."""

_MARKITDOWN = ("markitdown", "markitdown.converters")
_PRELOAD = {
    "pdf": ("pypdfium2",),
    "html": _MARKITDOWN,
    "ipynb": _MARKITDOWN,
    "eml": _MARKITDOWN,
    "ole": (*_MARKITDOWN, "olefile", "xlrd"),
    "zip": (*_MARKITDOWN, "openpyxl", "defusedxml.ElementTree"),
    "tar": _MARKITDOWN,
    "gzip": _MARKITDOWN,
    "rtf": ("striprtf.striprtf",),
    "xml": ("defusedxml.ElementTree",),
}
_PRELOAD_BY_SUFFIX = {
    "xlsx": ("openpyxl", "defusedxml.ElementTree"),
    "xlsm": ("openpyxl", "defusedxml.ElementTree"),
    "xls": ("olefile", "xlrd"),
    "odt": ("defusedxml.ElementTree",),
}
_MB = 1_000_000
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Fingerprint(NamedTuple):
    """`content_hash` is BLAKE2b-128 of the bytes in hex, as many as `size_bytes`."""

    content_hash: str
    size_bytes: int
    modified_ns: int


def readable_suffixes() -> frozenset[str]:
    """Suffixes of readable files: lower case, without the dot."""
    return frozenset(formats.BY_SUFFIX)


def is_readable(path: Path) -> bool:
    """Whether the name promises a readable type; `read` looks at the content and may still refuse."""
    return formats.by_name(path.name) is not None


def fingerprint(path: Path, *, max_bytes: int) -> Fingerprint:
    """Hash, size and time of a file from one open handle. Raises UnreadableFile, also for an empty file."""
    with _opened(path, max_bytes) as (fd, status):
        return Fingerprint(_hash(fd, status.st_size), status.st_size, status.st_mtime_ns)


def read(path: Path, converter: Converter, *, max_bytes: int, expected_hash: str = "") -> Content:
    """The text of a file. Raises UnreadableFile with the reason in one sentence.

    With `expected_hash`, from `fingerprint`, a file that has changed since is refused: hash and text are then of the
    same bytes.
    """
    with _opened(path, max_bytes) as (fd, status):
        form = formats.sniff(os.pread(fd, formats.HEAD_BYTES, 0), path.name)
        if isinstance(form, formats.Unreadable):
            raise UnreadableFile(f"{_shown(path)} {form.what}", form.hint)
        if form.isolated:
            fields = converter.run(fd, _shown(path), {"name": path.name}, preload=_preload(form, path.name))
            try:
                content_hash, content = _from_fields(fields)
            except (KeyError, TypeError, ValueError):
                raise UnreadableFile(f"{_shown(path)} made its parser answer nonsense", "It may be hostile.") from None
        else:
            data = _whole(fd, status.st_size)
            content_hash = _hash_of(data)
            try:
                content = plain.read_plain(data, form)
            except UnreadableFile as error:
                raise UnreadableFile(f"{_shown(path)} {error.message}", error.hint) from None
    if expected_hash and content_hash != expected_hash:
        raise UnreadableFile(f"{_shown(path)} was changed while it was being read", "Add it again when it is at rest.")
    return content


@contextlib.contextmanager
def _opened(path: Path, max_bytes: int) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file of acceptable size, open for reading."""
    try:
        _check(path, path.lstat(), max_bytes)  # before opening: to open a FIFO or a device may wait or act
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UnreadableFile(f"{_shown(path)} is gone", "Add it again when it is back.") from None
    except PermissionError:
        raise UnreadableFile(f"{_shown(path)} may not be read by you", f"chmod u+r {shlex.quote(str(path))}") from None
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else f"cannot be opened ({error.strerror})"
        raise UnreadableFile(f"{_shown(path)} {reason}", "Add the file itself.") from None
    try:
        status = os.fstat(fd)
        _check(path, status, max_bytes)  # again: the name may mean another file by now
        yield fd, status
    finally:
        os.close(fd)


def _check(path: Path, status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile(
            f"{_shown(path)} is {_KINDS.get(stat.S_IFMT(status.st_mode), 'no regular file')}", "Add the file itself."
        )
    if status.st_size > max_bytes:
        size = f"{status.st_size / _MB:,.0f} MB"
        raise UnreadableFile(
            f"{_shown(path)} is too large ({size}, the limit is {max_bytes // _MB} MB)",
            f"termrag config set documents.max_file_mb {status.st_size // _MB + 1}",
        )
    if not status.st_size:
        raise UnreadableFile(f"{_shown(path)} is empty", "Remove it or write something into it.")


def _preload(form: formats.Format, name: str) -> tuple[str, ...]:
    """What the zygote should import before it forks; a file that is not what its suffix says imports in the child."""
    return _PRELOAD_BY_SUFFIX.get(formats.suffix_of(name)) or _PRELOAD.get(form.name, ())


def _shown(path: Path) -> str:
    """A file's name as a terminal may show it."""
    return " ".join(plain.clean(path.name).split()) or "the file"


def _hash(fd: int, size: int) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in _parts(fd, size):
        digest.update(part)
    return digest.hexdigest()


def _hash_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _whole(fd: int, size: int) -> bytes:
    return b"".join(_parts(fd, size))


def _parts(fd: int, size: int) -> Iterator[bytes]:
    """The first `size` bytes: what is appended meanwhile belongs to the next run."""
    offset = 0
    while part := os.pread(fd, min(1 << 20, size - offset), offset):
        yield part
        offset += len(part)


def _from_fields(fields: dict[str, Any]) -> tuple[str, Content]:
    """Content from what a child sent; nothing in it is believed but plain values of the right type."""
    texts = {key: str(fields[key]) for key in ("text", "kind", "media_type", "syntax", "title", "author", "created")}
    content = Content(
        **texts,
        lines_match=bool(fields["lines_match"]),
        pages=tuple(
            PageMark(int(page["start_char"]), int(page["number"]), str(page["label"])) for page in fields["pages"]
        ),
        tags=tuple(map(str, fields["tags"])),
        warnings=tuple(map(str, fields["warnings"])),
    )
    return str(fields["content_hash"]), content
