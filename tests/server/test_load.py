"""A few seconds of what bench/load.py does for ten minutes: many users, a server of its own, then a rush."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from embedding_endpoint import Endpoint

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from load import prepared, report, trial


async def test_many_users_meet_no_error_and_too_many_are_turned_away(endpoint: Endpoint) -> None:
    models = {"embedding": "openai:tiny", "url": endpoint.url}
    # The name of a Unix socket may have about a hundred signs.
    with tempfile.TemporaryDirectory(prefix="tr-") as folder:
        server = {"concurrent": 2, "queue": 4, "queue_s": 100.0}
        async with prepared(Path(folder), models, server, documents=Path(__file__)) as running:
            everyday, rush = await trial(running, users=12, seconds=3.0, think_s=0.5)
    found = report(everyday, rush)
    assert (found["errors"], found["broken"]) == (0, {}), found
    assert set(found["rush"]) == {"200", "429"}
    assert {"ask", "search", "upload", "index"} >= {what for what, _ in everyday.statuses}
    assert everyday.seconds["search"]
