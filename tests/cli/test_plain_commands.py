"""Commands that need neither model nor index: exact streams, exit codes, and what they must not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from termrag import __version__
from termrag.cli import COMMANDS


def test_version_goes_to_stdout_alone(termrag):
    ran = termrag("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"termrag {__version__}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(termrag, command):
    ran = termrag(command, "--help")
    assert ran.code == 0
    assert "Example" in ran.out
    assert ran.err == ""


def test_help_lists_every_command(termrag):
    ran = termrag("--help")
    assert ran.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in ran.out] == []


def test_a_question_may_not_be_empty(termrag):
    ran = termrag("ask")
    assert ran.code == 2
    assert ran.out == ""
    assert "No question" in ran.err


def test_an_unknown_option_is_a_usage_error(termrag):
    ran = termrag("ls", "--colour")
    assert (ran.code, ran.out) == (2, "")
    assert "--colour" in ran.err


def test_listing_an_empty_library_says_nothing_and_succeeds(termrag):
    ran = termrag("ls")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_listing_an_empty_library_as_json_is_an_empty_list(termrag):
    assert json.loads(termrag("ls", "--json").out) == []


def test_an_unknown_document_is_named_with_a_remedy(termrag):
    ran = termrag("get", "nothing.md")
    assert (ran.code, ran.out) == (1, "")
    error, hint = ran.err.splitlines()
    assert error.startswith("termrag: ") and "nothing.md" in error
    assert hint.startswith("hint: ")


def test_settings_are_written_shown_and_kept_with_their_comments(termrag, home: Path):
    file = home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\n[generation]\ntemperature = 0.5  # warm\n")
    assert termrag("config", "set", "generation.max_tokens", "99").code == 0
    text = file.read_text()
    assert "# mine" in text and "# warm" in text and "max_tokens = 99" in text
    shown = json.loads(termrag("config", "show", "--json").out)
    assert shown["generation"]["temperature"] == 0.5
    assert shown["generation"]["max_tokens"] == 99


def test_the_environment_overrides_the_file(termrag):
    shown = termrag("config", "show", "--json", TERMRAG_GENERATION_TEMPERATURE="0.7")
    assert json.loads(shown.out)["generation"]["temperature"] == 0.7


@pytest.mark.parametrize(
    ("setting", "value", "word"),
    [
        ("generation.temprature", "1", "temprature"),
        ("generation.temperature", "hot", "hot"),
        ("generation.temperature", "9", "at most 5"),
        ("models.engine", "abacus", "one of"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(termrag, home: Path, setting, value, word):
    ran = termrag("config", "set", setting, value)
    assert (ran.code, ran.out) == (2, "")
    assert word in ran.err
    assert not (home / "config" / "config.toml").exists()


def test_a_key_in_the_environment_is_never_shown(termrag):
    ran = termrag("config", "show", TERMRAG_OPENAI_API_KEY="sk-very-secret")
    assert "sk-very-secret" not in ran.out + ran.err
    assert "masked" in ran.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(termrag, shell):
    ran = termrag("completions", shell)
    assert ran.code == 0
    assert "_TERMRAG_COMPLETE" in ran.out


def test_completion_offers_commands(termrag):
    ran = termrag(_TERMRAG_COMPLETE="bash_complete", COMP_WORDS="termrag st", COMP_CWORD="1")
    assert "plain,status" in ran.out.splitlines(), ran.err


HEAVY = ("lancedb", "numpy", "pyarrow", "onnxruntime", "mlx", "xllamacpp", "textual", "markitdown", "httpx", "asyncio")


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--version"], ()),
        (["--help"], ()),
        (["ls"], ("asyncio",)),
        (["status"], ("asyncio",)),
        (["config", "show"], ()),
        (["models", "list"], ("asyncio",)),
        (["completions", "bash"], ("asyncio",)),
    ],
)
def test_light_commands_import_nothing_heavy(home: Path, arguments, allowed):
    code = (
        "import sys, os\n"
        "import termrag.cli.output as output\n"
        "sys.argv = ['termrag', *sys.argv[1:]]\n"
        "from termrag.cli import cli\n"
        "output._run(cli)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"TERMRAG_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(eval(done.stderr.splitlines()[-1]))
    assert imported - set(allowed) == set()


def test_a_reader_that_closes_the_pipe_early_ends_the_output_quietly(home: Path):
    script = f"{sys.executable} -m termrag config show | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"],
        env={"TERMRAG_HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr and "BrokenPipe" not in done.stderr


def test_the_catalogue_says_what_is_pinned(termrag):
    listed = json.loads(termrag("models", "list", "--json").out)
    assert {"llama-3.2-1b", "smollm2-135m", "all-minilm-l6-v2"} <= {model["name"] for model in listed}
    assert not any(model["is_here"] for model in listed)
    shown = json.loads(termrag("models", "show", "llama-3.2-1b", "--json").out)
    assert shown["licence"] == "llama3.2"
    assert {"mlx", "llamacpp"} == set(shown["engines"])
    assert all(origin["trust"] == "pinned" for origin in shown["origins"])


def test_a_model_is_chosen_in_the_configuration_file(termrag, home: Path):
    ran = termrag("models", "use", "smollm2-135m", "--json")
    assert ran.code == 0
    assert json.loads(ran.out)["active"] is True
    assert 'chat = "smollm2-135m"' in (home / "config" / "config.toml").read_text()


def test_an_unknown_model_is_refused_with_the_command_that_lists_them(termrag):
    for command in (("use", "gpt-99"), ("show", "gpt-99"), ("pull", "gpt-99"), ("rm", "gpt-99")):
        ran = termrag("models", *command)
        assert (ran.code, ran.out) == (1, "")
        assert "termrag models list" in ran.err


def test_asking_an_empty_library_says_how_to_fill_it(termrag):
    ran = termrag("ask", "When does the ferry leave?")
    assert (ran.code, ran.out) == (5, "")
    assert "hint: termrag" in ran.err


def test_adding_a_path_that_is_not_there_fails_and_says_so(termrag, tmp_path: Path):
    ran = termrag("add", str(tmp_path / "no-such-folder"))
    assert (ran.code, ran.out) == (1, "")
    assert "no-such-folder" in ran.err
