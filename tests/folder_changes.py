"""Random changes to a folder, as rules of a state machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

names = st.sampled_from(["a.md", "b.md", "c.txt", "ä.md", "a\u0308.md", "灯.md", "no suffix", "x\ny.md", ".hidden.md"])
folders = st.sampled_from(["", "sub", "sub/deep", "other"])
alike = st.sampled_from(["Written: once", "Written: twice"])  # several files with the same bytes
texts = st.one_of(alike, st.text("ab \n.#-", max_size=200).map(lambda text: f"Written: {text}"))


class FolderChanges(RuleBasedStateMachine):
    """What happens to files below `_root`: the folder is the model. `changed` is told of every path concerned."""

    def __init__(self) -> None:
        super().__init__()
        self._home = Path(tempfile.mkdtemp(prefix="termrag-changes-"))
        self._root = self._home / "root"
        self._root.mkdir()

    def changed(self, *paths: Path) -> None:
        """Nothing, unless it is of interest."""

    def teardown(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    def _path(self, folder: str, name: str) -> Path:
        (self._root / folder).mkdir(parents=True, exist_ok=True)
        return self._root / folder / name

    @rule(folder=folders, name=names, text=texts)
    def write(self, folder: str, name: str, text: str) -> None:
        path = self._path(folder, name)
        if not path.is_dir():
            path.write_text(text)
            self.changed(path)

    @rule(folder=folders, name=names, text=texts)
    def append(self, folder: str, name: str, text: str) -> None:
        path = self._path(folder, name)
        with path.open("a") as file:
            file.write(text)
        self.changed(path)

    @rule(folder=folders, name=names, text=texts)
    def save_by_delete_then_create(self, folder: str, name: str, text: str) -> None:
        path = self._path(folder, name)
        path.unlink(missing_ok=True)
        path.write_text(text)
        self.changed(path)

    @rule(folder=folders, name=names)
    def delete(self, folder: str, name: str) -> None:
        path = self._path(folder, name)
        path.unlink(missing_ok=True)
        self.changed(path)

    @rule(folder=folders, name=names, to_folder=folders, to_name=names)
    def rename(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        path, other = self._path(folder, name), self._path(to_folder, to_name)
        if path.exists():
            path.rename(other)
            self.changed(path, other)

    @rule(folder=folders, name=names, to_folder=folders, to_name=names)
    def copy(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        path, other = self._path(folder, name), self._path(to_folder, to_name)
        if path.exists() and not other.exists():
            shutil.copy(path, other)
            self.changed(other)

    @rule(folder=folders, name=names, places=st.lists(st.tuples(folders, names), min_size=1, max_size=3))
    def move_by_copying(self, folder: str, name: str, places: list[tuple[str, str]]) -> None:
        path, others = self._path(folder, name), [self._path(*place) for place in places]
        if path.exists():
            text = path.read_bytes()
            path.unlink()
            for other in others:
                other.write_bytes(text)
            self.changed(path, *others)

    @rule(folder=folders, name=names, to_folder=folders, to_name=names)
    def link(self, folder: str, name: str, to_folder: str, to_name: str) -> None:
        path, other = self._path(folder, name), self._path(to_folder, to_name)
        if path.exists() and not other.exists():
            os.link(path, other)
            self.changed(other)

    @rule(folder=st.sampled_from(["sub", "sub/deep", "other"]), to=st.sampled_from(["moved", "sub/moved", "other"]))
    def rename_folder(self, folder: str, to: str) -> None:
        path, other = self._root / folder, self._root / to
        if path.is_dir() and not other.exists() and not str(other).startswith(f"{path}/"):
            other.parent.mkdir(parents=True, exist_ok=True)
            path.rename(other)
            self.changed(path, other)

    @rule(folder=st.sampled_from(["sub", "other", "moved"]))
    def delete_folder(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)
        self.changed(self._root / folder)

    @rule(pattern=st.sampled_from(["", "sub/\n", "*.txt\n", "a.md\n"]))
    def ignore(self, pattern: str) -> None:
        (self._root / ".termragignore").write_text(pattern)
        self.changed(self._root / ".termragignore")
