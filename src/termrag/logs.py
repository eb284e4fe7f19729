"""The rotating log file: timings and errors, never document text or questions."""

from __future__ import annotations

import logging
import logging.handlers
import sys
import traceback
from pathlib import Path

logger = logging.getLogger("termrag")

_FORMAT = "%(asctime)s %(levelname)s %(process)d %(message)s"


class _File(logging.handlers.RotatingFileHandler):
    """A line that cannot be written, on a full disk, is dropped without a word on the screen."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        pass


def open_log(file: Path, *, debug: bool = False) -> None:
    """Send the `termrag` logger to `file` (1 MB, three old ones kept), with `debug` also to stderr. Calling again
    replaces what was opened before. A file that cannot be written is no reason to fail: the log is then dropped."""
    close_log()
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    logger.propagate = False
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler: logging.Handler = _File(file, maxBytes=1_000_000, backupCount=3, encoding="utf-8", delay=True)
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger.addHandler(handler)
    if debug:
        on_screen = logging.StreamHandler(sys.stderr)
        on_screen.setFormatter(logging.Formatter("%(relativeCreated)7d ms %(message)s"))
        logger.addHandler(on_screen)


def close_log() -> None:
    """Close and forget the handlers; idempotent."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def log_bug(what: str, error: BaseException) -> None:
    """Where an error arose that nobody raised on purpose. Its own words may quote a document or a question: they are
    told with `debug` alone."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.error("%s", what, exc_info=error)
        return
    trace = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    logger.error("%s: %s (its words are told with --debug)\n%s", what, type(error).__name__, trace)


def silence(*names: str) -> None:
    """Let libraries say nothing: what they log quotes what they are given."""
    for name in names:
        quiet = logging.getLogger(name)
        quiet.propagate = False
        quiet.handlers = [logging.NullHandler()]


def log_answer(verdict: str, engine: str, model: str, stages_ms: object, usage: object) -> None:
    """One line per question: outcome and timings alone."""
    logger.info("ask verdict=%s engine=%s model=%s stages_ms=%s usage=%s", verdict, engine, model, stages_ms, usage)
