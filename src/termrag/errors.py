"""Every error that termrag raises on purpose; knows nothing of how a face shows it.

    TermragError(message, hint)      exit   HTTP
    ├── ConfigError                     2    400   a setting is wrong; names the file and the key
    ├── UnreadableFile                  -    422   one file gives no text; becomes a Failed event in a run
    ├── UnfitVector                     2    422   a given vector cannot be compared with those of the index
    ├── ModelMissing                    5    503   the model is not on this machine
    ├── EngineFailed                    5    502   the model could not be loaded or broke while running
    │   └── QuestionTooLong             5    422   the question does not fit into the model's window
    ├── LibraryBusy                     5    409   another process holds the writer lock
    ├── LibraryMismatch                 5    409   the library was built with another embedder or layout
    ├── StoreBusy                       5    409   the store refused a write after several tries
    ├── StoreUnavailable                5    503   the store cannot be reached or is out of space
    │   └── StoreUnreachable            5    503   the server of the store does not answer; try again later
    ├── HostLost                        5    503   the warm host ended, or refused, before it was done
    ├── ServiceFailed                   1    500   the service manager is not there, or refused
    └── NotFound                        1    404   no such document, session or model

`message` says what happened and with which value; `hint` is the next command to type.
What is not a TermragError is a bug.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the command line."""

    OK = 0  # grounded, or the command did what it was asked
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3  # not in the documents: nothing was generated
    PARTIAL = 4  # answered, but some sentences are unsupported
    NOT_READY = 5  # library or model not ready
    INTERRUPTED = 130


class TermragError(Exception):
    """What happened, in one plain sentence, and what mends it."""

    exit_code = 1
    http_status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(TermragError):
    """A setting is unknown, of the wrong type or out of range."""

    exit_code = 2
    http_status = 400


EMPTY = "is empty"
"""What is said of a file without bytes."""


class UnreadableFile(TermragError):  # noqa: N818 - named for what it is, like its siblings
    """A file that gives no text: empty, encrypted, damaged, unsupported, too large."""

    http_status = 422


class UnfitVector(TermragError):  # noqa: N818
    """A given vector that has another dimension than those of the index, or no direction."""

    exit_code = 2
    http_status = 422


class ModelMissing(TermragError):  # noqa: N818
    """A model that is not on this machine."""

    exit_code = 5
    http_status = 503


class EngineFailed(TermragError):  # noqa: N818
    """A model that could not be loaded, or that broke while running."""

    exit_code = 5
    http_status = 502


class QuestionTooLong(EngineFailed):
    """A question that does not fit into the model's window, whatever else is left out."""

    http_status = 422


class LibraryBusy(TermragError):  # noqa: N818
    """Another process is writing and did not finish in time."""

    exit_code = 5
    http_status = 409


class LibraryMismatch(TermragError):  # noqa: N818
    """The library was built with another embedder, dimension or chunker."""

    exit_code = 5
    http_status = 409


class StoreBusy(TermragError):  # noqa: N818
    """The store kept refusing a commit because of other writers."""

    exit_code = 5
    http_status = 409


class StoreUnavailable(TermragError):  # noqa: N818
    """The store cannot be opened, reached or written to."""

    exit_code = 5
    http_status = 503


class StoreUnreachable(StoreUnavailable):
    """The server of the store does not answer. Nothing is lost, and repeating is safe."""


class HostLost(TermragError):  # noqa: N818
    """The warm host ended, or refused, before it was done."""

    exit_code = 5
    http_status = 503


class NotFound(TermragError):  # noqa: N818
    """No such document, session or model."""

    http_status = 404


class ServiceFailed(TermragError):  # noqa: N818
    """The system's service manager is not there, or refused."""
