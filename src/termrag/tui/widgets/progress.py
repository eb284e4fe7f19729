"""How far the files are that come in: a bar with counts, speed and time left, and the last that failed."""

from __future__ import annotations

from typing import Any

from textual.content import Content
from textual.widgets import Static

from termrag.tui.ingesting import IngestQueue, duration
from termrag.tui.listing import clean, plural


class QueueLine(Static):
    """Takes up no room while nothing comes in."""

    ALLOW_SELECT = False

    def __init__(self, queue: IngestQueue, **options: Any) -> None:
        super().__init__(**options)
        self._queue = queue
        self._drawn = -1

    def on_mount(self) -> None:
        self.look()

    def on_resize(self) -> None:
        self._drawn = -1
        self.look()

    def look(self) -> None:
        """Draw what has changed."""
        if self._queue.version == self._drawn:
            return
        self._drawn = self._queue.version
        lines = [line for line in (self._progress(), self._failure()) if line is not None]
        self.display = bool(lines)
        self.update(Content("\n").join(lines))

    def _progress(self) -> Content | None:
        queue = self._queue
        if not queue.is_busy:
            return None
        totals, width = queue.totals, self.size.width or 80
        share = queue.share
        cells = min(24, max(width - 44, 6))
        full = round(share * cells)
        bar = Content.assemble(("█" * full, "$text-accent"), ("░" * (cells - full), "$foreground 40%"))
        words = f"{totals.files_done:,} of {plural(totals.files_total, 'file')}"
        parts = [f"{share:.0%}"]
        if queue.is_paused:
            parts.append("paused")
        elif totals.embedding:
            parts.append("computing vectors")
        if totals.chunks_per_second:
            parts.append(f"{totals.chunks_per_second:.0f} chunks/s")
        if totals.eta_s is not None and not queue.is_paused:
            parts.append(f"about {duration(totals.eta_s)} left")
        if queue.waiting_jobs:
            parts.append(f"{queue.waiting_jobs} more to come")
        keys = "p goes on  x cancels" if queue.is_paused else "p pauses  x cancels"
        line = Content.assemble(f"{words}  ", bar, "  " + "  ".join(parts))
        if line.cell_length + len(keys) + 4 <= width:
            line = Content.assemble(line, (" " * (width - line.cell_length - len(keys) - 2) + keys, "$foreground 65%"))
        return line

    def _failure(self) -> Content | None:
        failed = self._queue.last_failure
        if failed is None or not self._queue.is_busy:
            return None
        name = clean(failed.path.rpartition("/")[2])
        what = clean(failed.reason)
        said = what if name in what else f"{name}: {what}"
        hint = f"  {clean(failed.hint)}" if failed.hint else ""
        return Content.assemble(("last failure  ", "$foreground 65%"), (said, "$text-error"), hint)
