"""Settings as a screen shows them: their groups, names, values, steps and explanations; changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from termrag.config import Config, Setting, all_settings, parse_setting
from termrag.tui.fuzzy import score

API_KEY = "openai.api_key"
THEME = "tui.theme"

# The groups in the order of use; a section that is not named here comes last under its own name.
_GROUPS = {
    "models": "Model",
    "generation": "Generation",
    "openai": "Connection",
    "retrieval": "Retrieval",
    "tui": "Appearance",
    "sessions": "Conversations",
    "documents": "Documents",
    "watch": "Watching",
    "library": "Library",
    "server": "Server",
}
_WORDS = {"openai": "remote", "url": "URL", "api": "API", "id": "ID", "mb": "(MB)", "s": "(s)", "jwt": "JWT"}
_STEPS = {"temperature": 0.1, "top_p": 0.05, "min_p": 0.05, "repetition_penalty": 0.05, "gate": 0.1}
_NOW = "In force from the next question on."
_LATER = {
    "server": "In force when the server starts the next time.",
    "watch": "In force for whatever watches from now on.",
    "tui": "In force at once.",
}
_LATER_KEYS = {
    "documents.chunk_tokens": "Documents that are indexed keep their chunks until: termrag add --rebuild",
    "models.embedding": "The library must be built anew for another embedding model: termrag add --rebuild",
    "library.path": "In force at once; the documents of the old folder stay there.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the screen: a setting, or the endpoint's key, which is none."""

    name: str
    label: str
    group: str
    doc: str
    setting: Setting | None = None

    @property
    def section(self) -> str:
        return self.name.partition(".")[0]


def rows() -> list[Row]:
    """Every row, group by group."""
    order = list(_GROUPS)
    known = [Row(each.name, _label(each.key), _group(each.section), each.doc, each) for each in all_settings()]
    doc = "Key of the remote endpoint, kept in a file that only you can read. TERMRAG_OPENAI_API_KEY goes before it."
    known.append(Row(API_KEY, "API key", _group("openai"), doc))
    place = {name: index for index, name in enumerate(order)}
    return sorted(known, key=lambda row: place.get(row.section, len(place)))


def fitting(query: str, every: list[Row]) -> list[Row]:
    """The rows whose name, group or explanation hold all words of the query, in their own order; where there are none,
    those whose name has its letters."""
    words = query.casefold().split()
    found = [
        row
        for row in every
        if all(word in f"{row.name} {row.label} {row.group} {row.doc}".casefold() for word in words)
    ]
    return found or [row for row in every if score(query, row.name) > 0]


def value_of(row: Row, config: Config) -> Any:
    """The value in force; None for the key."""
    return getattr(getattr(config, row.section), row.setting.key) if row.setting is not None else None


def shown(value: Any) -> str:
    """A value as it is read and typed."""
    match value:
        case bool():
            return "yes" if value else "no"
        case tuple():
            return ":".join(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def stepped(row: Row, value: Any, by: int) -> Any:
    """The next value up (1) or down (-1), within the range; the value itself where there are no steps."""
    setting = row.setting
    if setting is None:
        return value
    if setting.kind is bool:
        return not value
    if setting.one_of:
        names = setting.one_of
        return names[(names.index(value) + by) % len(names)]
    if setting.kind not in (int, float):
        return value
    # Whole numbers move by about a tenth of their size, so that a few presses go a long way.
    step = _STEPS.get(setting.key) or 10 ** max(len(str(int(abs(value)))) - 2, 0)
    moved = round(value + by * step, 6)
    moved = max(moved, setting.low) if setting.low is not None else moved
    moved = min(moved, setting.high) if setting.high is not None else moved
    return setting.kind(moved)


def parsed(row: Row, text: str) -> Any:
    """What was typed as a value of the setting's kind. Raises ConfigError."""
    words = {"on": "yes", "off": "no"}
    return parse_setting(row.name, words.get(text.strip().lower(), text.strip()))[2]


def range_of(setting: Setting) -> str:
    """What is allowed, in a few words; empty where anything is."""
    if setting.one_of:
        return ", ".join(each or "(empty)" for each in setting.one_of)
    if setting.kind is bool:
        return "yes or no"
    low, high = setting.low, setting.high
    if low is not None and high is not None:
        return f"{low:g} to {high:,.10g}"
    return f"{low:g} or more" if low is not None else ""


def when(row: Row) -> str:
    """From when on a change holds."""
    return _LATER_KEYS.get(row.name) or _LATER.get(row.section, _NOW)


def _group(section: str) -> str:
    return _GROUPS.get(section, section.capitalize())


def _label(key: str) -> str:
    words = [_WORDS.get(word, word) for word in key.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]
