"""The examples of docs/api.md do what the page says, against a running server."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from server.conftest import NOTE, Served

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
SHELL = re.findall(r"<!-- run: ([^\n]+) -->\n```sh\n(.+?)```", PAGE, re.DOTALL)
PYTHON = re.findall(r"<!-- python: ([^\n]+) -->\n```python\n(.+?)```", PAGE, re.DOTALL)
BASE = "http://127.0.0.1:8765"


def test_the_page_has_examples() -> None:
    assert len(SHELL) >= 7
    assert len(PYTHON) == 1
    assert PAGE.count("curl ") == sum(command.count("curl ") for _, command in SHELL)


async def run(command: list[str], served: Served, folder: Path) -> str:
    key = served.key("admin")["Authorization"].removeprefix("Bearer ")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, "KEY": key},
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.skipif(not shutil.which("curl"), reason="the examples call curl: apt-get install curl")
async def test_the_examples_for_the_shell_do_what_the_page_says(served: Served, tmp_path: Path) -> None:
    (tmp_path / "lamp.md").write_text(NOTE)
    for shows, command in SHELL:
        said = await run(["bash", "-euo", "pipefail", "-c", command.replace(BASE, served.url)], served, tmp_path)
        assert shows in said, (command, said)


async def test_the_example_for_python_does_what_the_page_says(served: Served, tmp_path: Path) -> None:
    for shows, code in PYTHON:
        program = f"import os\nKEY = os.environ['KEY']\n{code.replace(BASE, served.url)}"
        said = await run([sys.executable, "-c", program], served, tmp_path)
        assert shows in said
        assert "lamp.md" in said
