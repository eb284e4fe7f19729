"""Collections, and the index as a whole, from the command line: exact streams and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cli.conftest import Ran
from libraries.conftest import Open

Run = Callable[..., Ran]


async def test_collections_from_the_command_line(filled: Open, termrag: Run, tmp_path: Path) -> None:
    listed = json.loads(termrag("collections", "list", "--json").out)
    assert [(each["name"], each["documents"]) for each in listed] == [("default", 1), ("home", 1), ("work", 2)]
    found = json.loads(termrag("-C", "work", "-C", "home", "search", "rent euros", "--json").out)
    assert {each["collection"] for each in found} == {"work", "home"}
    shown = termrag("-C", "all", "search", "rope metres", "-n", "1")
    assert shown.code == 0 and shown.out.startswith("1. work: rope.md:")
    answered = termrag("-C", "all", "ask", "What is the rent of the flat?", "--no-save")
    assert "[1] home: rent.md:3" in answered.err or "home: rent.md:3" in answered.err
    assert termrag("ls", TERMRAG_COLLECTION="home").out.splitlines() == [str(tmp_path / "notes" / "home" / "rent.md")]
    two = termrag("-C", "work", "-C", "home", "ls")
    assert two.code == 2 and "takes one collection" in two.err
    unknown = termrag("-C", "office", "status")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.splitlines() == [
        "termrag: there is no collection office; there are default, home, work",
        "hint: termrag collections create office",
    ]
    assert termrag("--library", "x", "-C", "work", "ls").code == 2
    assert termrag("-C", "work", "config", "set", "retrieval.passages", "6").code == 0
    assert termrag("-C", "work", "config", "path").out.strip().endswith("collections/work.toml")
    assert json.loads(termrag("-C", "work", "config", "show", "--json").out)["retrieval"]["passages"] == 6
    assert json.loads(termrag("config", "show", "--json").out)["retrieval"]["passages"] == 4
    unit = termrag("-C", "work", "watch", "install", "--print").out
    assert "-C work watch" in unit or "<string>work</string>" in unit
    completed = termrag(_TERMRAG_COMPLETE="bash_complete", COMP_WORDS="termrag -C w", COMP_CWORD="2").out
    assert "plain,work" in completed


async def test_the_index_from_the_command_line(filled: Open, termrag: Run, tmp_path: Path) -> None:
    stats = json.loads(termrag("-C", "work", "index", "stats", "--json").out)
    assert (stats["documents"], stats["stored_documents"], stats["dimension"]) == (2, 2, 32)
    assert termrag("-C", "work", "index", "optimize").code == 0
    backup = termrag("-C", "work", "index", "backup", str(tmp_path / "set"))
    assert (backup.code, backup.out) == (0, "") and "2 documents, 2 chunks" in backup.err
    again = termrag("-C", "work", "index", "backup", str(tmp_path / "set"))
    assert again.code == 2 and "is not empty" in again.err
    refused = termrag("-C", "work", "index", "restore", str(tmp_path / "set"))
    assert refused.code == 2 and "--yes" in refused.err
    assert termrag("-C", "work", "index", "restore", str(tmp_path / "set"), "--yes").code == 0
    assert termrag("-C", "work", "index", "export", str(tmp_path / "out"), "--json").code == 0
    assert termrag("collections", "create", "copy").code == 0
    copied = json.loads(termrag("-C", "copy", "index", "import", str(tmp_path / "out"), "--json").out)
    assert (copied["documents"], copied["chunks"]) == (2, 2)
    assert termrag("-C", "copy", "search", "rope").code == 0
    moved = termrag("-C", "copy", "index", "migrate", "--to", str(tmp_path / "bucket"))
    assert moved.code == 0 and "stays in" in moved.err
    assert termrag("-C", "copy", "search", "rope").code == 0
    verified = termrag("-C", "copy", "index", "verify")
    assert (verified.code, verified.out) == (0, "") and "0 problems, recall@10 1.000" in verified.err
    (tmp_path / "notes" / "work" / "rope.md").unlink()
    shutil.rmtree(tmp_path / "bucket" / "chunks.lance")
    broken = termrag("-C", "copy", "index", "verify")
    assert broken.code == 5 and broken.err.startswith("termrag: ")
    rebuilt = termrag("-C", "work", "index", "rebuild", "--json")
    assert json.loads(rebuilt.out)["indexed"] == 1
    assert termrag("-C", "work", "index", "verify", "--json").code == 0


async def test_ctrl_c_ends_a_copy_cleanly(filled: Open, tmp_path: Path, home: Path) -> None:
    """Interrupted while it waits for the writer lock: exit code 130, nothing left behind, no traceback."""
    from termrag.ledger import Ledger

    with Ledger(home / "data" / "library") as ledger, ledger.lock():
        process = subprocess.Popen(
            [sys.executable, "-m", "termrag", "index", "backup", str(tmp_path / "set")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
        )  # fmt: skip
        while not (tmp_path / "set").exists() and process.poll() is None:
            os.sched_yield()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "") and "Traceback" not in err
