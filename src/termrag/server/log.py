"""The server's structured log on stderr, and the audit log of writes in a file of its own; neither holds document text,
questions or secrets."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog

from termrag.logs import silence

_LIKE_SECRETS = re.compile(r"termrag_[0-9a-f]{8}_[\w-]+|\beyJ[\w-]+\.[\w-]+\.[\w-]*")
_SECRETS = ("authorization", "key", "token", "secret", "password", "api_key")


def open_logs(form: str, audit_file: Path, *, debug: bool = False) -> None:
    """Send requests to stderr, as `console` lines or `json`, and writes to `audit_file` too (5 MB, three old ones)."""
    audit_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    shown = renderer if form == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(structlog.stdlib.ProcessorFormatter(processor=shown))
    file = logging.handlers.RotatingFileHandler(audit_file, maxBytes=5_000_000, backupCount=3, delay=True)
    file.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer))
    for name, handlers in (("termrag.server", [screen]), ("termrag.audit", [file])):
        logger = logging.getLogger(name)
        logger.handlers = handlers  # type: ignore[assignment]
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.propagate = False
    # They quote the requests that they cannot read, keys and all.
    silence("aiohttp", "mcp", "sse_starlette")
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            mask_secrets,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def close_logs() -> None:
    """Close the handlers; idempotent."""
    for name in ("termrag.server", "termrag.audit"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
            handler.close()


def log(name: str = "server") -> Any:
    """A structured logger: `log().info("event", key=value)`."""
    return structlog.get_logger(f"termrag.{name}")


def mask_secrets(_: Any, __: str, entry: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Replace what is named like a secret, and what looks like a key or a token wherever it stands."""
    return {name: "***" if name.lower() in _SECRETS else _masked(value) for name, value in entry.items()}


def _masked(value: Any) -> Any:
    match value:
        case str():
            return _LIKE_SECRETS.sub("***", value)
        case Mapping():
            return {name: "***" if str(name).lower() in _SECRETS else _masked(each) for name, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
        case _:
            return value
