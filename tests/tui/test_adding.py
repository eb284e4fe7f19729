"""Adding: what would be read is shown before anything is; paths are typed, completed, dropped, taken from a tree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from textual.events import Paste
from textual.widgets import Checkbox, Static

from termrag.candidates import Fate, FolderEntry
from termrag.records import DocumentState
from termrag.tui.choosing import Chosen, completed, given_path, patterns
from termrag.tui.screens.add import AddScreen
from termrag.tui.screens.documents import DocumentsScreen
from termrag.tui.widgets.paths import FileTree, PathInput

SIZES = [(60, 20), (80, 24), (120, 40)]


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    (folder / "sub").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    (folder / "build").mkdir()
    (folder / ".gitignore").write_text("build/\n*.tmp\n")
    (folder / "build" / "out.md").write_text("left out")
    (folder / ".hidden" / "secret.md").write_text("left out")
    (folder / "one.md").write_text("The first paper is about the tide.")
    (folder / "two.txt").write_text("The second paper is about the lamp.")
    (folder / "sub" / "three.md").write_text("The third paper is about bread.")
    (folder / "photo.heic").write_bytes(b"\0" * 100)
    (folder / "empty.md").touch()
    (folder / "draft.tmp").write_text("left out")
    return folder


async def dialog(chat: Any) -> AddScreen:
    await chat.press("ctrl+o")
    await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))
    await chat.press("a")
    await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
    return chat.app.screen


def typed(chat: Any, text: object) -> None:
    path = chat.app.screen.query_one(PathInput)
    path.value = str(text)
    path.cursor_position = len(path.value)


def summary(screen: AddScreen) -> str:
    return str(screen.query_one("#add-summary", Static).visual)


async def looked(chat: Any, screen: AddScreen) -> str:
    await chat.until(lambda: screen.preview is not None)
    return summary(screen)


def names(paths: Iterable[str]) -> set[str]:
    return {Path(path).name for path in paths}


async def library(chat: Any) -> set[str]:
    """The names of what is indexed."""
    return names(each.path for each in await chat.app.rag.documents() if each.state is DocumentState.INDEXED)


async def idle(chat: Any) -> None:
    await chat.until(lambda: not chat.app.ingesting.is_busy)


# --- before anything is read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_what_would_be_read_is_shown_first(open_chat: Any, papers: Path, size: tuple[int, int]):
    async with open_chat(library=False, size=size) as chat:
        screen = await dialog(chat)
        typed(chat, papers)
        said = await looked(chat, screen)
        assert "5 files: 3 to read" in said
        assert "2 md" in said
        assert "1 txt" in said
        assert "1 not a readable type: 1 heic" in said
        assert "1 empty" in said
        assert "Enter adds 3 files" in str(screen.query_one("#add-dialog").border_subtitle)
        assert not await chat.app.rag.documents()
        for selector in ("#add-path", "#add-tree", "#add-preview", "#add-options"):
            region = screen.query_one(selector).region
            assert region.height >= 1
            assert screen.region.contains_region(region)
        await chat.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))
        await idle(chat)
        assert await library(chat) == {"one.md", "two.txt", "three.md"}


async def test_what_is_in_already_is_not_added_again(open_chat: Any, notes: Path):
    async with open_chat() as chat:
        screen = await dialog(chat)
        typed(chat, notes)
        await looked(chat, screen)
        assert {each.fate for each in screen.preview.files} == {Fate.KNOWN}
        assert "3 already in" in summary(screen)
        await chat.press("enter")
        await chat.until(lambda: any("nothing to read" in toast for toast in chat.toasts))


async def test_a_path_that_is_not_there_says_so(open_chat: Any, tmp_path: Path):
    async with open_chat() as chat:
        screen = await dialog(chat)
        typed(chat, tmp_path / "missing")
        assert "No such file" in await looked(chat, screen)


async def test_enter_without_a_choice_says_so_and_escape_adds_nothing(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        await dialog(chat)
        await chat.press("enter")
        await chat.until(lambda: any("nothing is chosen" in toast for toast in chat.toasts))
        typed(chat, papers)
        await chat.press("escape")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))
        assert not chat.app.ingesting.is_busy
        assert not await chat.app.rag.documents()


async def test_sub_folders_can_be_left_out(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        screen = await dialog(chat)
        typed(chat, papers)
        await looked(chat, screen)
        await chat.press("alt+s")
        await chat.until(lambda: screen.preview is not None and "2 to read" in summary(screen))
        await chat.press("enter")
        await idle(chat)
        assert await library(chat) == {"one.md", "two.txt"}
        async for _ in chat.app.rag.sync():
            pass
        assert await library(chat) == {"one.md", "two.txt"}


async def test_a_folder_can_be_watched_without_what_was_left_out(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        screen = await dialog(chat)
        typed(chat, papers)
        await looked(chat, screen)
        await chat.press("alt+w")
        assert screen.query_one("#add-watch", Checkbox).value
        screen.on_file_tree_chosen(FileTree.Chosen(str(papers / "two.txt")))
        await chat.until(lambda: "1 left out by you" in summary(screen))
        await chat.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))
        await idle(chat)
        watched = await chat.app.rag.watched()
        assert [(each.path, each.exclude) for each in watched] == [(str(papers), ("/two.txt",))]
        assert await library(chat) == {"one.md", "three.md"}
        async for _ in chat.app.rag.sync():
            pass
        assert await library(chat) == {"one.md", "three.md"}


# --- completing ------------------------------------------------------------------------------------------------------


async def test_tab_completes_a_path(open_chat: Any, papers: Path):
    async with open_chat() as chat:
        screen = await dialog(chat)
        path = screen.query_one(PathInput)
        typed(chat, f"{papers.parent}/pap")
        await chat.press("tab")
        await chat.until(lambda: path.value == f"{papers}/")
        await chat.press("s", "tab")
        await chat.until(lambda: path.value == f"{papers}/sub/")
        await chat.press("tab")
        await chat.until(lambda: path.value == f"{papers}/sub/three.md")
        await chat.press("tab")
        await chat.until(lambda: not path.has_focus)


async def test_tab_shows_the_names_that_fit(open_chat: Any, papers: Path):
    async with open_chat() as chat:
        screen = await dialog(chat)
        (papers / "one-more.md").write_text("x")
        typed(chat, f"{papers}/on")
        await chat.press("tab")
        await chat.until(lambda: screen.query_one(PathInput).value == f"{papers}/one")
        await chat.press("tab")
        await chat.until(lambda: "one-more.md" in str(screen.query_one("#add-names", Static).visual))
        await chat.press("x")
        assert not screen.query_one("#add-names").display


ENTRIES = [
    FolderEntry(name, name.endswith("s")) for name in ("Notes", "notes-old.md", ".config", "pictures", "paper.md")
]


@pytest.mark.parametrize(
    ("start", "more"),
    [
        ("No", "Notes/"),
        ("not", "notes-old.md"),
        ("NOT", "NOT"),  # both fit, and share no more letters in this case
        ("p", "p"),
        ("pi", "pictures/"),
        ("pA", "paper.md"),
        (".c", ".config"),
        ("x", "x"),
        ("", ""),
    ],
)
def test_a_name_is_completed_as_far_as_it_is_sure(start: str, more: str):
    assert completed(start, ENTRIES)[0] == more


# --- the tree --------------------------------------------------------------------------------------------------------


async def test_the_tree_shows_what_is_left_out_and_why_and_takes_choices(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        screen = await dialog(chat)
        tree = screen.query_one(FileTree)
        typed(chat, papers)
        await chat.until(lambda: tree.root_path == str(papers) and tree.root.children)
        reasons = {node.data.entry.name: node.data.entry.left_out for node in tree.root.children}
        assert reasons["build"] == "ignored"
        assert reasons[".hidden"] == "hidden"
        assert reasons["photo.heic"] == "not a readable type"
        assert reasons["draft.tmp"] == "ignored"
        assert reasons["one.md"] == ""
        await chat.press("ctrl+u", "down")
        assert tree.has_focus
        await chat.until(lambda: not screen.chosen.roots)
        while tree.cursor_node.data.path != str(papers / "one.md"):
            await chat.press("down")
        await chat.press("space")
        assert screen.chosen.paths == [str(papers / "one.md")]
        assert "1 to read" in await looked(chat, screen)
        await chat.press("space")
        assert not screen.chosen.roots
        while tree.cursor_node.data.path != str(papers / "sub"):
            await chat.press("up")
        await chat.press("right")
        await chat.until(lambda: tree.cursor_node.children)
        await chat.press("down", "space")
        assert screen.chosen.paths == [str(papers / "sub" / "three.md")]
        await looked(chat, screen)
        await chat.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))
        await idle(chat)
        assert await library(chat) == {"three.md"}


async def test_the_tree_goes_up(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        screen = await dialog(chat)
        tree = screen.query_one(FileTree)
        typed(chat, papers)
        await chat.until(lambda: tree.root_path == str(papers))
        await chat.press("down", "backspace")
        await chat.until(lambda: tree.root_path == str(papers.parent) and tree.root.children)


def test_choices_below_what_is_chosen_are_left_out_and_taken_again():
    chosen = Chosen(["/a", "/b/file.md"])
    chosen.toggle("/a/sub")
    assert chosen.holds("/a/x.md")
    assert not chosen.holds("/a/sub/y.md")
    assert chosen.holds("/a/subway.md")
    chosen.toggle("/a/sub/y.md")
    assert chosen.holds("/a/sub/y.md")
    chosen.toggle("/b/file.md")
    assert chosen.paths == ["/a"]


def test_what_a_watched_folder_leaves_out_is_written_as_a_pattern():
    chosen = Chosen(["/a"], left_out={"/a/sub/[x]*.md", "/b/other.md", "/a/#1 "})
    assert patterns("/a", chosen, subfolders=False) == ["*/", "/\\#1\\ ", "/sub/\\[x\\]\\*.md"]


def test_a_typed_path_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert given_path(" ~/notes/ ") == str(tmp_path / "notes")
    assert given_path("notes/../x.md") == str(tmp_path / "x.md")
    assert given_path("  ") == ""


# --- dropping on the chat --------------------------------------------------------------------------------------------


async def test_files_dropped_on_the_input_are_offered_and_added(open_chat: Any, papers: Path):
    async with open_chat(library=False, size=(160, 40)) as chat:
        chat.screen.composer.post_message(Paste(f"'{papers / 'one.md'}' '{papers / 'sub'}'"))
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
        screen = chat.app.screen
        assert "2 to read" in await looked(chat, screen)
        assert "one.md, sub" in str(screen.query_one("#add-chosen", Static).visual)
        await chat.press("enter")
        await chat.until(lambda: chat.app.screen is chat.screen)
        await idle(chat)
        assert await library(chat) == {"one.md", "three.md"}
        assert any("2 files added" in toast for toast in chat.toasts)
        await chat.until(lambda: "2 documents" in str(chat.screen.query_one("#status", Static).visual))
        assert chat.screen.composer.text == ""


@pytest.mark.parametrize("prose", ["/etc/hosts is a file", "'quoted' words", "~ is my home", "what is in /tmp"])
async def test_prose_that_is_pasted_stays_text(open_chat: Any, prose: str):
    async with open_chat() as chat:
        chat.screen.composer.post_message(Paste(prose))
        await chat.until(lambda: chat.screen.composer.text == prose)
        assert chat.app.screen is chat.screen


async def test_what_is_dropped_on_the_dialog_is_chosen_too(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        screen = await dialog(chat)
        screen.query_one(PathInput).post_message(Paste(str(papers / "one.md")))
        await chat.until(lambda: screen.chosen.paths == [str(papers / "one.md")])
        screen.query_one(FileTree).post_message(Paste(f"file://{papers / 'two.txt'}"))
        await chat.until(lambda: len(screen.chosen.paths) == 2)
        assert "2 to read" in await looked(chat, screen)
        await chat.press("backspace")
        await chat.until(lambda: screen.chosen.paths == [str(papers / "one.md")])


async def test_a_dropped_image_is_not_offered_to_be_read(open_chat: Any, papers: Path):
    async with open_chat(library=False) as chat:
        chat.screen.composer.post_message(Paste(f"{papers / 'photo.heic'}\n{papers / 'one.md'}"))
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
        assert "2 files: 1 to read" in await looked(chat, chat.app.screen)
        await chat.press("enter")
        await idle(chat)
        assert await library(chat) == {"one.md"}
        assert not (await chat.app.rag.status()).failed


async def test_a_drop_while_files_come_in_waits_for_its_turn(open_chat: Any, papers: Path, tmp_path: Path):
    many = tmp_path / "many"
    many.mkdir()
    for n in range(80):
        (many / f"{n}.md").write_text(f"Number {n} " * 50)
    async with open_chat(library=False) as chat:
        chat.app.ingesting.add(chat.app.rag, [str(many)], [])
        chat.screen.composer.post_message(Paste(str(papers / "one.md")))
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
        await looked(chat, chat.app.screen)
        await chat.press("enter")
        await idle(chat)
        assert len(await library(chat)) == 81


async def test_odd_names_do_not_break_the_dialog(open_chat: Any, tmp_path: Path):
    folder = tmp_path / "[red]x"
    folder.mkdir()
    for name in ("[bold]x[-].md", "日本語.md", "new\nline.md", "a" * 200 + ".md"):
        (folder / name).write_text("text")
    async with open_chat(library=False, size=(80, 24)) as chat:
        chat.screen.composer.post_message(Paste(f"'{folder}'"))
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
        screen = chat.app.screen
        tree = screen.query_one(FileTree)
        assert "4 to read" in await looked(chat, screen)
        await chat.until(lambda: len(tree.root.children) == 4)
        lines = [tree.render_line(y).text for y in range(tree.size.height)]
        assert any("[bold]x[-].md" in line for line in lines)
        assert any("new␊line.md" in line for line in lines)
