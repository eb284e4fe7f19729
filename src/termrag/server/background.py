"""A server that goes on when its terminal is closed: started, and waited for until it answers. Knows no aiohttp."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from termrag.errors import HostLost

_LAST_LINES = 5


def start(command: Sequence[str], log_file: Path, timeout_s: float) -> dict[str, Any]:
    """Run `python COMMAND --ready-fd N` on its own, with its output in `log_file`, and return what it says of itself
    once it answers. Raises HostLost with the last of its log if it ends before, or is not ready in time."""
    log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with (
        os.fdopen(os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log,
        os.fdopen(reading) as said,
    ):
        begun = log.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            [sys.executable, *command, "--ready-fd", str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        with selectors.DefaultSelector() as selector:
            selector.register(said, selectors.EVENT_READ)
            line = said.readline() if selector.select(timeout_s) else ""
    if line:
        found = json.loads(line)
        assert isinstance(found, dict)
        return found
    process.terminate()
    process.wait()
    with log_file.open("rb") as log:
        log.seek(begun)
        last = log.read().decode("utf-8", "replace").splitlines()[-_LAST_LINES:]
    raise HostLost("the server did not start:\n" + "\n".join(f"  {each}" for each in last), f"less {log_file}")


def tell_ready(descriptor: int, address: str) -> None:
    """Say to whoever waits that this process answers now."""
    with os.fdopen(descriptor, "w") as out:
        out.write(json.dumps({"pid": os.getpid(), "address": address}) + "\n")
