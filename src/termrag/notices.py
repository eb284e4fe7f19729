"""The system's notices of changes below folders, by watchdog, and what is done where it loses sight of one; knows
neither library nor loop."""

from __future__ import annotations

import errno
import os
import threading
import time
import warnings
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

_LIMIT = (
    "the system's limit of watched folders is reached, so changes are looked for from time to time; to raise it: "
    "sudo sysctl fs.inotify.max_user_watches=524288"
)
_CHANGES = ("created", "modified", "deleted", "moved", "closed", "attrib")


class Eyes:
    """The system's notices of changes below some folders, by watchdog; `notice` is called from its threads.

    Where folders come, go and take each other's names, it may lose sight of one of them: `disturbed` are the folders in
    which that happened, each with when it did last. A thread of it may even die of that: then it is blind. The next
    `attend` looks at what is concerned anew.
    """

    def __init__(self, notice: Callable[[Iterable[str]], None]) -> None:
        self.disturbed: dict[str, float] = {}
        self._notice = notice
        self._observer: Any = None
        self._threads: list[threading.Thread] = []  # without which the observer hears nothing
        self._seen: dict[str, tuple[Any, tuple[int, int]]] = {}

    @property
    def is_blind(self) -> bool:
        """Whether a thread has died; that of a folder ends when the folder is deleted, too."""
        emitters = () if self._observer is None else self._observer.emitters
        return not all(thread.is_alive() for thread in (*self._threads, *emitters))

    def attend(self, folders: Collection[str]) -> str:
        """Look at exactly these folders from now on, those that were replaced anew. Returns why it cannot, or
        nothing."""
        disturbed, self.disturbed = self.disturbed, {}
        if self.is_blind:
            self.close()
        try:
            self._open()
        except OSError as error:
            return _reason(error, "anything")
        for path, (watch, identity) in list(self._seen.items()):
            if path not in folders or path in disturbed or _identity(path) != identity:
                del self._seen[path]
                try:
                    self._observer.unschedule(watch)
                except KeyError:  # its own books are wrong; then so may be all that it tells
                    self.close()
                    return self.attend(folders)
        for path in folders:
            now = _identity(path)
            if path in self._seen or now is None:
                continue
            try:
                handler = _Handler(self._notice, partial(self._disturb, path))
                watch = self._observer.schedule(handler, path, recursive=True)
            except OSError as error:
                return _reason(error, path)
            self._seen[path] = (watch, now)
        return ""

    def _open(self) -> None:
        """Idempotent."""
        if self._observer is not None:
            return
        from watchdog.observers import Observer

        # A folder that comes and goes quickly is met twice; watchdog says so on stderr, and all is well.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        _keep_deaths_off_the_screen()
        before = set(threading.enumerate())
        self._observer = Observer()
        self._observer.start()
        started = set(threading.enumerate()) - before
        self._threads = [thread for thread in started if _is_watchdogs(thread)]

    def _disturb(self, path: str) -> None:
        self.disturbed[path] = time.monotonic()

    def close(self) -> None:
        """Stop the threads; idempotent."""
        observer, self._observer = self._observer, None
        seen, self._seen = self._seen, {}
        self._threads = []
        if observer is None:
            return
        for watch, _ in seen.values():
            with suppress(KeyError):  # its own books are wrong
                observer.unschedule(watch)
        observer.stop()
        observer.join()


def _is_watchdogs(thread: threading.Thread | None) -> bool:
    return type(thread).__module__.startswith("watchdog.")


def _keep_deaths_off_the_screen() -> None:
    """A thread of watchdog that dies is noticed and replaced: its traceback would only spoil the screen. Idempotent."""
    usual = threading.excepthook
    if getattr(usual, "knows_watchdog", False):
        return

    def tell(died: threading.ExceptHookArgs) -> None:
        if not _is_watchdogs(died.thread):
            usual(died)

    tell.knows_watchdog = True  # type: ignore[attr-defined]
    threading.excepthook = tell


def _reason(error: OSError, path: str) -> str:
    if error.errno in (errno.ENOSPC, errno.EMFILE):
        return _LIMIT
    return f"the system does not tell of changes in {path}: {error.strerror}"


class _Handler:
    """What watchdog calls. A change of a folder's own entry list is told by its entries; `disturb` is called when a
    folder has come, gone or moved."""

    def __init__(self, notice: Callable[[Iterable[str]], None], disturb: Callable[[], None]) -> None:
        self._notice = notice
        self._disturb = disturb

    def dispatch(self, event: Any) -> None:
        if event.event_type not in _CHANGES or (event.is_directory and event.event_type == "modified"):
            return
        if event.is_directory and event.event_type in ("created", "deleted", "moved"):
            self._disturb()
        self._notice(os.fsdecode(path) for path in (event.src_path, event.dest_path) if path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
