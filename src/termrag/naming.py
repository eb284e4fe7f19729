"""What a user types to mean a document: an id or its beginning, a path or its end, a glob, the name of a text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from termrag.errors import NotFound
from termrag.ingest import TEXT_PREFIX
from termrag.paths import absolute

if TYPE_CHECKING:
    from termrag.ledger import Ledger
    from termrag.records import Document


def document(ledger: Ledger, reference: str) -> Document:
    """By id, beginning of an id, path, or the end of a path that only one document has. Raises NotFound."""
    if "\0" in reference:
        raise NotFound("no document has such a name", "termrag ls")
    for candidate in (os.path.realpath(absolute(reference)), TEXT_PREFIX + reference, reference):
        try:
            return ledger.document(candidate)
        except NotFound:
            continue
    ends = [each for each in ledger.documents() if f"/{each.path}".endswith("/" + reference.strip("/"))]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise NotFound(f"{len(ends)} documents are called {reference}", f"termrag ls '**/{reference}'")
    raise NotFound(f"there is no document {reference}", "termrag ls")


def as_text(ledger: Ledger, reference: str) -> str:
    """A text that came through a pipe may be called by its bare name."""
    return TEXT_PREFIX + reference if ledger.entry(TEXT_PREFIX + reference) else reference


def pattern(text: str) -> str:
    """A path or glob as typed, counted from the working directory where such a path exists."""
    path = absolute(text)
    return str(path.resolve()) if os.path.exists(path) else text  # noqa: PTH110 - too long a name is no path
