"""The documents: listed, found, looked at, taken out and brought back, read again, followed while they come in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList, Static

from termrag.tui.screens.add import AddScreen
from termrag.tui.screens.documents import DocumentsScreen, FilterInput
from termrag.tui.screens.library import FormatsScreen, WatchedScreen
from termrag.tui.screens.preview import PreviewScreen
from termrag.tui.widgets.documents import DocumentTable
from termrag.tui.widgets.paths import FileTree, PathInput
from tui.test_typing import FORBIDDEN

SIZES = [(60, 20), (80, 24), (120, 40)]


async def documents(chat: Any) -> DocumentsScreen:
    await chat.press("ctrl+o")
    await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen) and chat.app.screen._is_loaded)
    return chat.app.screen


def names(screen: DocumentsScreen) -> list[str]:
    return [row.name for row in screen.table.rows]


def states(screen: DocumentsScreen) -> dict[str, str]:
    return {row.name: row.state for row in screen.table.rows}


def text_of(screen: Any, selector: str) -> str:
    return str(screen.query_one(selector, Static).visual)


def drawn(screen: DocumentsScreen) -> str:
    table = screen.table
    return "\n".join(table.render_line(y).text for y in range(table.size.height))


async def idle(chat: Any) -> None:
    await chat.until(lambda: not chat.app.ingesting.is_busy)


async def add(chat: Any, *paths: Path) -> None:
    chat.app.ingesting.add(chat.app.rag, [str(path) for path in paths], [])
    await idle(chat)


# --- the list --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_the_library_is_a_table_with_what_there_is_room_for(open_chat: Any, size: tuple[int, int]):
    async with open_chat(size=size) as chat:
        screen = await documents(chat)
        await chat.until(lambda: names(screen) == ["causeway.md", "ferry.md", "hostel.md"])
        picture = drawn(screen)
        assert "name" in picture
        assert "causeway.md" in picture
        assert "ready" in picture
        assert ("folder" in picture) == (size[0] >= 110)
        assert all(len(line) <= size[0] for line in picture.splitlines())
        assert "3" in text_of(screen, "#documents-title")
        assert screen.table.has_focus
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.screen)


async def test_an_empty_library_says_which_key_to_press(open_chat: Any):
    async with open_chat(library=False) as chat:
        screen = await documents(chat)
        await chat.until(lambda: "a adds files" in drawn(screen))


async def test_what_is_typed_filters_at_once_and_escape_lets_go(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        await chat.press("slash", *"ferr")
        await chat.until(lambda: names(screen) == ["ferry.md"])
        await chat.press("enter")
        assert screen.table.has_focus
        assert names(screen) == ["ferry.md"]
        await chat.press("slash", "x")
        await chat.until(lambda: "No documents that match ferrx" in drawn(screen))
        await chat.press("escape")
        await chat.until(lambda: len(names(screen)) == 3)
        assert chat.app.screen is screen


async def test_sorting_goes_round_the_columns_and_turns(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        by_size = sorted(screen.table.rows, key=lambda row: -row.size)
        await chat.press("s", "s")
        assert screen.table.sort == "size"
        assert names(screen) == [row.name for row in by_size]
        assert "size ↓" in drawn(screen)
        await chat.press("S")
        assert names(screen) == [row.name for row in reversed(by_size)]
        assert "size ↑" in drawn(screen)
        await chat.pilot.click(screen.table, offset=(6, 0))
        assert screen.table.sort == "name"


async def test_the_cursor_stays_with_its_document(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        await chat.press("down", "down")
        assert screen.table.current.name == "hostel.md"
        await chat.press("S")
        assert screen.table.current.name == "hostel.md"
        await chat.until(lambda: "hostel.md" in text_of(screen, "#documents-detail"))
        await chat.press("home")
        assert screen.table.current.name == "hostel.md"
        await chat.press("end")
        assert screen.table.current.name == "causeway.md"
        await chat.press("pageup", "j")
        assert screen.table.current.name == "ferry.md"


# --- looking at one --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_enter_shows_the_text_with_its_place(open_chat: Any, size: tuple[int, int]):
    async with open_chat(size=size) as chat:
        await documents(chat)
        await chat.press("enter")
        await chat.until(lambda: isinstance(chat.app.screen, PreviewScreen))
        await chat.until(lambda: "420 metres long" in text_of(chat.app.screen, "#preview-text"))
        assert "lines 1-" in text_of(chat.app.screen, "#preview-text")
        assert "1 chunk" in text_of(chat.app.screen, "#preview-facts")
        await chat.press("y")
        await chat.until(lambda: any("characters" in toast for toast in chat.toasts))
        await chat.press("escape")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))


async def test_a_long_document_is_shown_as_far_as_one_scrolls(open_chat: Any, tmp_path: Path):
    text = "\n\n".join(f"# Day {day}\n\n" + f"On day {day} the water came and went. " * 30 for day in range(90))
    (tmp_path / "tides.md").write_text(text)
    async with open_chat() as chat:
        await add(chat, tmp_path / "tides.md")
        await documents(chat)
        await chat.press("end", "enter")
        await chat.until(lambda: isinstance(chat.app.screen, PreviewScreen) and chat.app.screen.drawn)
        screen = chat.app.screen
        assert screen.drawn < len(screen.chunks)
        for _ in range(8):
            await chat.press("end")
            await chat.pilot.pause()
        await chat.until(lambda: screen.drawn == len(screen.chunks))


async def test_a_failed_document_tells_why_and_is_read_again_when_it_is_mended(open_chat: Any, tmp_path: Path):
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.4\nnothing of use\n")
    async with open_chat() as chat:
        await add(chat, broken)
        screen = await documents(chat)
        await chat.press("v", "v")
        await chat.until(lambda: names(screen) == ["broken.pdf"])
        reason = screen.table.current.reason
        assert reason
        await chat.until(lambda: reason[:20] in text_of(screen, "#documents-detail"))
        assert "failed 1" in text_of(screen, "#documents-title")
        await chat.press("enter")
        await chat.until(lambda: reason in text_of(chat.app.screen, "#preview-text"))
        await chat.press("escape")
        broken.write_text("The lighthouse was built in 1887.")
        await chat.press("r")
        await idle(chat)
        assert any("1 file read again" in toast for toast in chat.toasts)
        await chat.press("v")
        await chat.until(lambda: states(screen).get("broken.pdf") == "ready")


async def test_a_file_opens_outside_or_says_that_nothing_here_opens_it(open_chat: Any, monkeypatch: Any):
    for name in ("EDITOR", "VISUAL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    async with open_chat() as chat:
        await documents(chat)
        await chat.press("o")
        await chat.until(lambda: any("nothing here opens causeway.md" in toast for toast in chat.toasts))


async def test_formats_are_listed(open_chat: Any):
    async with open_chat() as chat:
        await documents(chat)
        await chat.press("i")
        await chat.until(lambda: isinstance(chat.app.screen, FormatsScreen))
        listed = text_of(chat.app.screen, "#formats-list")
        assert "PDF" in listed
        assert "docx" in listed
        assert "200 MB" in listed
        await chat.press("escape")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))


async def test_questions_are_limited_to_what_is_selected(open_chat: Any):
    async with open_chat() as chat:
        await documents(chat)
        await chat.press("space", "space", "l")
        await chat.until(lambda: chat.app.screen is chat.screen)
        assert sorted(chat.screen.limits.values()) == ["causeway.md", "ferry.md"]


# --- taking out and bringing back ------------------------------------------------------------------------------------


async def test_what_is_removed_comes_back_as_it_was(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        rag = chat.app.rag
        before = {each.path: each for each in await rag.documents()}
        first = next(iter(before.values()))
        chunks, vectors = await rag.chunks(first.id), await rag.vectors(first.id)
        await chat.press("space", "space", "d")
        await chat.until(lambda: names(screen) == ["hostel.md"])
        await chat.until(lambda: any("2 documents removed" in toast for toast in chat.toasts))
        assert [each.path for each in await rag.documents()] == [path for path in before if "hostel" in path]
        assert not await rag.chunks(first.id)
        await chat.press("u")
        await chat.until(lambda: len(names(screen)) == 3)
        await idle(chat)
        assert any("2 files brought back" in toast for toast in chat.toasts)
        assert {each.path: each for each in await rag.documents()} == before
        assert await rag.chunks(first.id) == chunks
        assert await rag.vectors(first.id) == vectors
        hits = await rag.search("How long is the causeway to the Calf?", limit=1)
        assert hits[0].chunk.document_id == first.id


async def test_a_removed_document_comes_back_though_its_file_is_gone(open_chat: Any, tmp_path: Path):
    (tmp_path / "lost.md").write_text("The lost letter speaks of a lantern.")
    async with open_chat() as chat:
        await add(chat, tmp_path / "lost.md")
        (tmp_path / "lost.md").unlink()
        screen = await documents(chat)
        await chat.press("end", "delete")
        await chat.until(lambda: "lost.md" not in names(screen))
        await chat.until(lambda: any("1 document removed" in toast for toast in chat.toasts))
        await chat.press("u")
        await chat.until(lambda: "lost.md" in names(screen))
        await idle(chat)
        assert str(tmp_path / "lost.md") in [each.path for each in await chat.app.rag.documents()]


async def test_undo_waits_for_a_removal_that_is_still_at_work(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        await chat.press("asterisk", "d", "u")
        await chat.until(lambda: any("3 files brought back" in toast for toast in chat.toasts))
        await idle(chat)
        await chat.until(lambda: len(names(screen)) == 3)
        assert len(await chat.app.rag.documents()) == 3


async def test_undo_without_a_removal_says_so(open_chat: Any):
    async with open_chat() as chat:
        await documents(chat)
        await chat.press("u")
        await chat.until(lambda: "nothing was removed" in chat.toasts)


async def test_all_that_the_filter_shows_is_selected_and_let_go(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        await chat.press("slash", "e", "r", "r", "y", "enter", "asterisk")
        assert {Path(path).name for path in screen.table.marked} == {"ferry.md"}
        await chat.press("slash", "escape")
        await chat.press("asterisk")
        assert len(screen.table.marked) == 3
        assert "3 selected" in text_of(screen, "#documents-title")
        await chat.press("asterisk")
        assert not screen.table.marked
        await chat.press("home", "shift+down", "escape")
        assert not screen.table.marked
        assert chat.app.screen is screen


async def test_the_paths_of_what_is_selected_are_copied(open_chat: Any):
    async with open_chat() as chat:
        await documents(chat)
        await chat.press("space", "y")
        await chat.until(lambda: any("characters" in toast for toast in chat.toasts))


# --- coming in -------------------------------------------------------------------------------------------------------


def notes(folder: Path, number: int, words: int = 40) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(number):
        (folder / f"note{n:03}.md").write_text(f"# Note {n}\n\n" + f"Word{n} stands here for number {n}. " * words)
    return folder


async def test_files_are_followed_while_they_come_in(open_chat: Any, tmp_path: Path):
    folder = notes(tmp_path / "many", 60)
    files = [(str(path), path.stat().st_size) for path in sorted(folder.iterdir())]
    async with open_chat() as chat:
        screen = await documents(chat)
        chat.app.ingesting.add(chat.app.rag, [str(folder)], files)
        seen: set[str] = set()
        lines: set[str] = set()

        def is_done() -> bool:
            seen.update(states(screen).values())
            lines.add(text_of(screen, "#documents-queue"))
            return not chat.app.ingesting.is_busy

        await chat.until(is_done)
        assert {"queued", "ready"} <= seen
        assert any("of 60 files" in line for line in lines)
        await chat.until(lambda: len(names(screen)) == 63 and set(states(screen).values()) == {"ready"})
        await chat.until(lambda: any("60 files added" in toast for toast in chat.toasts))


async def test_work_goes_on_while_the_screen_is_left_and_the_status_line_tells_of_it(open_chat: Any, tmp_path: Path):
    folder = notes(tmp_path / "many", 80)
    async with open_chat(size=(160, 40)) as chat:
        await documents(chat)
        chat.app.ingesting.add(chat.app.rag, [str(folder)], [])
        chat.app.ingesting.pause()
        await chat.press("escape")
        await chat.until(lambda: "adding paused" in text_of(chat.screen, "#status"))
        chat.app.ingesting.pause()
        await idle(chat)
        await chat.until(lambda: "83 documents" in text_of(chat.screen, "#status"))
        assert "adding" not in text_of(chat.screen, "#status")


async def test_pausing_holds_the_work_and_cancelling_keeps_what_is_finished(open_chat: Any, tmp_path: Path):
    folder = notes(tmp_path / "many", 120)
    files = [(str(path), path.stat().st_size) for path in sorted(folder.iterdir())]
    async with open_chat() as chat:
        screen = await documents(chat)
        queue = chat.app.ingesting
        queue.add(chat.app.rag, [str(folder)], files)
        await chat.press("p")
        assert queue.is_paused
        await chat.until(lambda: "paused" in text_of(screen, "#documents-queue"))
        at = queue.version
        await asyncio.sleep(0.5)
        assert queue.version <= at + 1  # the item in hand at most
        await chat.press("x")
        await idle(chat)
        assert not queue.is_paused
        assert any("cancelled" in toast for toast in chat.toasts)
        kept = len(await chat.app.rag.documents())
        assert kept < 123
        await chat.until(lambda: "cancelled" in states(screen).values())
        queue.add(chat.app.rag, [str(folder)], files)
        await idle(chat)
        assert len(await chat.app.rag.documents()) == 123


async def test_what_comes_while_work_is_going_on_waits_for_its_turn(open_chat: Any, tmp_path: Path):
    first, second = notes(tmp_path / "first", 30), notes(tmp_path / "second", 5)
    async with open_chat() as chat:
        queue = chat.app.ingesting
        queue.add(chat.app.rag, [str(first)], [])
        queue.add(chat.app.rag, [str(second)], [])
        await chat.until(lambda: queue.waiting_jobs == 1)
        await idle(chat)
        assert len(await chat.app.rag.documents()) == 38
        assert sum("35 files added" in toast for toast in chat.toasts) == 1


async def test_what_is_added_right_after_cancelling_is_added(open_chat: Any, tmp_path: Path):
    first, second = notes(tmp_path / "first", 200), notes(tmp_path / "second", 5)
    async with open_chat() as chat:
        queue = chat.app.ingesting
        queue.add(chat.app.rag, [str(first)], [])
        await chat.until(lambda: queue.version > 1)
        queue.cancel()
        queue.add(chat.app.rag, [str(second)], [])
        await idle(chat)
        assert {str(path) for path in second.iterdir()} <= {each.path for each in await chat.app.rag.documents()}


async def test_a_library_that_another_process_writes_to_is_told_as_an_error(open_chat: Any, tmp_path: Path):
    from termrag.errors import TermragError
    from termrag.tui.ingesting import Job

    async def broken() -> Any:
        raise TermragError("the library is in use by process 4711", "kill 4711")
        yield

    async with open_chat() as chat:
        screen = await documents(chat)
        chat.app.ingesting.put(Job("added", broken, [("/nowhere/a.md", 10)]))
        await idle(chat)
        assert any("process 4711" in toast for toast in chat.toasts)
        await chat.until(lambda: states(screen).get("a.md") == "failed")


async def test_leaving_the_app_while_files_come_in_keeps_what_is_finished(open_chat: Any, tmp_path: Path):
    folder = notes(tmp_path / "many", 200)
    async with open_chat() as chat:
        chat.app.ingesting.add(chat.app.rag, [str(folder)], [])
        await chat.until(lambda: chat.app.ingesting.totals.files_total)
    assert not chat.app.ingesting.is_busy


# --- watched folders -------------------------------------------------------------------------------------------------


async def test_a_folder_is_watched_and_left_alone_again(open_chat: Any, notes: Path):
    async with open_chat() as chat:
        await documents(chat)
        await chat.press("w")
        await chat.until(lambda: isinstance(chat.app.screen, WatchedScreen) and chat.app.screen.folders)
        screen = chat.app.screen
        assert screen.folders == [(str(notes), None)]
        await chat.press("space")
        await chat.until(lambda: screen.folders[0][1] is not None)
        assert [each.path for each in await chat.app.rag.watched()] == [str(notes)]
        await chat.until(lambda: "while termrag is open" in text_of(screen, "#watched-state"))
        assert screen.query_one(OptionList).option_count == 1
        await chat.press("space")
        await chat.until(lambda: screen.folders[0][1] is None)
        assert not await chat.app.rag.watched()
        await chat.press("b")
        await chat.until(lambda: not chat.app.watching.is_on)
        await chat.until(lambda: "Nothing is watched" in text_of(screen, "#watched-state"))
        await chat.press("escape")
        await chat.until(lambda: isinstance(chat.app.screen, DocumentsScreen))


async def test_what_is_written_into_a_watched_folder_appears_by_itself(open_chat: Any, tmp_path: Path):
    folder = tmp_path / "live"
    folder.mkdir()
    (folder / "old.md").write_text("The old harbour has a crane.")
    async with open_chat(watch={"settle_s": 0.05}) as chat:
        await add(chat, folder)
        screen = await documents(chat)
        await chat.press("w")
        await chat.until(lambda: isinstance(chat.app.screen, WatchedScreen) and len(chat.app.screen.folders) == 2)
        watched = chat.app.screen
        if watched.folders[0][0] != str(folder):
            await chat.press("down")
        await chat.press("space")
        await chat.until(lambda: chat.app.watching.is_on)
        await chat.until(lambda: "open: idle" in text_of(watched, "#watched-state"))
        await chat.press("escape")
        (folder / "news.md").write_text("The harbour has a new crane.")
        await chat.until(lambda: "news.md" in names(screen))
        await chat.press("w")
        await chat.until(lambda: isinstance(chat.app.screen, WatchedScreen) and chat.app.screen.folders)
        await chat.press("b")
        await chat.until(lambda: not chat.app.watching.is_on)
        await chat.until(lambda: "No process watches" in text_of(chat.app.screen, "#watched-state"))


async def test_changes_of_watched_folders_are_looked_for_on_demand(open_chat: Any, tmp_path: Path):
    folder = tmp_path / "live"
    folder.mkdir()
    async with open_chat() as chat:
        await chat.app.rag.watch_folder(folder)
        (folder / "news.md").write_text("The harbour has a new crane.")
        await documents(chat)
        await chat.press("w")
        await chat.until(lambda: isinstance(chat.app.screen, WatchedScreen) and chat.app.screen.folders)
        await chat.press("s")
        await idle(chat)
        assert str(folder / "news.md") in [each.path for each in await chat.app.rag.documents()]


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "owner",
    [
        *(DocumentsScreen, DocumentTable, FilterInput, AddScreen, PathInput, FileTree),
        *(PreviewScreen, FormatsScreen, WatchedScreen),
    ],
)
def test_every_binding_has_a_name_and_none_is_a_key_that_never_arrives(owner: Any):
    for binding in owner.BINDINGS:
        assert binding.id
        assert binding.description
        assert FORBIDDEN.isdisjoint(binding.key.split(","))


async def test_the_palette_offers_what_keys_do_here(open_chat: Any):
    async with open_chat() as chat:
        screen = await documents(chat)
        offered = {command.title for command in chat.app.get_system_commands(screen)}
        assert {binding.description for binding in DocumentsScreen.BINDINGS} <= offered
        assert "Documents" in {command.title for command in chat.app.get_system_commands(chat.screen)}


# --- dropping --------------------------------------------------------------------------------------------------------


async def test_files_dropped_on_the_list_are_offered_to_be_added(open_chat: Any, tmp_path: Path):
    from textual.events import Paste

    (tmp_path / "two words.md").write_text("x y z")
    async with open_chat() as chat:
        screen = await documents(chat)
        screen.table.post_message(Paste(f"'{tmp_path / 'two words.md'}'"))
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
        assert chat.app.screen.chosen.paths == [str(tmp_path / "two words.md")]
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is screen)
        screen.table.post_message(Paste("some prose"))
        await chat.until(lambda: any("no path" in toast for toast in chat.toasts))
        await chat.press("slash")
        screen.query_one(Input).post_message(Paste("ferry"))
        await chat.until(lambda: names(screen) == ["ferry.md"])
        screen.query_one(Input).post_message(Paste(f"'{tmp_path / 'two words.md'}'"))
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))


# --- odd names -------------------------------------------------------------------------------------------------------

ODD = [
    *("[bold]x[-].md", "日本語の契約書 👩‍👩‍👧.md", "new\nline.md", "tab\there.md"),
    *("a" * 200 + ".md", "\u202eright.md", "שלום עולם.md"),
]


@pytest.mark.parametrize("size", SIZES)
async def test_odd_names_do_not_break_the_table(open_chat: Any, tmp_path: Path, size: tuple[int, int]):
    folder = tmp_path / "[red]odd\nfolder"
    folder.mkdir()
    for number, name in enumerate(ODD):
        (folder / name).write_text(f"What stands here is number {number}.")
    async with open_chat(size=size) as chat:
        await add(chat, folder)
        screen = await documents(chat)
        await chat.until(lambda: len(names(screen)) == 3 + len(ODD))
        assert all(name.isprintable() or "\u200d" in name for name in names(screen))
        for y in range(screen.table.size.height):
            strip = screen.table.render_line(y)
            assert strip.cell_length == screen.table.size.width
        assert "[bold]x[-].md" in names(screen)
        for _ in range(len(ODD) + 3):
            await chat.press("enter")
            await chat.until(lambda: isinstance(chat.app.screen, PreviewScreen))
            assert chat.app.screen.query_one("#preview-facts").region.height <= 3
            await chat.press("escape", "down")
            await chat.until(lambda: chat.app.screen is screen)
        await chat.press("a")
        await chat.until(lambda: isinstance(chat.app.screen, AddScreen))
