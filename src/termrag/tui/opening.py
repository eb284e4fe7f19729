"""A document in the user's own program: an editor in the terminal at the right line, or the system's viewer."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from termrag.errors import NotFound
from termrag.records import Passage

_EDITABLE = {".md", ".txt", ".rst", ".org", ".tex", ".csv", ".json", ".toml", ".yaml", ".yml", ".log", ".html", ".xml"}
_LINE_FLAG = {"code": "--goto {path}:{line}", "subl": "{path}:{line}", "hx": "{path}:{line}"}


@dataclass(frozen=True, slots=True)
class Opener:
    """A command; one that `takes_terminal` needs the app to step aside."""

    command: tuple[str, ...]
    takes_terminal: bool


def line_of(passage: Passage, quote: str) -> int:
    """The line of the file where the supporting words begin; where the passage begins, if they are not in it."""
    at = passage.text.find(quote) if quote and passage.lines_match else 0
    return passage.start_line + passage.text.count("\n", 0, max(at, 0))


def opener(where: Passage, line: int, environ: Mapping[str, str] | None = None) -> Opener:
    """What opens a source at a line. Raises NotFound if the file is gone, or if nothing here can open it."""
    environ = os.environ if environ is None else environ
    file = Path(where.path)
    if not file.exists():
        raise NotFound(f"{file} is not there any more", "termrag sync")
    editor = environ.get("VISUAL") or environ.get("EDITOR")
    if editor and (where.lines_match or file.suffix.lower() in _EDITABLE):
        return Opener(tuple(_edit(shlex.split(editor), file, line)), takes_terminal=True)
    viewer = "open" if sys.platform == "darwin" else "xdg-open"
    can_show = sys.platform == "darwin" or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    if can_show and shutil.which(viewer, path=environ.get("PATH")):
        return Opener((viewer, str(file)), takes_terminal=False)
    raise NotFound(f"nothing here opens {file.name}", "export EDITOR=nano")


def _edit(editor: list[str], file: Path, line: int) -> list[str]:
    form = _LINE_FLAG.get(Path(editor[0]).name, "+{line} {path}")
    return [*editor, *(part.format(path=file, line=max(line, 1)) for part in form.split(" "))]


def launch(chosen: Opener) -> None:
    """Run it: one that takes the terminal until it ends, a viewer on its own."""
    if chosen.takes_terminal:
        subprocess.run(chosen.command, check=False)
    else:
        subprocess.Popen(
            chosen.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
