"""What the ingest knows of files and folders, and the writer lock: SQLite and the standard library, no model."""

from termrag.ledger.files import Counts, FileEntry, Ledger, Overview, new_document_id
from termrag.ledger.lock import WATCH_LOCK, lock_holder, watch_lock
from termrag.ledger.rebuild import rebuild
from termrag.ledger.watching import Retry, WatchBook

__all__ = [
    "WATCH_LOCK",
    "Counts",
    "FileEntry",
    "Ledger",
    "Overview",
    "Retry",
    "WatchBook",
    "lock_holder",
    "new_document_id",
    "rebuild",
    "watch_lock",
]
