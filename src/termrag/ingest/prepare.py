"""One file on its way to rows: fingerprint, read, cut, analyse; embeds nothing and changes nothing."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from termrag import analysis
from termrag.errors import TermragError, UnreadableFile
from termrag.folders import FoundFile
from termrag.ingest.plan import Cut, Work
from termrag.ingest.tools import Tools
from termrag.ledger import FileEntry, Ledger
from termrag.logs import logger
from termrag.records import Chunk, Content, DocumentState

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TRIES = 3
_RACY_NS = 20_000_000  # file systems stamp times in steps of up to 10 ms
_JOINT = "\n\n"  # between chunks that came cut


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk with what is embedded and searched. `hash` keys the vector: equal text, equal vector, unless one came
    with it, which is then part of the hash."""

    chunk: Chunk
    text: str
    hash: str
    terms: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that only lacks vectors; `known` holds those that were computed before, by text hash."""

    work: Work
    file: FoundFile
    content_hash: str
    content: Content
    language: str
    pieces: Sequence[Piece]
    known: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    begun: float = 0.0

    @property
    def path(self) -> str:
        return self.file.path


@dataclass(frozen=True, slots=True)
class Same:
    """The bytes are those the ledger knows: only path and stat are new."""

    entry: FileEntry
    file: FoundFile


@dataclass(frozen=True, slots=True)
class Bad:
    """The file gives no text. A passing fault (`is_lasting` false) leaves what is indexed as it is."""

    work: Work
    message: str
    hint: str
    is_lasting: bool = True


def prepare(
    work: Work, ledger: Ledger, tools: Tools, *, force: bool, taken: Collection[str] = ()
) -> Prepared | Same | Bad:
    """Read one file. `taken` are ids of documents that other files are to become. Raises only what is wrong with the
    library or a model, not with the file."""
    begun = time.monotonic()
    try:
        if work.text is not None:
            return _prepared_text(work, work.text, ledger, tools, begun)
        return _prepared_file(work, ledger, tools, force=force, taken=taken, begun=begun)
    except UnreadableFile as error:
        return Bad(work, error.message, error.hint)
    except TermragError:
        raise
    except OSError as error:
        return Bad(work, error.strerror or str(error), "termrag add again", is_lasting=False)
    except Exception as error:  # one bad file must not end the run
        logger.exception("ingest of one file broke")
        return Bad(work, f"unexpected {type(error).__name__}; details are in the log", "termrag doctor")


def _prepared_file(
    work: Work, ledger: Ledger, tools: Tools, *, force: bool, taken: Collection[str], begun: float
) -> Prepared | Same:
    for attempt in range(_TRIES):
        print_ = tools.fingerprint(work.path)
        file = _settled(replace(work.file, size=print_.size_bytes, modified_ns=print_.modified_ns))
        if not force and _is_known(work, print_.content_hash, tools.recipe):
            return Same(work.entry, file)  # type: ignore[arg-type]
        twin = _twin(work, print_.content_hash, ledger, tools.recipe, taken)
        if twin and not force and work.entry is None and _is_to_be_had(twin, taken):
            return Same(twin, file)
        try:
            content = tools.read(work.path, print_.content_hash)
        except UnreadableFile:
            # A file that is being written may be whole by now; one that gives no text stays as it is.
            if attempt == _TRIES - 1 or tools.fingerprint(work.path).content_hash == print_.content_hash:
                raise
            continue
        known = _vectors(tools, [each.id for each in (work.entry, twin) if each is not None])
        return _cut(work, file, print_.content_hash, content, tools.chunk(content), known, begun)
    raise UnreadableFile(f"{Path(work.path).name} keeps changing", "Add it again when it is finished.")


def joined(cut: Iterable[Cut]) -> str:
    """The text of which these are the chunks."""
    return _JOINT.join(each.text for each in cut)


def _prepared_text(work: Work, text: str, ledger: Ledger, tools: Tools, begun: float) -> Prepared | Same:
    clean = text.encode("utf-8", "replace").decode("utf-8")
    content_hash = _hash_of_cut(work.cut) if work.cut else _hash_of(clean.encode())
    if _is_known(work, content_hash, tools.recipe):
        return Same(work.entry, work.file)  # type: ignore[arg-type]
    is_markdown = work.path.lower().endswith((".md", ".markdown"))
    content = Content(
        clean,
        kind="markdown" if is_markdown else "text",
        media_type="text/markdown" if is_markdown else "text/plain",
        lines_match=True,
    )
    known = _vectors(tools, [work.entry.id] if work.entry else [])
    chunks = list(_placed(clean, work.cut)) if work.cut else tools.chunk(content)
    prepared = _cut(work, work.file, content_hash, content, chunks, known, begun)
    return _with_given(prepared, work.cut) if work.cut else prepared


def _with_given(prepared: Prepared, cut: Sequence[Cut]) -> Prepared:
    """With the vectors that came with the chunks. They count as known under hashes that no other text has, so that they
    are taken neither for computed ones nor for each other's."""
    known, pieces = dict(prepared.known), []
    for each, piece in zip(cut, prepared.pieces, strict=True):
        if each.vector is not None:
            piece = replace(piece, hash=_hash_of(piece.hash.encode() + each.vector.tobytes()))
            known[piece.hash] = each.vector
        pieces.append(piece)
    return replace(prepared, pieces=pieces, known=known)


