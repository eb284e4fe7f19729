"""Every folder and file name that termrag uses. TERMRAG_HOME moves all of them under one folder."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path

from termrag import light

# Where relative paths count from on behalf of another process; None: from this one's working directory.
working_folder: ContextVar[str | None] = ContextVar("working_folder", default=None)


@light.dataclass(frozen=True, slots=True)
class Paths:
    """Absolute folders; `make` creates them private to the user."""

    config: Path
    data: Path
    cache: Path
    state: Path
    runtime: Path
    collection: str = ""

    @property
    def config_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def settings_file(self) -> Path:
        """Where a changed setting is written: the user's file, or the collection's own."""
        return self.config / "collections" / f"{self.collection}.toml" if self.collection else self.config_file

    @property
    def collections(self) -> Path:
        """Holds a folder for each named library."""
        return self.data / "collections"

    @property
    def base(self) -> Paths:
        """Those of the default library, from those of a named one."""
        if not self.collection:
            return self
        return replace(self, data=self.data.parent.parent, runtime=self.runtime.parent, collection="")

    def of_collection(self, name: str) -> Paths:
        """Those of a named library, from those of the default one: documents, conversations and sockets of its own,
        models, caches and logs shared."""
        return replace(self, data=self.collections / name, runtime=self.runtime / name, collection=name)

    @property
    def keys_file(self) -> Path:
        """Which key does what in the full-screen chat, where the user wants it otherwise."""
        return self.config / "keys.toml"

    @property
    def api_key_file(self) -> Path:
        """The remote endpoint's key, mode 0600."""
        return self.config / "openai.key"

    @property
    def library(self) -> Path:
        """Holds the ledger, the writer lock and the store."""
        return self.data / "library"

    @property
    def models(self) -> Path:
        return self.cache / "models"

    @property
    def prefixes(self) -> Path:
        """What engines have read of kept conversations."""
        return self.cache / "prefixes"

    @property
    def host_socket(self) -> Path:
        """Where a warm host listens."""
        return self.runtime / "server.sock"

    @property
    def log_file(self) -> Path:
        return self.state / "termrag.log"

    def make(self) -> None:
        """Create every folder, mode 0700. Existing folders keep their mode."""
        for folder in (self.config, self.data, self.cache, self.state, self.runtime):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def absolute(path: str | os.PathLike[str]) -> Path:
    """A path as whoever asks means it: `~` is the home folder, what is relative counts from where they stand."""
    given = Path(path).expanduser()
    folder = working_folder.get()
    return given.absolute() if folder is None else Path(folder) / given


def default_paths() -> Paths:
    """The platform's folders (XDG on Linux, Library on macOS), or those under TERMRAG_HOME."""
    home = os.environ.get("TERMRAG_HOME")
    if home:
        root = Path(home).expanduser().absolute()
        return Paths(root / "config", root / "data", root / "cache", root / "state", root / "run")
    from platformdirs import PlatformDirs

    dirs = PlatformDirs("termrag", appauthor=False)
    login = _runtime_of_login()
    return Paths(
        config=dirs.user_config_path,
        data=dirs.user_data_path,
        cache=dirs.user_cache_path,
        state=dirs.user_state_path,
        runtime=login / "termrag" if login else dirs.user_state_path / "run",
    )


def _runtime_of_login() -> Path | None:
    """The folder that goes when this user logs out, if there is one that belongs to them and is closed to others: in a
    container, say, there is none, and a name in the shared temporary folder could be taken by anyone."""
    for name in (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.geteuid()}"):
        folder = Path(name)
        with suppress(OSError):
            about = folder.lstat()
            is_mine = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            if folder.is_absolute() and is_mine and not about.st_mode & 0o077:
                return folder
    return None


def in_words(path: Path) -> str:
    """A path as people write it: what lies in their home begins with `~`."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):  # elsewhere, or nobody's home is known
        return str(path)
