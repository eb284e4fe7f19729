"""Random sequences of file operations, the real watcher, store and ledger: in the end the library equals a fresh one.

WATCH_OPERATIONS raises the number of operations.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import rule, run_state_machine_as_test

from embedding_endpoint import Endpoint, served
from folder_changes import FolderChanges
from watch.watched import Watched

OPERATIONS = int(os.environ.get("WATCH_OPERATIONS", "2000"))
PER_EXAMPLE = 100


class Changes(FolderChanges):
    """Whatever the folder holds when all is quiet has to be in the library."""

    endpoint: Endpoint

    def __init__(self) -> None:
        super().__init__()
        self._fresh = 0
        self._watched = Watched(self._home / "library", self.endpoint, [self._root])

    @rule()
    def let_it_settle(self) -> None:
        self._fresh += 1
        self._watched.until_equal(self._home / f"fresh{self._fresh}")

    def teardown(self) -> None:
        try:
            self.let_it_settle()
        finally:
            self._watched.close()
            super().teardown()


def test_the_library_becomes_what_a_fresh_one_would_be() -> None:
    with served() as endpoint:

        class Machine(Changes):
            pass

        Machine.endpoint = endpoint
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=max(1, OPERATIONS // PER_EXAMPLE),
                stateful_step_count=PER_EXAMPLE,
                deadline=None,
                phases=[Phase.generate],  # the machine's timing is not repeatable: shrinking would be in vain
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
