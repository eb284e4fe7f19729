"""The words for states and outcomes that records use; apart from them, since whoever draws needs these first."""

from __future__ import annotations

from enum import StrEnum


class DocumentState(StrEnum):
    """What the ledger knows of a file."""

    PENDING = "pending"  # a commit has begun; the next run finishes or repeats it
    INDEXED = "indexed"
    FAILED = "failed"
    REMOVING = "removing"


class Support(StrEnum):
    """How a sentence stands to the passages."""

    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    NEUTRAL = "neutral"  # says nothing that could be checked: a greeting, a heading, "Here is a list:"


class Verdict(StrEnum):
    """The outcome of a question."""

    GROUNDED = "grounded"
    NOT_FOUND = "not_found"
    PARTIAL = "partial"  # answered, but some sentences are unsupported
    STOPPED = "stopped"
    GENERAL = "general"  # asked without documents


class TurnState(StrEnum):
    """How far an answer got."""

    WRITING = "writing"  # the process that writes it is alive, or was killed
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Freshness(StrEnum):
    """How the documents an answer cites stand today. A rename changes nothing."""

    CURRENT = "current"
    CHANGED = "changed"
    GONE = "gone"
