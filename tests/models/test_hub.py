"""Fetching from a model hub: whole, resumed, checked, never hanging."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from termrag.errors import ModelMissing, TermragError
from termrag.events import Downloading, Verified

LARGE = random.Random(7).randbytes(3_000_000)
FILES = {"config.json": b'{"model_type": "llama"}', "model.safetensors": LARGE}


def test_a_model_arrives_whole_and_is_where_locate_says(hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))

    events = list(shelf.pull("tiny", "mlx"))

    folder = shelf.locate("tiny", "mlx")
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert [event.file for event in events if isinstance(event, Verified)] == [*FILES, "tiny"]
    assert events[-2] == Verified("model.safetensors", str(folder.with_name(".mlx.staging") / "model.safetensors"))
    progress = [e for e in events if isinstance(e, Downloading) and e.file == "model.safetensors"]
    assert progress[-1].done_bytes == progress[-1].total_bytes == len(LARGE)
    assert [e.done_bytes for e in progress] == sorted(e.done_bytes for e in progress)


def test_a_model_that_is_here_is_not_fetched_again(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    list(shelf.pull("tiny", "mlx"))
    hub.requests.clear()

    assert [type(event) for event in shelf.pull("tiny", "mlx")] == [Verified]
    assert hub.requests == []


def test_a_broken_connection_goes_on_where_it_stopped(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    hub.cuts = [10_000_000, 1_500_000]  # config.json whole, then half of the weights

    list(shelf.pull("tiny", "mlx"))

    assert (shelf.locate("tiny", "mlx") / "model.safetensors").read_bytes() == LARGE
    (wanted,) = set(hub.ranges())
    assert 0 < int(wanted.removeprefix("bytes=").rstrip("-")) <= 1_500_000
    assert hub.sent_bytes < 1.2 * len(LARGE)


def test_a_stopped_pull_goes_on_the_next_time(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    with contextlib.closing(shelf.pull("tiny", "mlx")) as events:
        for event in events:
            if isinstance(event, Downloading) and event.done_bytes > 1_000_000:
                break
    with pytest.raises(ModelMissing):
        shelf.locate("tiny", "mlx")

    list(shelf.pull("tiny", "mlx"))

    assert (shelf.locate("tiny", "mlx") / "model.safetensors").read_bytes() == LARGE
    assert hub.ranges()


def test_what_an_earlier_pull_left_behind_is_not_published(hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    staging = shelf.folder / "tiny" / ".mlx.staging"
    (staging / "wheel").mkdir(parents=True)
    (staging / "model-00002.safetensors").write_bytes(b"of a former version")

    list(shelf.pull("tiny", "mlx"))

    assert {path.name for path in shelf.locate("tiny", "mlx").iterdir()} == {*FILES, ".termrag.json"}


def test_a_file_that_changed_meanwhile_starts_over(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    with contextlib.closing(shelf.pull("tiny", "mlx")) as events:
        next(event for event in events if isinstance(event, Downloading) and event.done_bytes > 1_000_000)
    hub.files["model.safetensors"] = changed = random.Random(8).randbytes(2_000_000)

    list(shelf.pull("tiny", "mlx"))

    assert (shelf.locate("tiny", "mlx") / "model.safetensors").read_bytes() == changed


def test_a_hub_without_ranges_starts_over(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    hub.has_ranges = False
    hub.cuts = [10_000_000, 1_500_000]

    list(shelf.pull("tiny", "mlx"))

    assert (shelf.locate("tiny", "mlx") / "model.safetensors").read_bytes() == LARGE


def test_a_busy_hub_is_tried_again(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    hub.statuses = [503]

    list(shelf.pull("tiny", "mlx"))

    assert shelf.info("tiny").is_here


def test_a_file_unlike_its_pinned_hash_is_refused(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES, pinned=set(FILES)))
    hub.files["model.safetensors"] = b"x" * len(LARGE)

    with pytest.raises(TermragError, match=r"model\.safetensors of acme/tiny has sha256 .* expected"):
        list(shelf.pull("tiny", "mlx"))

    assert not shelf.info("tiny").is_here
    assert not list(shelf.folder.rglob("*model.safetensors*"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_unlike_the_hash_that_the_hub_states_is_refused(hub, hub_model, hub_shelf, name):
    shelf = hub_shelf(hub_model(FILES))
    hub.stated[name] = ("0" * 64) if name in hub.large else ("0" * 40)

    with pytest.raises(TermragError, match="expected 0000"):
        list(shelf.pull("tiny", "mlx"))

    assert not shelf.info("tiny").is_here


def test_the_first_hash_of_an_unpinned_file_holds_until_the_model_is_removed(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES, pinned={"config.json"}))
    assert [(o.name, o.trust) for o in shelf.origins("tiny")] == [
        ("config.json", "pinned"),
        ("model.safetensors", "unknown"),
    ]
    list(shelf.pull("tiny", "mlx"))
    recorded = shelf.origins("tiny")[1]
    assert (recorded.trust, recorded.sha256) == ("recorded", hashlib.sha256(LARGE).hexdigest())

    shutil.rmtree(shelf.locate("tiny", "mlx"))
    hub.files["model.safetensors"] = b"y" * 2_000_000
    with pytest.raises(TermragError, match="expected " + recorded.sha256):
        list(shelf.pull("tiny", "mlx"))

    shelf.remove("tiny")
    list(shelf.pull("tiny", "mlx"))
    assert shelf.info("tiny").is_here


def test_all_files_come_from_one_commit_though_the_branch_moves(hub, hub_model, hub_shelf):
    list(hub_shelf(hub_model(FILES)).pull("tiny", "mlx"))

    asked = [path for path, _ in hub.gets("/resolve/")]

    assert asked == ["/acme/tiny/resolve/main/config.json", f"/acme/tiny/resolve/{'c' * 40}/model.safetensors"]


def test_the_token_goes_to_the_hub_and_not_to_its_storage(hub, hub_model, hub_shelf):
    list(hub_shelf(hub_model(FILES), environ={"HF_TOKEN": "secret"}).pull("tiny", "mlx"))

    assert all(headers["authorization"] == "Bearer secret" for _, headers in hub.gets("/resolve/"))
    assert [headers.get("authorization") for _, headers in hub.gets("/storage/")] == [None]


@pytest.mark.parametrize(
    ("status", "words", "hint"), [(401, "refuses", "HF_TOKEN"), (403, "refuses", "HF_TOKEN"), (404, "answers 404", "")]
)
def test_a_refusal_is_told_and_not_repeated(hub, hub_model, hub_shelf, status, words, hint):
    shelf = hub_shelf(hub_model(FILES))
    hub.statuses = [status] * 9

    with pytest.raises(ModelMissing, match=words) as caught:
        list(shelf.pull("tiny", "mlx"))

    assert hint in caught.value.hint
    assert len(hub.gets("/resolve/")) == 1


def test_a_hub_that_is_switched_off_is_not_asked(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES), environ={"HF_HUB_OFFLINE": "1"})

    with pytest.raises(ModelMissing, match="HF_HUB_OFFLINE"):
        list(shelf.pull("tiny", "mlx"))

    assert hub.requests == []


def test_an_absent_hub_is_known_within_seconds(hub_model, hub_shelf):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        shelf = hub_shelf(hub_model(FILES), environ={"HF_ENDPOINT": address})
        began = time.monotonic()

        with pytest.raises(ModelMissing, match="cannot be reached"):
            list(shelf.pull("tiny", "mlx"))

    assert time.monotonic() - began < 4.5


def test_a_hub_that_takes_the_connection_and_says_nothing_is_given_up(hub_model, hub_shelf):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        shelf = hub_shelf(hub_model(FILES), environ={"HF_ENDPOINT": address}, hub_timeout_s=0.5)
        began = time.monotonic()

        with pytest.raises(ModelMissing, match="cannot be reached"):
            list(shelf.pull("tiny", "mlx"))

    assert time.monotonic() - began < 3.0


def test_a_full_disk_is_told_with_numbers_before_anything_is_fetched(hub, hub_model, hub_shelf, tmp_path):
    model = hub_model(FILES)
    (source,) = model.sources
    huge = type(source.files[0])("model.safetensors", size_bytes=10**17)
    shelf = hub_shelf(type(model)("tiny", "chat", "mit", "", (type(source)("mlx", hub="acme/tiny", files=(huge,)),)))

    with pytest.raises(TermragError, match=r"not enough space in .*: 100000\.0 TB needed, .* free"):
        list(shelf.pull("tiny", "mlx"))

    assert hub.gets("/resolve/") == []


PULL = """
import json, pathlib, sys
from termrag.models import CatalogueModel, Shelf, Source, SourceFile
folder, url = sys.argv[1:]
files = (SourceFile("config.json"), SourceFile("model.safetensors"))
model = CatalogueModel("tiny", "chat", "mit", "", (Source("mlx", hub="acme/tiny", files=files),))
shelf = Shelf(pathlib.Path(folder), environ={"HF_ENDPOINT": url}, catalogue={"tiny": model})
for event in shelf.pull("tiny", "mlx"):
    print(json.dumps([type(event).__name__, getattr(event, "done_bytes", 0)]), flush=True)
"""


def _puller(folder: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PULL, str(folder), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_that_pull_one_model_fetch_it_once(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    hub.slow_s = 0.02

    pullers = [_puller(shelf.folder, hub.url) for _ in range(2)]
    outputs = [puller.communicate(timeout=60) for puller in pullers]

    assert [puller.returncode for puller in pullers] == [0, 0], outputs
    assert (shelf.locate("tiny", "mlx") / "model.safetensors").read_bytes() == LARGE
    assert len(hub.gets("/storage/")) == 1


def test_a_killed_pull_leaves_nothing_half_made(hub, hub_model, hub_shelf):
    shelf = hub_shelf(hub_model(FILES))
    hub.slow_s = 0.05
    with _puller(shelf.folder, hub.url) as puller:
        assert puller.stdout
        for line in puller.stdout:
            if json.loads(line)[1] > 1_000_000:
                os.kill(puller.pid, signal.SIGKILL)
                break
    assert not shelf.info("tiny").is_here
    hub.slow_s = 0.0

    list(shelf.pull("tiny", "mlx"))

    assert (shelf.locate("tiny", "mlx") / "model.safetensors").read_bytes() == LARGE
    assert hub.ranges()
