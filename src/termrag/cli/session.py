"""How a command gets its façade: settings from file, environment and flags, the log opened, the host not yet known."""

from __future__ import annotations

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from termrag.collections import load_settings, settings_of
from termrag.paths import default_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from termrag.config import Config
    from termrag.paths import Paths
    from termrag.rag import Rag
    from termrag.records import Filters


def no_host(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of commands that attach to a warm host."""
    return click.option(
        "--no-host", is_flag=True, expose_value=False, callback=_stay_alone, help="Do not use a running server."
    )(command)


def _stay_alone(ctx: click.Context, _: click.Parameter, alone: bool) -> None:
    if alone:
        ctx.find_root().ensure_object(dict)["no_host"] = True


def open_rag(ctx: click.Context, *, alone: bool = False, several: bool = False, **sections: dict[str, Any]) -> Rag:
    """A façade over the user's settings with the command's flags laid over; flags that are None do not count. It is
    that of a warm host where one runs for the same library and settings, unless the command or its user stays alone.
    Only a command that takes `several` collections may be given more than one."""
    from termrag.logs import open_log

    options = ctx.find_root().obj or {}
    open_log(default_paths().log_file, debug=options.get("debug", False))
    config, paths, members = library(ctx, several=several)
    config = _laid_over(config, sections)
    if not (members or alone or options.get("no_host") or os.environ.get("TERMRAG_NO_HOST")):
        from termrag.remote import attach

        if (attached := attach(config, paths)) is not None:
            return attached
    from termrag.rag import Rag

    return Rag(config, paths, members=members)


def library(ctx: click.Context, *, several: bool = False) -> tuple[Config, Paths, dict[str, tuple[Config, Paths]]]:
    """Settings and paths of the library that the command line means, and those of each where it means several. Raises
    NotFound, ConfigError."""
    options = ctx.find_root().obj or {}
    if options.get("library"):
        paths = default_paths()
        given = {"library": {"path": options["library"]}}
        return load_settings(paths, os.environ).with_values(given, "command line"), paths, {}
    config, paths, members = settings_of(options.get("collections") or ())
    if members and not several:
        raise click.UsageError(f"{ctx.command_path} takes one collection, not {', '.join(members)}.", ctx)
    return config, paths, members


def settings(ctx: click.Context, **sections: dict[str, Any]) -> Config:
    """The user's settings as they are now, with the command's flags laid over. Raises ConfigError, NotFound."""
    return _laid_over(library(ctx)[0], sections)


def _laid_over(config: Config, sections: dict[str, dict[str, Any]]) -> Config:
    return config.with_values({section: _given(table) for section, table in sections.items()}, "command line")


def command_line(ctx: click.Context) -> list[str]:
    """What to run Python with, up to the command, to get the same program over the same library."""
    chosen = (ctx.find_root().obj or {}).get("library")
    if chosen:
        return ["-m", "termrag", "--library", str(Path(chosen).expanduser().absolute())]
    name = library(ctx)[1].collection
    return ["-m", "termrag", *(["-C", name] if name else [])]


def _given(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def filters_of(within: tuple[str, ...], types: tuple[str, ...], after: str | None, before: str | None) -> Filters:
    """Filters from the flags of search and ask."""
    from termrag.records import Filters

    return Filters(
        globs=tuple(_absolute_glob(pattern) for pattern in within),
        types=tuple(suffix.lstrip(".").lower() for suffix in types),
        after_ns=_nanoseconds(after, "--after"),
        before_ns=_nanoseconds(before, "--before"),
    )


def _absolute_glob(pattern: str) -> str:
    """A folder means all below it; a relative pattern counts from the working directory."""
    path = Path(os.path.realpath(Path(pattern).expanduser()))
    return f"{path}/**" if path.is_dir() else str(path)


def _nanoseconds(day: str | None, flag: str) -> int | None:
    if day is None:
        return None
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
        raise click.BadParameter(f"{day!r} is not a date like 2026-01-31", param_hint=flag)
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=flag) from error


def read_stdin() -> str:
    """All of standard input as text; undecodable bytes are replaced."""
    return sys.stdin.buffer.read().decode("utf-8", "replace")
