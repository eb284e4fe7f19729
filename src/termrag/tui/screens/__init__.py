"""The screens, each imported when it is first opened; the table of them is in `termrag.tui.app`."""

from __future__ import annotations

from textual.geometry import Size

LEAST = Size(40, 12)


def is_too_small(size: Size) -> bool:
    """Whether a terminal has no room for any of them."""
    return size.width < LEAST.width or size.height < LEAST.height
