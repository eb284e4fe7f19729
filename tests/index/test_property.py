"""Random changes to a folder, taken in whole or by what was touched: the library then holds what a fresh one would."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from folder_changes import FolderChanges
from index.index_library import Library
from termrag.ingest import ingest


class Changes(FolderChanges):
    """`changed` stands for the system's notices: nothing else is looked at by `take_in`."""

    def __init__(self) -> None:
        super().__init__()
        self._touched: set[str] = set()
        self._library = Library(self._home / "library")
        self._library.add(self._root)

    def changed(self, *paths: Path) -> None:
        self._touched |= set(map(str, paths))

    @rule(is_whole=st.booleans())
    def take_in(self, is_whole: bool) -> None:
        root, library = str(self._root), self._library
        touched = None if is_whole else self._touched
        list(ingest([root], ledger=library.ledger, tools=library.tools(), touched=touched, sure=[root]))
        self._touched = set()
        with tempfile.TemporaryDirectory(dir=self._home) as folder, closing(Library(Path(folder))) as fresh:
            fresh.add(self._root)
            assert library.contents() == fresh.contents()

    def teardown(self) -> None:
        try:
            self.take_in(is_whole=False)
        finally:
            self._library.close()
            super().teardown()


def test_the_library_holds_what_a_fresh_one_would() -> None:
    run_state_machine_as_test(
        Changes,
        settings=settings(
            max_examples=12,
            stateful_step_count=60,
            deadline=None,
            phases=[Phase.generate],  # what happens within one tick of the clock is not repeatable
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
