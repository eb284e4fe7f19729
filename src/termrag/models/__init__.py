"""Which models there are, which of them are here, how they get here, and which one answers; never runs one."""

from __future__ import annotations

from termrag.models.catalogue import CatalogueModel, Source, SourceFile, read_catalogue
from termrag.models.choice import ChosenModel, ready_chat
from termrag.models.shelf import FileOrigin, Shelf

__all__ = [
    "CatalogueModel",
    "ChosenModel",
    "FileOrigin",
    "Shelf",
    "Source",
    "SourceFile",
    "read_catalogue",
    "ready_chat",
]
