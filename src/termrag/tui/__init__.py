"""The full-screen chat. `run` is its door; textual is imported when it is opened."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from termrag.config import Config
    from termrag.paths import Paths
    from termrag.rag import Rag


def run(config: Config, paths: Paths) -> None:
    """Open the chat on this terminal and return when the user leaves it."""
    from termrag.tui.background import is_light

    on_light = config.tui.theme == "auto" and is_light() is True
    from termrag.tui.app import TermragApp

    TermragApp(config, paths, _open_rag, on_light=on_light).run()


def _open_rag(config: Config, paths: Paths) -> Rag:
    if os.environ.get("TERMRAG_CHAT_HOST"):  # in a browser: the server that shows this app has the models
        from termrag.remote import attach

        if (attached := attach(config, paths)) is not None:
            return attached
    from termrag.rag import Rag

    return Rag(config, paths)
