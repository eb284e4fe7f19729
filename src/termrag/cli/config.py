"""`termrag config`: where the settings are, what they are, and changing them."""

from __future__ import annotations

import os
import shlex
import subprocess

import click

from termrag.cli import output
from termrag.config import load_config, parse_setting, setting_docs, write_setting
from termrag.errors import ConfigError
from termrag.paths import default_paths


@click.group(epilog="Example: termrag config set generation.temperature 0.2")
def config() -> None:
    """Show and change settings."""


@config.command(epilog="Example: $EDITOR $(termrag config path)")
def path() -> None:
    """Print the path of the configuration file."""
    output.out(str(default_paths().config_file))


@config.command(epilog="Example: termrag config show --json | jq .models")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(*, as_json: bool) -> None:
    """Show every setting as it is in force, with what it means. Secrets are masked."""
    from termrag.wire import plain

    values = plain(load_config(default_paths().config_file))
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
def set_(*, setting: str, value: str) -> None:
    """Write one setting to the configuration file; comments there stay."""
    section, key, parsed = parse_setting(setting, value)
    file = default_paths().config_file
    write_setting(file, section, key, parsed)
    output.note(f"{section}.{key} = {_toml(parsed if not isinstance(parsed, tuple) else list(parsed))} in {file}")


@config.command(epilog="Example: EDITOR=nano termrag config edit")
def edit() -> None:
    """Open the configuration file in $EDITOR, and check it afterwards."""
    file = default_paths().config_file
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
    load_config(file)
