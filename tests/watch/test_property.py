"""Random sequences of file operations, the real watcher, store and ledger: in the end the library equals a fresh one.

WATCH_OPERATIONS raises the number of operations.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from embedding_endpoint import Endpoint, served
from watch.watched import Watched

OPERATIONS = int(os.environ.get("WATCH_OPERATIONS", "2000"))
PER_EXAMPLE = 100

names = st.sampled_from(["a.md", "b.md", "c.txt", "ä.md", "a\u0308.md", "灯.md", "no suffix", "x\ny.md", ".hidden.md"])
folders = st.sampled_from(["", "sub", "sub/deep", "other"])
texts = st.text("ab \n.#-", max_size=200).map(lambda text: f"Written: {text}")


class Changes(RuleBasedStateMachine):
    """The folder is the model: whatever it holds when all is quiet has to be in the library."""

    endpoint: Endpoint

    def __init__(self) -> None:
        super().__init__()
        self._home = Path(tempfile.mkdtemp(prefix="termrag-watch-"))
        self._root = self._home / "root"
        self._root.mkdir()
        self._fresh = 0
        self._watched = Watched(self._home / "library", self.endpoint, [self._root])

    def _path(self, folder: str, name: str) -> Path:
        (self._root / folder).mkdir(parents=True, exist_ok=True)
        return self._root / folder / name

    @rule(folder=folders, name=names, text=texts)
    def write(self, folder: str, name: str, text: str) -> None:
        path = self._path(folder, name)
        if not path.is_dir():
            path.write_text(text)

    @rule(folder=folders, name=names, text=texts)
    def append(self, folder: str, name: str, text: str) -> None:
        with self._path(folder, name).open("a") as file:
            file.write(text)

    @rule(folder=folders, name=names, text=texts)
    def save_by_delete_then_create(self, folder: str, name: str, text: str) -> None:
        path = self._path(folder, name)
        path.unlink(missing_ok=True)
        path.write_text(text)

    @rule(folder=folders, name=names)
    def delete(self, folder: str, name: str) -> None:
        self._path(folder, name).unlink(missing_ok=True)

    @rule(folder=folders, name=names, to_folder=folders, to_name=names)
    def rename(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        path = self._path(folder, name)
        if path.exists():
            path.rename(self._path(to_folder, to_name))

    @rule(folder=folders, name=names, to_folder=folders, to_name=names)
    def copy(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        path, other = self._path(folder, name), self._path(to_folder, to_name)
        if path.exists() and not other.exists():
            shutil.copy(path, other)

    @rule(folder=folders, name=names, to_name=names)
    def link(self, folder: str, name: str, to_name: str) -> None:
        path, other = self._path(folder, name), self._path(folder, to_name)
        if path.exists() and not other.exists():
            os.link(path, other)

    @rule(folder=st.sampled_from(["sub", "sub/deep", "other"]), to=st.sampled_from(["moved", "sub/moved", "other"]))
    def rename_folder(self, folder: str, to: str) -> None:
        path, other = self._root / folder, self._root / to
        if path.is_dir() and not other.exists() and not str(other).startswith(f"{path}/"):
            other.parent.mkdir(parents=True, exist_ok=True)
            path.rename(other)

    @rule(folder=st.sampled_from(["sub", "other", "moved"]))
    def delete_folder(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)

    @rule(pattern=st.sampled_from(["", "sub/\n", "*.txt\n", "a.md\n"]))
    def ignore(self, pattern: str) -> None:
        (self._root / ".termragignore").write_text(pattern)

    @rule()
    def let_it_settle(self) -> None:
        self._fresh += 1
        self._watched.until_equal(self._home / f"fresh{self._fresh}")

    def teardown(self) -> None:
        try:
            self.let_it_settle()
        finally:
            self._watched.close()
            shutil.rmtree(self._home, ignore_errors=True)


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
