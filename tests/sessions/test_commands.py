"""`termrag sessions` and going on with a conversation: both streams and the exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "termrag", *arguments],
        capture_output=True,
        text=True,
        input="",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def ask(*arguments: str) -> str:
    """Ask the scripted engine, and return the session's id."""
    code, out, err = run("ask", *arguments, "--demo", "--general", "--json")
    assert code == 0, err
    session = json.loads(out)["session"]
    assert isinstance(session, str)
    return session


def test_a_question_is_kept_and_gone_on_with() -> None:
    first = ask("When does the ferry leave?")
    second = ask("-c", "And in winter?")
    by_prefix = ask("--cid", first[:6], "And at night?")
    assert {first} == {second, by_prefix}

    code, out, _ = run("sessions", "list", "--json")
    (listed,) = json.loads(out)
    assert (code, listed["title"], listed["turns"]) == (0, "When does the ferry leave?", 3)
    shown = run("sessions", "show", "last")[1]
    assert [line for line in shown.splitlines() if line.startswith("> ")] == [
        "> When does the ferry leave?", "> And in winter?", "> And at night?",
    ]  # fmt: skip


def test_what_is_not_to_be_kept_is_not() -> None:
    assert ask("When does the ferry leave?", "--no-save") == ""
    assert run("sessions", "list") == (0, "", "")


def test_a_conversation_is_renamed_found_removed_and_restored() -> None:
    session = ask("When does the ferry leave?")
    run("sessions", "rename", session[:5], "Timetables")
    assert "Timetables" in run("sessions", "search", "ferry")[1]
    code, out, err = run("sessions", "rm", "last")
    assert (code, out) == (0, "")
    assert f"termrag sessions restore {session[:8]}" in err
    assert run("sessions", "list")[1] == ""
    assert "Timetables" in run("sessions", "list", "--deleted")[1]
    run("sessions", "restore", session)
    assert "Timetables" in run("sessions", "list")[1]


def test_an_export_is_imported_under_an_id_of_its_own(tmp_path: Path) -> None:
    session = ask("When does the ferry leave?")
    file = tmp_path / "ferry.json"
    assert run("sessions", "export", session, "--format", "json", "-o", str(file))[0] == 0
    code, out, _ = run("sessions", "import", str(file))
    assert code == 0
    assert out.strip() != session
    assert len(json.loads(run("sessions", "list", "--json")[1])) == 2


def test_pruning_by_age_wants_to_be_sure() -> None:
    ask("When does the ferry leave?")
    assert run("sessions", "prune", "--older-than", "1h")[0] == 2
    assert run("sessions", "prune", "--older-than", "1h", "--yes")[0] == 0
    assert len(json.loads(run("sessions", "list", "--json")[1])) == 1
    assert run("sessions", "prune", "--older-than", "0h", "--yes")[0] == 0
    assert json.loads(run("sessions", "list", "--json")[1]) == []


@pytest.mark.parametrize(
    "arguments", [("sessions", "show", "last"), ("sessions", "rm", "abcd"), ("ask", "--cid", "abcd", "x", "--demo")]
)
def test_a_conversation_that_is_not_there_is_an_error_with_a_hint(arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert "there is no conversation" in err
    assert len(err.strip().splitlines()) == 2
