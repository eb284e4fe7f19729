"""The status line: what runs, how full the context is, what is indexed and watched."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from textual.content import Content
from textual.widgets import Static


@dataclass(frozen=True, slots=True)
class Facts:
    """What the line shows, in the order of weight: the last ones go first where the width is short."""

    state: str = "starting"
    adding: str = ""
    model: str = ""
    documents: str = ""
    speed: str = ""
    context: str = ""
    limits: str = ""
    watching: str = ""
    kept: str = ""


class StatusLine(Static):
    """One line of facts."""

    ALLOW_SELECT = False

    def __init__(self, **options: Any) -> None:
        super().__init__("● starting", **options)
        self.facts = Facts()

    def tell(self, **facts: str) -> None:
        """Change some facts."""
        self.facts = replace(self.facts, **facts)
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        texts = [text for each in fields(self.facts) if (text := getattr(self.facts, each.name))]
        room, shown = self.size.width - 2, []
        for text in texts:
            content = Content(text)
            if content.cell_length + 3 > room:
                break
            room -= content.cell_length + 3
            shown.append(content)
        self.update(Content.assemble(("● ", "$text-success"), Content("   ").join(shown)))
