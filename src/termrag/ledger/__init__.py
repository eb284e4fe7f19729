"""What the ingest knows of files and folders, and the writer lock: SQLite and the standard library, no model."""

from termrag.ledger.files import Counts, FileEntry, Ledger, new_document_id
from termrag.ledger.rebuild import rebuild
from termrag.ledger.watching import Retry, WatchBook

__all__ = ["Counts", "FileEntry", "Ledger", "Retry", "WatchBook", "new_document_id", "rebuild"]
