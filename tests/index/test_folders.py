"""Which files a walk finds, and what it says of the others."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from termrag.folders import Walk, walk


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    return root


def names(found: Walk, root: Path) -> set[str]:
    return {os.path.relpath(path, root) for path in found.files}


def test_every_file_below_is_found_with_its_stat(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "sub/b.md")
    found = walk([tmp_path])
    status = (tmp_path / "a.md").stat()
    file = found.files[str(tmp_path / "a.md")]
    assert (file.inode, file.device, file.size, file.modified_ns) == (
        status.st_ino, status.st_dev, 4, status.st_mtime_ns,
    )  # fmt: skip
    assert names(found, tmp_path) == {"a.md", "sub/b.md"}
    assert found.roots == [str(tmp_path)]


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({".gitignore": "*.log\n!keep.log\n"}, {"keep.log", "a.md", "build/x.md", "sub/a.md", "sub/build/y.md"}),
        ({".gitignore": "/build\n"}, {"a.md", "a.log", "keep.log", "sub/a.md", "sub/a.log", "sub/build/y.md"}),
        ({".gitignore": "build/\n"}, {"a.md", "a.log", "keep.log", "sub/a.md", "sub/a.log"}),
        ({".gitignore": "build/\n!build/x.md\n"}, {"a.md", "a.log", "keep.log", "sub/a.md", "sub/a.log"}),
        ({".gitignore": "sub/*.md\n"}, {"a.md", "a.log", "keep.log", "build/x.md", "sub/a.log", "sub/build/y.md"}),
        ({".gitignore": "*.md\n", "sub/.gitignore": "!a.md\n"}, {"a.log", "keep.log", "sub/a.md", "sub/a.log"}),
        ({".gitignore": "*\n!*.log\n"}, {"a.log", "keep.log"}),
        ({".gitignore": "*.log\n", ".termragignore": "!*.log\nsub\n"}, {"a.md", "a.log", "keep.log", "build/x.md"}),
        ({".gitignore": "# nothing\n\n[\n"}, {"a.md", "a.log", "keep.log", "build/x.md", "sub/a.md", "sub/a.log",
          "sub/build/y.md"}),
        ({"sub/.termragignore": "/a.*\n"}, {"a.md", "a.log", "keep.log", "build/x.md", "sub/build/y.md"}),
    ],
)  # fmt: skip
def test_ignore_files_hold_as_in_git(tmp_path: Path, rules: dict[str, str], kept: set[str]) -> None:
    make(tmp_path, "a.md", "a.log", "keep.log", "build/x.md", "sub/a.md", "sub/a.log", "sub/build/y.md")
    for name, text in rules.items():
        (tmp_path / name).write_text(text)
    assert names(walk([tmp_path]), tmp_path) == kept


def test_rules_of_the_repository_above_the_folder_hold(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.log", "sub/a.md", ".git/HEAD", "build/x.md")
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n")
    assert names(walk([tmp_path / "sub"]), tmp_path) == {"sub/a.md"}
    assert names(walk([tmp_path / "build"]), tmp_path) == {"build/x.md"}, "it was named"


def test_excluded_patterns_hold_against_negation(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "secret/b.md")
    (tmp_path / ".gitignore").write_text("!secret\n")
    assert names(walk([tmp_path], exclude=["secret/"]), tmp_path) == {"a.md"}


def test_hidden_names_are_left_out_unless_named(tmp_path: Path) -> None:
    make(tmp_path, "a.md", ".hidden.md", ".git/config.md", ".notes/b.md", ".notes/.c.md")
    assert names(walk([tmp_path]), tmp_path) == {"a.md"}
    assert names(walk([tmp_path / ".notes"]), tmp_path) == {".notes/b.md"}
    assert names(walk([tmp_path, tmp_path / ".notes", tmp_path / ".hidden.md"]), tmp_path) == {
        "a.md",
        ".notes/b.md",
        ".hidden.md",
    }


def test_a_file_named_explicitly_is_taken_though_it_is_ignored(tmp_path: Path) -> None:
    make(tmp_path, "a.log")
    (tmp_path / ".gitignore").write_text("*.log\n")
    found = walk([tmp_path / "a.log", tmp_path])
    assert found.files[str(tmp_path / "a.log")].explicit


def test_links_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "a/file.md", "b.md")
    make(tmp_path, "outside.md", "away/c.md")
    (root / "a" / "up").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "inside.md").symlink_to("b.md")
    (root / "out.md").symlink_to("../outside.md")
    (root / "away").symlink_to("../away")
    (root / "gone").symlink_to("nowhere")
    found = walk([root])
    assert names(found, root) == {"a/file.md", "b.md"}
    assert {(Path(path).name, reason) for path, reason in found.skipped} == {
        ("loop", "a link to itself"),
        ("out.md", "a link out of the folder"),
        ("away", "a link out of the folder"),
        ("gone", "a link to nothing"),
    }


def test_a_named_link_is_its_target(tmp_path: Path) -> None:
    root = make(tmp_path / "root", "a.md")
    (tmp_path / "link").symlink_to(root)
    (tmp_path / "file").symlink_to(root / "a.md")
    found = walk([tmp_path / "link", tmp_path / "file"])
    assert set(found.files) == {str(root / "a.md")}


def test_pipes_sockets_and_devices_are_named_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "door.md"))
        found = walk([tmp_path, tmp_path / "pipe.md", "/dev/null"])
    assert found.files == {}
    assert dict(found.skipped) == {
        str(tmp_path / "pipe.md"): "a named pipe",
        str(tmp_path / "door.md"): "a socket",
        str(tmp_path / "zero"): "a link out of the folder",
        "/dev/null": "a device",
    }


def test_names_keep_their_bytes(tmp_path: Path) -> None:
    odd = [
        b"\xff\xfe.txt", b"a\nb.txt", b"\x1b[31mred.txt", "e\u0301.md".encode(), "\u00e9.md".encode(),
        "invoice\u202efdp.exe".encode(), b"README.md", b"readme.md", b"x" * 255,
    ]  # fmt: skip
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_text("text")
    (tmp_path / os.fsdecode(b"dir\xff")).mkdir()
    (tmp_path / os.fsdecode(b"dir\xff") / "in.md").write_text("text")
    (tmp_path / ".gitignore").write_bytes(b"\xff\xfe.*\n")
    found = {os.fsencode(path).removeprefix(os.fsencode(tmp_path) + b"/") for path in walk([tmp_path]).files}
    assert found == {*odd[1:], b"dir\xff/in.md"}


def test_three_hundred_nested_folders_are_walked(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "a.md").write_text("text")
    assert len(walk([tmp_path]).files) == 1


def test_a_path_too_long_for_the_system_is_reported(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=here)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    found = walk([tmp_path])
    assert found.files == {}
    assert list(found.unreadable.values()) == ["File name too long"]


def test_what_cannot_be_looked_at_is_unreadable(tmp_path: Path) -> None:
    make(tmp_path, "a.md", "closed/b.md")
    found = walk([tmp_path / "nothing", tmp_path])
    assert found.unreadable == {str(tmp_path / "nothing"): "No such file or directory"}
    if os.geteuid() == 0:
        pytest.skip("root may read every folder")
    (tmp_path / "closed").chmod(0)
    found = walk([tmp_path])
    (tmp_path / "closed").chmod(0o700)
    assert found.unreadable == {str(tmp_path / "closed"): "Permission denied"}


def test_a_file_below_two_roots_is_found_once(tmp_path: Path) -> None:
    make(tmp_path, "sub/a.md", "b.md")
    found = walk([tmp_path, tmp_path / "sub", tmp_path / "sub" / "a.md"])
    assert names(found, tmp_path) == {"sub/a.md", "b.md"}


def test_a_hard_link_is_a_file_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "a.md")
    os.link(tmp_path / "a.md", tmp_path / "b.md")
    assert names(walk([tmp_path]), tmp_path) == {"a.md", "b.md"}
