"""Where termrag's folders are when nothing names them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from termrag.paths import default_paths

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")


@pytest.fixture
def login(tmp_path, monkeypatch) -> Path:
    """What the login has made for its runtime files."""
    monkeypatch.delenv("TERMRAG_HOME", raising=False)
    folder = tmp_path / "login"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


def test_the_host_listens_in_the_folder_of_the_login(login):
    assert default_paths().host_socket == login / "termrag" / "server.sock"


def test_a_folder_that_others_may_enter_is_passed_over(login):
    login.chmod(0o755)
    assert not default_paths().runtime.is_relative_to(login)


def test_a_link_is_passed_over_wherever_it_leads(login, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(login)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "link"))
    assert not default_paths().runtime.is_relative_to(tmp_path / "link")


def test_without_a_login_nothing_is_said_and_nothing_lies_in_a_folder_of_everybody(tmp_path):
    """As in a container or under cron."""
    code = "from termrag.paths import default_paths; print(default_paths().runtime)"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": "/nowhere"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    assert Path(ran.stdout.strip()).is_relative_to(tmp_path) or ran.stdout.startswith("/run/user/")
