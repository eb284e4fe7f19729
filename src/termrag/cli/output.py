"""The only place that writes to stdout and stderr, and the only one that turns errors into exit codes.

stdout carries the answer and nothing else. Notes and errors go to stderr; progress goes to stderr too, and only to a
terminal. A reader that closes the pipe early ends the output quietly.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, NoReturn, TextIO

import click

from termrag.errors import Exit, TermragError


class Finish(Exception):  # noqa: N818 - not an error: ends a command with an exit code
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def leave(command: click.Command) -> NoReturn:
    """Run a click command, render what it raises, flush, and leave without waiting for native threads."""
    code = _run(command)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code)


def _run(command: click.Command) -> int:
    try:
        result = command.main(prog_name="termrag", standalone_mode=False)
        return result if isinstance(result, int) else Exit.OK
    except Finish as finish:
        return finish.code
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except TermragError as error:
        show_error(error)
        return error.exit_code
    except Exception:
        _show_bug()
        return Exit.FAILED


def show_error(error: TermragError) -> None:
    """Two plain lines on stderr: what happened, and the next command to type."""
    clear_line()
    click.echo(f"termrag: {printable(error.message)}", err=True)
    if error.hint:
        click.echo(f"hint: {printable(error.hint)}", err=True)


def _show_bug() -> None:
    """A fault of termrag itself: the traceback goes to the log file, one line to the user."""
    import traceback

    from termrag.logs import logger, open_log
    from termrag.paths import default_paths

    clear_line()
    file = default_paths().log_file
    if not logger.handlers:
        open_log(file)
    logger.error("unexpected error\n%s", traceback.format_exc())
    click.echo(f"termrag: unexpected error: {printable(str(sys.exc_info()[1]))}", err=True)
    click.echo(f"hint: the details are in {file}", err=True)


def _silence() -> None:
    """Send what may still be written to nowhere, so that no flush at exit complains."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())


def printable(text: str) -> str:
    """Text from files and names without anything a terminal would obey; undecodable bytes shown as \\xNN."""
    safe = "".join(char if char.isprintable() or char in "\n\t" else _escaped(char) for char in text)
    return safe.encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """The same on one line: line breaks escaped, for names."""
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def out(text: str, *, end: str = "\n") -> None:
    """A piece of the answer, to stdout at once. Ends the command, in good order, if nobody reads any more."""
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise Finish(Exit.OK) from None


def out_json(value: Any, *, lines: bool = False) -> None:
    """JSON to stdout: indented, or with `lines` one object on one line."""
    import json

    out(json.dumps(value, ensure_ascii=False, indent=None if lines else 2))


def note(text: str) -> None:
    """Something the user should know, to stderr."""
    clear_line()
    click.echo(printable(text), err=True)


def styled(text: str, stream: TextIO | None = None, **style: Any) -> str:
    """Text in a style if the stream is a terminal and NO_COLOR is not set."""
    return click.style(text, **style) if has_color(stream or sys.stdout) else text


def has_color(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


_last_progress = [0.0]


def progress(text: str) -> None:
    """One line on stderr that the next one replaces; only on a terminal, at most ten times a second."""
    if not sys.stderr.isatty() or time.monotonic() - _last_progress[0] < 0.1:
        return
    _last_progress[0] = time.monotonic()
    width = _width()
    sys.stderr.write("\r\x1b[K" + one_line(text)[: width - 1])
    sys.stderr.flush()


def clear_line() -> None:
    """Wipe the progress line, if there may be one."""
    if _last_progress[0] and sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
        _last_progress[0] = 0.0


def _width() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def size(size_bytes: float) -> str:
    """A size for people: 1.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def duration(seconds: float | None) -> str:
    """A duration for people: 45 s, 3 min 20 s, 2 h 5 min; a question mark where it is not known."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def table(rows: Sequence[tuple[str, ...]], *, header: tuple[str, ...] = ()) -> Iterator[str]:
    """Columns padded to their widest cell; the last one is left as it is."""
    every = [header, *rows] if header else rows
    widths = [max(map(len, column)) for column in zip(*every, strict=True)] if every else []
    for row in every:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "  ".join([*cells, row[-1]])


def run_async(work: Callable[[], Coroutine[Any, Any, int | None]]) -> None:
    """Run a command's coroutine and end the command with the exit code it returns."""
    import asyncio

    try:
        code = asyncio.run(work())
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt from error
    if code:
        raise Finish(code)
