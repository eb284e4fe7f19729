"""Named libraries: where each keeps its documents, conversations and settings, and what is in force in it.

The library without a name, called `default`, is where it always was. A collection shares the models and the user's
settings; what its own file says is laid over them. It knows no store and no model.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from termrag.config import Config, from_environment, load_config, read_settings, write_setting
from termrag.errors import ConfigError, NotFound
from termrag.paths import Paths, default_paths

DEFAULT = "default"
ALL = "all"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
# What says where a library lies: never shared between two.
_PLACES = {"library": {"path"}, "lancedb": {"uri"}, "qdrant": {"collection"}}


@dataclass(frozen=True, slots=True)
class Collection:
    """`settings` is the file of its own settings, which need not be there."""

    name: str
    folder: str
    settings: str
    documents: int = 0
    chunks: int = 0
    is_chosen: bool = False


def names(paths: Paths) -> list[str]:
    """The default library and the named ones, by name."""
    folder = paths.collections
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
    return [DEFAULT, *(name for name in found if _NAME.fullmatch(name))]


def chosen(paths: Paths, wanted: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The names that are meant: those given, else TERMRAG_COLLECTION, else the setting, else the default; `all` means
    every one. Raises NotFound, with the list, for one that is not there."""
    given = list(wanted) or [name for name in re.split(r"[,\s]+", environ.get("TERMRAG_COLLECTION", "")) if name]
    if not given:
        given = [load_config(paths.config_file, environ).library.collection or DEFAULT]
    known = names(paths)
    expanded = [each for name in given for each in (known if name == ALL else [name])]
    for name in expanded:
        if name not in known:
            raise NotFound(
                f"there is no collection {name}; there are {', '.join(known)}", f"termrag collections create {name}"
            )
    return list(dict.fromkeys(expanded))


def paths_of(paths: Paths, name: str) -> Paths:
    """Where a collection keeps what is its own. Raises NotFound."""
    chosen(paths, [name], {})
    return paths if name == DEFAULT else paths.of_collection(name)


def load_settings(paths: Paths, environ: Mapping[str, str]) -> Config:
    """The settings in force in the library of these paths: the user's, then the collection's own, then the
    environment's; where a library lies is said by its own file alone. Raises ConfigError."""
    config = load_config(paths.config_file, environ)
    if not paths.collection:
        return config
    config = config.with_values(_own_places(config, paths.collection), "collection")
    if paths.settings_file.exists():
        config = config.with_values(read_settings(paths.settings_file), str(paths.settings_file))
    told = {
        section: {key: value for key, value in table.items() if key not in _PLACES.get(section, ())}
        for section, table in from_environment(environ).items()
    }
    return config.with_values(told, "environment")


def settings_of(
    names: Sequence[str], paths: Paths | None = None, environ: Mapping[str, str] | None = None
) -> tuple[Config, Paths, dict[str, tuple[Config, Paths]]]:
    """Settings and paths to open a façade with, for the named collections (none: the one that is meant), and those of
    each where there are several. Raises NotFound with the list, ConfigError."""
    base, environ = paths or default_paths(), os.environ if environ is None else environ
    wanted = chosen(base, names, environ)
    places = {name: paths_of(base, name) for name in wanted}
    found = {name: (load_settings(each, environ), each) for name, each in places.items()}
    if len(found) == 1:
        config, own = next(iter(found.values()))
        return config, own, {}
    return load_settings(base, environ), base, found


def _own_places(config: Config, name: str) -> dict[str, dict[str, Any]]:
    """Places of a collection's own, beside those that the user's settings name."""
    uri = config.lancedb.uri
    return {
        "library": {"path": "", "collection": ""},
        "lancedb": {"uri": f"{uri.rstrip('/')}/collections/{name}" if uri else ""},
        "qdrant": {"collection": f"{config.qdrant.collection}-{name}"},
    }


# --- made, renamed, removed ----------------------------------------------------------------------------------------


def create(paths: Paths, name: str) -> Paths:
    """Make an empty collection. Raises ConfigError for a name that cannot be one, or is one already."""
    _require_free(paths, name)
    made = paths.of_collection(name)
    made.data.mkdir(mode=0o700, parents=True)
    made.data.chmod(0o700)
    return made


def rename(paths: Paths, name: str, new_name: str) -> Paths:
    """Give a collection another name; what lies outside its folder stays where it is. Raises NotFound, ConfigError."""
    old = _named(paths, name)
    _require_free(paths, new_name)
    new = paths.of_collection(new_name)
    config, moved = load_settings(old, {}), load_settings(new, {})
    old.data.rename(new.data)
    if old.settings_file.exists():
        old.settings_file.rename(new.settings_file)
    if config.library.store == "lancedb" and config.lancedb.uri != moved.lancedb.uri:
        write_setting(new.settings_file, "lancedb", "uri", config.lancedb.uri)
    if config.library.store == "qdrant":
        write_setting(new.settings_file, "qdrant", "collection", config.qdrant.collection)
    return new


def forget(paths: Paths, name: str) -> None:
    """Delete a collection's folder and settings. Raises NotFound, ConfigError for the default library."""
    old = _named(paths, name)
    shutil.rmtree(old.data)
    old.settings_file.unlink(missing_ok=True)


def _named(paths: Paths, name: str) -> Paths:
    found = paths_of(paths, name)
    if not found.collection:
        raise ConfigError("the default library has no other name, and stays", "termrag collections list")
    return found


def _require_free(paths: Paths, name: str) -> None:
    if name in (ALL, DEFAULT) or not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a collection",
            "Small letters, digits, - and _, at most 40; not `all` or `default`.",
        )
    if name in names(paths):
        raise ConfigError(f"there is a collection {name} already", "termrag collections list")
