"""What the ledger knows of documents as a table for a file set, and back."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from termrag.ledger import FileEntry, Ledger
from termrag.records import Document, DocumentState

if TYPE_CHECKING:
    import pyarrow as pa

_LISTS = ("tags", "warnings")
_NUMBERS = ("size_bytes", "modified_ns", "pages", "chunks", "unembedded", "device", "inode")


def settled(ledger: Ledger) -> list[Document]:
    """The documents that no commit is at work on."""
    return [each for each in ledger.documents() if each.state in (DocumentState.INDEXED, DocumentState.FAILED)]


def table_of_documents(documents: Sequence[Document], ledger: Ledger) -> pa.Table:
    """One row per document; paths as bytes, since a file system takes any. `recipe` tells how it was read, `text` is
    what came through a pipe and is in no file."""
    import pyarrow as pa

    entries = {each.id: each for each in ledger.entries().values()}
    records: list[dict[str, Any]] = []
    for document in documents:
        record = {field.name: getattr(document, field.name) for field in dataclasses.fields(document)}
        entry = entries.get(document.id)
        records.append(
            record
            | {
                "path": os.fsencode(document.path),
                "state": str(document.state),
                "device": entry.device if entry else 0,
                "inode": entry.inode if entry else 0,
                "recipe": entry.recipe if entry else "",
                "text": ledger.text(document.id),
            }
        )
    names = [*(field.name for field in dataclasses.fields(Document)), "device", "inode", "recipe", "text"]
    return pa.Table.from_pylist(records, schema=pa.schema([(name, _kind(name)) for name in names]))


def read_documents(table: pa.Table) -> tuple[list[Document], list[FileEntry], dict[str, str]]:
    """The documents, what was known of their files, and the texts that are in no file, by document."""
    documents: list[Document] = []
    files: list[FileEntry] = []
    texts: dict[str, str] = {}
    for record in table.to_pylist():
        device, inode, recipe, text = (record.pop(name) for name in ("device", "inode", "recipe", "text"))
        values = record | {
            "path": os.fsdecode(record["path"]),
            "state": DocumentState(record["state"]),
            **{name: tuple(record[name]) for name in _LISTS},
        }
        document = Document(**values)
        documents.append(document)
        files.append(
            FileEntry(
                document.id, document.path, document.state, device, inode, document.size_bytes, document.modified_ns,
                document.content_hash, recipe,
            )
        )  # fmt: skip
        if text is not None:
            texts[document.id] = text
    return documents, files, texts


def _kind(name: str) -> Any:
    import pyarrow as pa

    if name == "path":
        return pa.binary()
    if name == "indexed_at":
        return pa.float64()
    if name in _LISTS:
        return pa.list_(pa.string())
    return pa.int64() if name in _NUMBERS else pa.string()
