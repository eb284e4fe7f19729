"""Themes as TOML files: those that come with termrag, and the user's own; knows nothing of screens."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from termrag.errors import ConfigError

DARK, LIGHT = "termrag-dark", "termrag-light"
ANSI = ("ansi-dark", "ansi-light")
_KEYS = [each.name for each in fields(Theme)]
_PLAIN: dict[str, type | tuple[type, ...]] = {
    "name": str,
    "dark": bool,
    "ansi": bool,
    "luminosity_spread": (int, float),
    "text_alpha": (int, float),
}


def shipped_folder() -> Path:
    """Where the themes of the package are: inside it when installed, beside `src` in a checkout."""
    inside = Path(__file__).parents[1] / "themes"
    return inside if inside.is_dir() else Path(__file__).parents[3] / "themes"


def load_themes(own_folder: Path) -> tuple[list[Theme], list[ConfigError]]:
    """Every theme, the user's own last, and what is wrong with the files that are none."""
    themes: dict[str, Theme] = {}
    wrong: list[ConfigError] = []
    for folder in (shipped_folder(), own_folder):
        for file in sorted(folder.glob("*.toml")):
            try:
                theme = read_theme(file)
            except ConfigError as error:
                wrong.append(error)
            else:
                themes[theme.name] = theme
    return list(themes.values()), wrong


def read_theme(file: Path) -> Theme:
    """One theme. Raises ConfigError naming the file and the key."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}", f"$EDITOR {file}") from error
    values.setdefault("name", file.stem)
    for key, value in values.items():
        _check(file, key, value)
    if "primary" not in values:
        raise ConfigError(f"{file}: primary is missing", f"$EDITOR {file}")
    return Theme(**values)


def _check(file: Path, key: str, value: Any) -> None:
    if key not in _KEYS:
        raise ConfigError(f"{file}: {key} is not a key of a theme", f"keys: {', '.join(_KEYS)}")
    if key == "variables" and not isinstance(value, dict):
        raise ConfigError(f"{file}: variables must be a table", f"$EDITOR {file}")
    if key in _PLAIN and not isinstance(value, _PLAIN[key]):
        raise ConfigError(f"{file}: {key} cannot be {value!r}", f"$EDITOR {file}")
    if key not in _PLAIN and key != "variables":
        try:
            Color.parse(value)
        except (ColorParseError, TypeError) as error:
            raise ConfigError(f"{file}: {key} is no colour: {value!r}", f"$EDITOR {file}") from error
