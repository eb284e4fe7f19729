"""The index as a whole: measured, verified, copied to files and back, moved to another store.

`fileset` is the form on disk, `copying` writes and reads it (export, import, backup, restore), `migrate` streams from
one store to another, `verify` holds ledger and store against each other. All take the parts and are generators of
events; leaving one early stops it cleanly.
"""

from termrag.indexing.copying import back_up, export, import_index, restore
from termrag.indexing.migrate import migrate
from termrag.indexing.stats import take_stats
from termrag.indexing.verify import verify

__all__ = ["back_up", "export", "import_index", "migrate", "restore", "take_stats", "verify"]
