"""termrag: private chat over your own documents, in the terminal.

Public names resolve on first use (PEP 562), so that `import termrag` stays as cheap as an empty module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Config", "Rag", "TermragError", "__version__"]

if TYPE_CHECKING:
    from termrag.config import Config
    from termrag.errors import TermragError
    from termrag.rag import Rag

_HOMES = {"Config": "termrag.config", "Rag": "termrag.rag", "TermragError": "termrag.errors"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
