"""Files that clients send: streamed to a private folder, never held in memory whole, and never where a client says."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from termrag.events import Failed
from termrag.server import wire
from termrag.server.checking import adapter
from termrag.server.faults import Refused

if TYPE_CHECKING:
    from termrag.server.operations import Call

_FIELDS = 20
_FIELD_BYTES = 100_000
_CHUNK = 1 << 16
_LEAST_FREE = 200 << 20  # bytes that an upload leaves on the disk
_NAME_BYTES = 200


@asynccontextmanager
async def received(call: Call, fields: Any) -> AsyncIterator[tuple[Any, list[Path]]]:
    """The form's fields, checked, and its files in a folder that is gone afterwards. Raises Refused: 408, 413, 415, 422
    or 507."""
    folder = Path(await asyncio.to_thread(_make_folder, call.rag.paths.state / "uploads"))
    try:
        values, files = await _in_time(call, folder)
        try:
            checked = adapter(fields).validate_python(values)
        except ValidationError as error:
            raise wire.invalid(error) from None
        yield checked, files
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def keep(call: Call, files: list[Path]) -> list[str]:
    """Move received files to where uploads are kept, index them, and return their documents' ids. The same file again
    is the same document. Raises Refused (422) where one gives no text."""
    kept = [await asyncio.to_thread(_put_away, file, call.rag.paths.data / "uploads") for file in files]
    failed = [event async for event in call.rag.ingest(kept) if isinstance(event, Failed)]
    if failed:
        raise Refused(422, "unreadable_file", f"{Path(failed[0].path).name}: {failed[0].message}", failed[0].hint)
    return [(await call.rag.document(str(path))).id for path in kept]


def put_away(file: Path, folder: Path) -> Path:
    return _put_away(file, folder)


def clear(folder: Path) -> None:
    """Remove what a server that was killed left behind."""
    shutil.rmtree(folder, ignore_errors=True)


def _make_folder(folder: Path) -> str:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.mkdtemp(dir=folder)


def _put_away(file: Path, folder: Path) -> Path:
    """`folder/HASH/name`: equal bytes under an equal name have one place."""
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    place = folder / digest / file.name
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not place.exists():
        shutil.move(file, place)
    return place


async def _in_time(call: Call, folder: Path) -> tuple[dict[str, str], list[Path]]:
    """All of the form. A client that sends a little now and then holds its connection so long and no longer."""
    settings = call.state.settings
    try:
        async with asyncio.timeout(settings.upload_timeout_s):
            return await _read(call, folder)
    except TimeoutError:
        message = f"no whole form within {settings.upload_timeout_s:g} s"
        raise Refused(408, "timeout", message, Connection="close") from None


async def _read(call: Call, folder: Path) -> tuple[dict[str, str], list[Path]]:
    request, settings = call.request, call.state.settings
    if request.content_type != "multipart/form-data":
        raise Refused(415, "unsupported_media_type", f"the body is {request.content_type}, not multipart/form-data")
    values: dict[str, str] = {}
    files: list[Path] = []
    left = int(settings.upload_mb * (1 << 20))
    if (request.content_length or 0) > left + _FIELD_BYTES:
        raise Refused(413, "too_large", f"more than {settings.upload_mb:g} MB", Connection="close")
    try:
        reader = await request.multipart()
        while (part := await asyncio.wait_for(reader.next(), settings.body_timeout_s)) is not None:
            if not isinstance(part, BodyPartReader) or not part.name:
                raise Refused(422, "invalid", "a part of the form has no name", "see /openapi.json")
            if part.filename is None:
                if len(values) >= _FIELDS:
                    raise Refused(413, "too_many_fields", f"more than {_FIELDS} fields", Connection="close")
                values[part.name] = await _text(part, settings.body_timeout_s)
                continue
            if len(files) >= settings.upload_files:
                raise Refused(413, "too_many_files", f"more than {settings.upload_files} files")
            place = _place(folder, len(files), part.filename)
            left -= await _save(part, place, left, settings.body_timeout_s)
            files.append(place)
    except TimeoutError:
        raise Refused(408, "timeout", f"nothing came for {settings.body_timeout_s:g} s", Connection="close") from None
    except (ValueError, AssertionError, web.HTTPException, HttpProcessingError) as error:
        raise Refused(422, "invalid", "the form is broken", "send multipart/form-data") from error
    return values, files


async def _text(part: BodyPartReader, timeout_s: float) -> str:
    data = bytearray()
    while chunk := await asyncio.wait_for(part.read_chunk(_CHUNK), timeout_s):
        data += chunk
        if len(data) > _FIELD_BYTES:
            raise Refused(413, "too_large", f"the field {part.name} is too large")
    try:
        return bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(422, "invalid", f"the field {part.name} is not UTF-8") from None


async def _save(part: BodyPartReader, place: Path, most: int, timeout_s: float) -> int:
    """Write a part to its file, and return its size."""
    place.parent.mkdir(mode=0o700)
    size = 0
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while chunk := await asyncio.wait_for(part.read_chunk(_CHUNK), timeout_s):
            size += len(chunk)
            if size > most:
                raise Refused(413, "too_large", "the upload is too large", Connection="close")
            if shutil.disk_usage(place.parent).free < _LEAST_FREE:
                raise Refused(507, "disk_full", "there is no room for the upload", "make room on the server's disk")
            await asyncio.to_thread(out.write, chunk)
    return size


def _place(folder: Path, number: int, name: str) -> Path:
    """A file in a folder of its own. Of the given name only the last part counts, without what could hide or escape."""
    bare = re.split(r"[/\\]", name)[-1]
    clean = "".join(sign if sign.isprintable() else "_" for sign in bare).lstrip(".").strip()
    while len(clean.encode()) > _NAME_BYTES:
        stem, dot, suffix = clean.rpartition(".")
        clean = f"{stem[:-1]}{dot}{suffix}" if stem else clean[:-1]
    return folder / str(number) / (clean or "file")
