"""Promises that execute: public names, documented commands, cheap imports."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import termrag
from termrag.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_public_name_resolves():
    assert [name for name in termrag.__all__ if getattr(termrag, name, None) is None] == []


def test_importing_termrag_imports_nothing_heavy():
    code = (
        "import sys, termrag; print(sorted(m for m in sys.modules if m.split('.')[0] not in sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign = {name.split(".")[0] for name in eval(done.stdout)}
    assert {"termrag"} <= foreign
    assert foreign.isdisjoint({"click", "numpy", "lancedb", "onnxruntime", "httpx", "textual", "aiohttp"})


def test_every_command_that_the_readme_shows_exists():
    code = re.findall(r"```\w*\n(.*?)```", README, re.DOTALL) + re.findall(r"`([^`\n]+)`", README)
    shown = {word for text in code for word in re.findall(r"termrag ([a-z]+)\b", text)}
    assert shown <= set(COMMANDS)
    assert {"ask", "add", "search", "models"} <= shown


def test_the_readme_gives_two_commands_of_one_line_each():
    commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*)\n```", README)
    assert [name for name, _ in commands] == ["start", "test"]


def test_every_link_of_the_readme_leads_somewhere():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_setting_can_be_set_from_the_environment(tmp_path):
    from termrag.config import load_config, setting_docs

    environ = {
        f"TERMRAG_{section}_{key}".upper(): ":".join(default) if isinstance(default, tuple) else str(default)
        for section, key, default, _ in setting_docs()
    }
    assert load_config(tmp_path / "none.toml", environ) == load_config(tmp_path / "none.toml", {})
