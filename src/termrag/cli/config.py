"""`termrag config`: where the settings are, what they are, and changing them."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import click

from termrag.cli import output
from termrag.cli.session import library
from termrag.collections import chosen, paths_of
from termrag.config import load_config, parse_setting, setting_docs, write_setting
from termrag.errors import ConfigError
from termrag.paths import default_paths


@click.group(epilog="Example: termrag config set generation.temperature 0.2")
def config() -> None:
    """Show and change settings."""


@config.command(epilog="Example: $EDITOR $(termrag config path)")
@click.pass_context
def path(ctx: click.Context) -> None:
    """Print the path of the configuration file, or of the collection's own."""
    output.out(str(_file(ctx)))


@config.command(epilog="Example: termrag config show --json | jq .models")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def show(ctx: click.Context, *, as_json: bool) -> None:
    """Show every setting as it is in force, with what it means. Secrets are masked."""
    from termrag.wire import plain

    values = plain(library(ctx)[0])
    if as_json:
        output.out_json(values)
        return
    section = ""
    for name, key, default, doc in setting_docs():
        if name != section:
            output.out(f"{'' if not section else chr(10)}[{name}]")
            section = name
        value = values[name][key]
        changed = "" if value == plain(default) else f"  (default {_toml(plain(default))})"
        output.out(f"{key} = {_toml(value)}  {output.styled(f'# {doc}{changed}', dim=True)}")
    is_set = bool(os.environ.get("TERMRAG_OPENAI_API_KEY"))
    output.note(f"TERMRAG_OPENAI_API_KEY: {'set (masked)' if is_set else 'not set'}")


def _toml(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    return str(value)


@config.command("set", epilog="Example: termrag config set models.chat smollm2-135m")
@click.argument("setting", metavar="SECTION.KEY")
@click.argument("value")
@click.pass_context
def set_(ctx: click.Context, *, setting: str, value: str) -> None:
    """Write one setting to the configuration file; comments there stay."""
    section, key, parsed = parse_setting(setting, value)
    file = _file(ctx)
    write_setting(file, section, key, parsed)
    output.note(f"{section}.{key} = {_toml(parsed if not isinstance(parsed, tuple) else list(parsed))} in {file}")


@config.command(epilog="Example: EDITOR=nano termrag config edit")
@click.pass_context
def edit(ctx: click.Context) -> None:
    """Open the configuration file in $EDITOR, and check it afterwards."""
    file = _file(ctx)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(file)], check=False)
    except OSError as error:
        raise ConfigError(
            f"cannot start the editor {editor!r}: {error.strerror}", "EDITOR=nano termrag config edit"
        ) from error
    if done.returncode:
        raise ConfigError(f"the editor {editor!r} ended with code {done.returncode}")
    load_config(file, {})
    library(ctx)


def _file(ctx: click.Context) -> Path:
    """The user's settings file, or that of the collection that is named."""
    base = default_paths()
    try:
        named = chosen(base, (ctx.find_root().obj or {}).get("collections") or (), os.environ)
    except ConfigError:  # a file that is wrong is mended where it is
        return base.config_file
    return paths_of(base, named[0]).settings_file
