"""What terminals paste for dropped files is read as paths; prose is left alone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from termrag.tui.dropped import dropped_paths, may_be_paths, quoted

NAMES = (
    "plain.md",
    "two words.md",
    "it's.md",
    'say "hi".md',
    "back\\slash.md",
    "100%25.md",
    "日本 語.md",
    "new\nline.md",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "My Files"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text("x")
    return folder


# (what is pasted, the names it stands for); D is the folder, E the folder with its spaces escaped, U as an address.
CASES = [
    ("D/plain.md", ["plain.md"]),  # bare, with a space in the folder
    ("D/plain.md\n", ["plain.md"]),
    ("D/plain.md ", ["plain.md"]),  # some leave a space behind
    ("'D/two words.md'", ["two words.md"]),  # VTE
    ("'D/it'\\''s.md' ", ["it's.md"]),  # VTE, a quote in the name
    ("'D/plain.md' 'D/two words.md'", ["plain.md", "two words.md"]),
    ('"D/plain.md" "D/two words.md"', ["plain.md", "two words.md"]),  # Windows Terminal
    ('"D/say \\"hi\\".md"', ['say "hi".md']),
    ("E/plain.md E/two\\ words.md", ["plain.md", "two words.md"]),  # iTerm2, Terminal
    ("E/it\\'s.md", ["it's.md"]),
    ("E/back\\\\slash.md", ["back\\slash.md"]),
    ("D/back\\slash.md", ["back\\slash.md"]),  # bare: a backslash is a backslash
    ("D/it's.md", ["it's.md"]),  # bare: a quote that is never closed
    ("D/plain.md\nD/two words.md", ["plain.md", "two words.md"]),  # kitty, WezTerm
    ("D/plain.md\r\nD/two words.md\r\n", ["plain.md", "two words.md"]),
    ("D/plain.md\rD/it's.md\r", ["plain.md", "it's.md"]),
    ("D/two words.md D/plain.md", ["two words.md", "plain.md"]),  # bare, one line
    ("file://U/two%20words.md", ["two words.md"]),
    ("file://localhostU/plain.md", ["plain.md"]),
    ("FILE://U/100%2525.md", ["100%25.md"]),
    ("D/100%25.md", ["100%25.md"]),  # bare: no escapes
    ("file://U/plain.md\r\nfile://U/it%27s.md\r\n", ["plain.md", "it's.md"]),  # text/uri-list
    ("# dropped\nfile://U/plain.md", []),  # nothing that begins with a comment is a drop
    ("file://U/plain.md file://U/two%20words.md", ["plain.md", "two words.md"]),
    ("'file://U/plain.md'", ["plain.md"]),
    ("file://U/%E6%97%A5%E6%9C%AC%20%E8%AA%9E.md", ["日本 語.md"]),
    ("'D/日本 語.md'", ["日本 語.md"]),
    ("'D/new\nline.md' 'D/plain.md'", ["new\nline.md", "plain.md"]),
    ("D/new\nline.md", ["new\nline.md"]),
    ("'D/plain.md' 'D/plain.md'", ["plain.md"]),  # twice the same is once
    ("'D'", [""]),  # a folder
    ("D/", [""]),
    # What is no drop.
    ("Please read D/plain.md and tell me", []),
    ("D/plain.md is what I mean", []),
    ("'D/plain.md' says so", []),
    ("'quoted' words", []),
    ("'D/plain.md' D/missing.md", []),
    ("D/missing.md", []),
    ("/help", []),
    ("/", []),
    ("~", []),
    ("plain.md", []),
    ("", []),
    ("'", []),
    ("\n\n", []),
    ("D/plain.md\nand a line of prose", []),
    ("file://elsewhere.example.org/etc/passwd", []),
    ("file://U/nul%00.md", []),
    ("/nul\0.md", []),
    ("/" + "x" * 100_000, []),
]


@pytest.mark.parametrize(("pasted", "names"), CASES)
def test_a_paste_is_paths_or_text(folder: Path, pasted: str, names: list[str]):
    text = pasted.replace("D", str(folder)) if "D" in pasted else pasted
    text = text.replace("E/", str(folder).replace(" ", "\\ ") + "/") if "E/" in text else text
    text = text.replace("U/", quote(str(folder)) + "/")
    assert dropped_paths(text) == [str(folder / name) for name in names]


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "notes.md").write_text("x")
    assert dropped_paths("~/notes.md") == [str(tmp_path / "notes.md")]


def test_bytes_that_are_no_text_come_through_an_address(tmp_path: Path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.md"
    Path(os.fsdecode(path)).write_text("x")
    assert dropped_paths(f"file://{quote(str(tmp_path))}/caf%E9.md") == [os.fsdecode(path)]


@pytest.mark.parametrize("name", NAMES)
def test_a_quoted_path_is_read_back(folder: Path, name: str):
    assert dropped_paths(quoted(str(folder / name))) == [str(folder / name)]


@pytest.mark.parametrize("form", ["quoted", "escaped", "lines", "addresses", "bare"])
def test_a_thousand_dropped_files_are_read_at_once(tmp_path: Path, form: str):
    paths = [tmp_path / f"document number {n}.md" for n in range(1000)]
    for path in paths:
        path.touch()
    write = {
        "quoted": lambda path: f"'{path}'",
        "escaped": lambda path: str(path).replace(" ", "\\ "),
        "addresses": lambda path: f"file://{quote(str(path))}",
    }.get(form, str)
    text = ("\n" if form == "lines" else " ").join(map(write, paths))
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        found = dropped_paths(text)
        taken.append(time.perf_counter() - begun)
    assert found == list(map(str, paths))
    assert min(taken) < 0.2


def test_a_long_text_that_begins_like_a_path_is_told_apart_at_once():
    begun = time.perf_counter()
    assert dropped_paths("/etc " + "word 'quoted \\ and \" not " * 40_000) == []
    assert time.perf_counter() - begun < 1
    assert not may_be_paths("what is in /etc")
