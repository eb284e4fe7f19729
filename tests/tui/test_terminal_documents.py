"""Documents in a real terminal: two quoted paths are pasted, shown, added, listed, removed and brought back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.test_terminal import Terminal, terminal  # noqa: F401


@pytest.mark.model
def test_two_files_dropped_in_a_terminal_become_documents(terminal: Terminal, tmp_path: Path) -> None:  # noqa: F811
    for name in ("two words.md", "it's.md"):
        (tmp_path / name).write_text(f"# {name}\n\nThe lighthouse was built in 1887.\n")
    terminal.run()
    terminal.wait("Nothing is indexed yet")
    quoted = f"'{tmp_path}/two words.md' '{tmp_path}/it'\\''s.md' "
    terminal._do("set-buffer", quoted)
    terminal._do("paste-buffer", "-p", "-r")
    offered = terminal.wait("2 files: 2 to read")
    assert "chosen  two words.md, it's.md" in offered
    terminal.keys("Enter")
    terminal.wait("2 files added")
    terminal.keys("C-o")
    listed = terminal.wait("it's.md")
    assert "two words.md" in listed
    terminal.wait("ready")
    terminal.keys("Space", "Space", "d")
    terminal.wait("No documents yet")
    terminal.keys("u")
    terminal.wait("✓ two words.md")
    terminal.keys("Escape")
    terminal.wait("2 documents are indexed")
    terminal.keys("C-q")
    terminal.wait("ended with 0")
