"""What to do about an error, as keys of the app; knows errors by their kind, never by their words."""

from __future__ import annotations

from collections.abc import Callable

from termrag.errors import (
    ConfigError,
    EngineFailed,
    LibraryBusy,
    ModelMissing,
    StoreBusy,
    StoreUnavailable,
    TermragError,
)


def remedy(error: TermragError, key: Callable[[str], str], *, asked: bool = False) -> str:
    """The next steps, one line each: keys first, then the error's own hint. `key` shows the key of an action by its id;
    `asked` says that a question waits for its answer."""
    again = f"{key('chat.regenerate')} asks again"
    match error:
        case ModelMissing():
            steps = [f"{key('app.models')} fetches or changes the model"]
        case EngineFailed() if "API_KEY" in error.hint:
            steps = [f"{key('app.settings')} Connection: the API key"]
        case EngineFailed():
            steps = [f"{key('app.settings')} connection", f"{key('app.models')} another model"]
        case LibraryBusy() | StoreBusy():
            steps = [f"{again} in a moment"] if asked else ["Try again in a moment."]
        case ConfigError():
            steps = [f"{key('app.settings')} settings"]
        case _:
            steps = []
    if asked and not isinstance(error, LibraryBusy | StoreBusy) and not isinstance(error, StoreUnavailable):
        steps.insert(0, again)
    return "\n".join(each for each in (" · ".join(steps), error.hint) if each)