def _placed(text: str, cut: Iterable[Cut]) -> Iterator[Chunk]:
    """The chunks as they stand in their text. Tokens are not counted: nothing is cut by them any more."""
    start, line = 0, 1
    for position, each in enumerate(cut):
        end, last_line = start + len(each.text), line + each.text.count("\n")
        yield Chunk(position, text[start:end], "", None, "", line, last_line, start, end, tokens=0)
        start, line = end + len(_JOINT), last_line + _JOINT.count("\n")


def _hash_of_cut(cut: Iterable[Cut]) -> str:
    """Equal for the same chunks with the same vectors, and for nothing else: the same words in a file are another."""
    parts = [b"cut"]
    for each in cut:
        text, vector = each.text.encode("utf-8", "replace"), b"" if each.vector is None else each.vector.tobytes()
        parts += [f"{len(text)} {len(vector)} ".encode(), text, vector]
    return _hash_of(b"".join(parts))


def _hash_of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _cut(
    work: Work,
    file: FoundFile,
    content_hash: str,
    content: Content,
    chunks: Sequence[Chunk],
    known: dict[str, NDArray[np.float32]],
    begun: float,
) -> Prepared:
    if not chunks or not content.text.strip():
        raise UnreadableFile(f"{Path(work.path).name} holds no text")
    language = analysis.detect_language(content.text)
    pieces = [_piece(each, content.title, language) for each in chunks]
    return Prepared(work, file, content_hash, content, language, pieces, known, begun)


def _piece(chunk: Chunk, title: str, language: str) -> Piece:
    text = analysis.indexable(title, chunk.heading, chunk.text)
    return Piece(chunk, text, _hash_of(text.encode("utf-8", "surrogatepass")), analysis.terms(text, language))


def _is_known(work: Work, content_hash: str, recipe: str) -> bool:
    """The ledger has the same bytes, read the same way: the suffix has a say in how."""
    entry = work.entry
    return (
        entry is not None
        and Path(entry.path).suffix.lower() == Path(work.path).suffix.lower()
        and entry.state == DocumentState.INDEXED
        and entry.content_hash == content_hash
        and entry.recipe in ("", recipe)
    )


def _twin(work: Work, content_hash: str, ledger: Ledger, recipe: str, taken: Collection[str]) -> FileEntry | None:
    """Another document of the same bytes and type, rather one whose file is gone: this file is then what became of
    it, unless that was another."""
    suffix = Path(work.path).suffix.lower()
    twins = [
        each
        for each in ledger.by_content(content_hash)
        if each.path != work.path
        and each.state == DocumentState.INDEXED
        and each.recipe in ("", recipe)
        and Path(each.path).suffix.lower() == suffix
    ]
    return max(twins, key=lambda each: _is_to_be_had(each, taken), default=None)


def _is_to_be_had(entry: FileEntry, taken: Collection[str]) -> bool:
    return entry.id not in taken and not os.path.lexists(entry.path)


def _vectors(tools: Tools, document_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    known: dict[str, NDArray[np.float32]] = {}
    for document_id in document_ids:
        known.update(tools.open_store().vectors(document_id))
    return known


def _settled(file: FoundFile) -> FoundFile:
    """A file written an instant ago may be written again under the same time stamp: its inode is negated, so that the
    next run compares its bytes."""
    is_fresh = time.time_ns() - file.modified_ns < _RACY_NS
    return replace(file, inode=-file.inode) if is_fresh else file
