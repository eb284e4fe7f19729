"""Which key does what: every binding by its id, and the user's own wishes from keys.toml; opens no screen."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys

from termrag.errors import ConfigError

_PARTS = ("termrag.tui.app", "termrag.tui.screens", "termrag.tui.widgets")
_LEFT_TO_THE_APP = {"f6", "f7"}  # keys that a text area has other uses for, and the input has not
_SHOWN = {
    "enter": "Enter",
    "escape": "Esc",
    "tab": "Tab",
    "delete": "Del",
    "space": "Space",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "home": "Home",
    "end": "End",
    "ctrl+home": "^Home",
    "ctrl+end": "^End",
}
_MODIFIERS = ("ctrl", "shift", "alt", "super", "hyper", "meta")
_APP, _CHAT = "TermragApp", "ChatScreen"
_CHAT_PANES = ("Composer", "Transcript", "Sessions", "Sources")
_NAMES = {key.value for key in Keys} | {"space", "enter", "escape", "tab", "backspace"}


@dataclass(frozen=True, slots=True)
class Key:
    """A binding that has an id: what it is called, the keys it has at first, and the part of the app that it is of."""

    id: str
    keys: tuple[str, ...]
    description: str
    owner: str


def every_key() -> list[Key]:
    """All bindings with an id, in the order of their ids. Imports every screen."""
    found: dict[str, Key] = {}
    for owner in _owners():
        for binding in _bindings(owner):
            known = found.get(binding.id or "")
            keys = tuple(dict.fromkeys([*(known.keys if known else ()), *binding.key.split(",")]))
            if binding.id:
                place = known.owner if known else owner.__name__
                found[binding.id] = Key(binding.id, keys, binding.description, place)
    return [found[name] for name in sorted(found)]


def _owners() -> Iterator[type[DOMNode]]:
    import inspect
    import pkgutil

    modules = []
    for name in _PARTS:
        module = importlib.import_module(name)
        modules.append(module)
        inside = pkgutil.iter_modules(getattr(module, "__path__", []))
        modules += [importlib.import_module(f"{name}.{each.name}") for each in inside]
    for module in modules:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and issubclass(kind, DOMNode):
                yield kind


def _bindings(owner: type[DOMNode]) -> Iterator[Binding]:
    for binding in owner.__dict__.get("BINDINGS", ()):
        if isinstance(binding, Binding):
            yield binding


def in_words(key: str, usual: str) -> str:
    """A key as a screen shows it: `F1`, `Esc`, `^p`; `usual` is how Textual writes it."""
    if (key[:1] == "f" and key[1:].isdigit()) or (key.startswith("alt+") and len(key) == 5):
        return in_prose(key)
    return _SHOWN.get(key, usual)


def usual_key(name: str, owners: Iterable[type[DOMNode]]) -> str:
    """The keys of an action as the first owner that knows its id has them; the id itself if none does."""
    return next((each.key for owner in owners for each in _bindings(owner) if each.id == name), name)


def in_prose(key: str) -> str:
    """A key within a sentence: `F1`, `Esc`, `Ctrl+R`."""
    *modifiers, last = key.split("+")
    is_letter = len(last) == 1 and bool(modifiers)
    shown = last.upper() if is_letter or (last[:1] == "f" and last[1:].isdigit()) else _SHOWN.get(last, last)
    return "+".join([*(each.capitalize() for each in modifiers), shown])


def read_keys(file: Path) -> dict[str, str]:
    """The user's keys by id, as Textual's keymap wants them; empty without a file. Raises ConfigError."""
    if not file.exists():
        return {}
    mend = f"$EDITOR {file}"
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}", mend) from error
    keymap: dict[str, str] = {}
    for name, value in _flat(values):
        keys = [value] if isinstance(value, str) else value
        if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
            raise ConfigError(f'{file}: {name} must be a key or a list of keys, such as "f5" or ["f5", "ctrl+e"]', mend)
        keymap[name] = ",".join(part.strip() for key in keys for part in _split(key))
    return keymap


def _flat(table: dict[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    """`app.help = "f1"` and `[app]` with `help = "f1"` are the same in TOML, and mean the id `app.help`."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _split(keys: str) -> list[str]:
    return [keys] if keys == "," else [key for key in keys.split(",") if key.strip()]


def problems(keymap: dict[str, str], known: list[Key]) -> list[str]:
    """What is wrong with a keymap, one sentence each: unknown ids, keys that there are not, and clashes."""
    import difflib

    ids = {key.id: key for key in known}
    said: list[str] = []
    for name, keys in keymap.items():
        if name not in ids:
            near = difflib.get_close_matches(name, ids, n=1)
            said.append(f"there is no action {name}" + (f"; is {near[0]} meant?" if near else ""))
        said += [f"{name}: there is no key {key!r}" for key in keys.split(",") if not _is_key(key)]
    return said + _clashes(keymap, known) + _unheard(keymap, ids)


def _is_key(key: str) -> bool:
    *modifiers, last = key.split("+") if key != "+" else ["+"]
    named = last in _NAMES or key in _NAMES or len(last) == 1
    return all(each in _MODIFIERS for each in modifiers) and (named or _is_character(last))


def _is_character(name: str) -> bool:
    """Whether it is a sign's name as Textual spells it, such as question_mark."""
    import unicodedata

    from textual.keys import KEY_NAME_REPLACEMENTS

    names = {new: old for old, new in KEY_NAME_REPLACEMENTS.items()}
    try:
        unicodedata.lookup(names.get(name, name).replace("_", " ").upper())
    except KeyError:
        return False
    return True


def _clashes(keymap: dict[str, str], known: list[Key]) -> list[str]:
    """Keys that the user's wishes make do two things where both can be pressed: in one place, or in one around it."""
    said: list[str] = []
    at: dict[str, list[Key]] = {}
    for key in known:
        for pressed in keymap[key.id].split(",") if key.id in keymap else key.keys:
            others = [other for other in at.get(pressed, []) if _meet(key.owner, other.owner)]
            wished = [other for other in others if key.id in keymap or other.id in keymap]
            said += [f"{pressed} is the key of both {other.id} and {key.id}" for other in wished]
            at.setdefault(pressed, []).append(key)
    return said


def _unheard(keymap: dict[str, str], ids: dict[str, Key]) -> list[str]:
    """Wishes for the whole chat that its input would take for itself."""
    from textual.widgets import TextArea

    editing = {
        key for each in TextArea.BINDINGS if isinstance(each, Binding) for key in each.key.split(",")
    } - _LEFT_TO_THE_APP
    return [
        f"{key} edits text in the input, where {name} would not hear it"
        for name, keys in keymap.items()
        if name in ids and ids[name].owner in (_APP, _CHAT)
        for key in keys.split(",")
        if key in editing
    ]


def _meet(one: str, other: str) -> bool:
    return one == other or _APP in (one, other) or (_CHAT in (one, other) and {one, other} <= {_CHAT, *_CHAT_PANES})
