"""Screens as SVG, held against stored ones. pytest-textual-snapshot would do the same, but its syrupy needs an older
pytest than ours.

    TERMRAG_SNAPSHOTS=accept python -m pytest tests/tui/test_snapshots.py     takes what is drawn now as right
"""

from __future__ import annotations

import difflib
import html
import os
import re
from importlib.metadata import version
from pathlib import Path

import pytest
from textual.widgets import Input, TextArea

from termrag.tui.app import TermragApp

FOLDER = Path(__file__).parent / "snapshots"
NEW = Path(__file__).parents[2] / ".snapshots"
_DRAWN_BY = FOLDER / "drawn-by.txt"
_ACCEPT = os.environ.get("TERMRAG_SNAPSHOTS") == "accept"


def drawn_by() -> str:
    """What decides about single pixels; another version of it may draw otherwise and still be right."""
    return "\n".join(f"{name} {version(name)}" for name in ("textual", "rich")) + "\n"


def same_libraries() -> bool:
    return _ACCEPT or (_DRAWN_BY.exists() and _DRAWN_BY.read_text() == drawn_by())


def hold_still(app: TermragApp) -> None:
    """Let no cursor blink."""
    for screen in app.screen_stack:
        for field in screen.query("Input, TextArea"):
            if isinstance(field, Input | TextArea):
                field.cursor_blink = False


def picture(app: TermragApp) -> str:
    """The screen as an SVG that depends on nothing but what it shows."""
    svg = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="termrag"))
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # names a host


def words(svg: str) -> list[str]:
    """What stands in a picture, line by line."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(r'<text [^>]*?x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', svg):
        rows.setdefault(float(y), []).append((float(x), html.unescape(text).replace("\xa0", " ")))
    return ["".join(text for _, text in sorted(row)).rstrip() for _, row in sorted(rows.items())]


def check(app: TermragApp, name: str) -> None:
    """Hold what is shown against the stored picture. On a difference the new one is put beside, and it is said how to
    accept it."""
    svg = picture(app)
    stored = FOLDER / f"{name}.svg"
    if _ACCEPT:
        FOLDER.mkdir(exist_ok=True)
        stored.write_text(svg, encoding="utf-8")
        _DRAWN_BY.write_text(drawn_by())
        return
    before = stored.read_text(encoding="utf-8") if stored.exists() else ""
    if svg == before:
        return
    NEW.mkdir(exist_ok=True)
    fresh = NEW / stored.name
    fresh.write_text(svg, encoding="utf-8")
    changes = list(difflib.unified_diff(words(before), words(svg), "stored", "drawn", lineterm="", n=0))
    said = "\n".join(changes) or "the words are the same, their colours or places are not"
    pytest.fail(
        f"{name} looks different: compare {stored} with {fresh}\n{said}\n"
        f"to accept it: TERMRAG_SNAPSHOTS=accept python -m pytest tests/tui/test_snapshots.py -k '{name}'",
        pytrace=False,
    )
