"""Every kind of change to a watched folder ends in the right index."""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from contextlib import aclosing
from pathlib import Path

import pytest

from embedding_endpoint import Endpoint
from termrag.events import Failed, Finished, Held, Indexed, Moved, Progress, Removed
from termrag.rag import Rag
from watch.conftest import Watch
from watch.watched import config_for, paths_in


def paths(contents: dict[str, list[str]], folder: Path) -> set[str]:
    return {os.path.relpath(path, folder) for path in contents}


def test_the_first_sweep_finds_what_happened_while_nobody_watched(watch: Watch, notes: Path) -> None:
    first = watch(notes)
    first.close()
    (notes / "lamp.md").unlink()
    (notes / "new.md").write_text("A note that was written in the meantime.")

    again = watch(notes)

    assert paths(again.contents(), notes) == {"harbour.md", "new.md", "sub/tide.md"}


def test_a_new_file_and_an_edit_in_place(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)

    (notes / "cormorant.md").write_text("The cormorant nests on the north rock.")
    with (notes / "lamp.md").open("a") as file:
        file.write("\nIt was lit again in May.\n")

    watched.until_equal(tmp_path / "fresh")


def test_a_folder_that_took_the_name_of_one_moved_away_does_not_blind_the_watcher(
    watch: Watch, notes: Path, tmp_path: Path
) -> None:
    """The thread that reads the system's notices dies of this: watchdog keeps both folders under one name. Its
    traceback is nobody's to see."""
    first, second, away = notes / "first", notes / "second", tmp_path / "away"
    first.mkdir()
    second.mkdir()
    watched = watch(notes)

    first.rename(away)
    second.rename(first)
    first.rmdir()
    away.rmdir()
    time.sleep(0.5)
    (notes / "after.md").write_text("Written when nobody seemed to look.")
    watched.until_equal(tmp_path / "fresh", seconds=90)
    (notes / "later.md").write_text("Written when somebody looked again.")
    watched.until_equal(tmp_path / "fresh again")


@pytest.mark.parametrize("how", ["delete_then_create", "rename_over", "rename_away_then_create"])
def test_the_ways_in_which_editors_save(watch: Watch, notes: Path, tmp_path: Path, how: str) -> None:
    watched = watch(notes)
    path, new = notes / "lamp.md", "# lamp\n\nIt was written anew.\n"

    if how == "delete_then_create":
        path.unlink()
        path.write_text(new)
    elif how == "rename_over":
        (notes / ".lamp.md.swp").write_text(new)
        (notes / ".lamp.md.swp").rename(path)
    else:
        path.rename(notes / "lamp.md~")
        path.write_text(new)
        (notes / "lamp.md~").unlink()

    watched.until(lambda: "anew" in str(watched.contents().get(str(path))))
    watched.until_equal(tmp_path / "fresh")
    assert str(path) not in [event.path for event in watched.told(Removed)]


def test_a_rename_and_a_move_embed_nothing(watch: Watch, notes: Path, tmp_path: Path) -> None:
    other = tmp_path / "papers"
    other.mkdir()
    watched = watch(notes, other)
    before = watched.embedded_texts()

    (notes / "lamp.md").rename(notes / "light.md")
    (notes / "harbour.md").rename(other / "harbour.md")
    (notes / "sub").rename(notes / "below")

    expected = {str(notes / "light.md"), str(other / "harbour.md"), str(notes / "below" / "tide.md")}
    watched.until(lambda: set(watched.contents()) == expected)
    assert watched.embedded_texts() == before
    assert len(watched.told(Moved)) == 3
    assert not watched.told(Removed)


def test_a_copy_embeds_nothing_and_a_deletion_takes_out(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)
    before = watched.embedded_texts()

    shutil.copy(notes / "lamp.md", notes / "lamp copy.md")
    os.link(notes / "harbour.md", notes / "harbour link.md")
    (notes / "sub" / "tide.md").unlink()

    watched.until_equal(tmp_path / "fresh")
    assert watched.embedded_texts() - before == 0


def test_moves_out_of_and_into_the_folder(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)
    outside = tmp_path / "outside"
    (outside / "deep" / "er").mkdir(parents=True)
    (outside / "deep" / "er" / "found.md").write_text("Found far below.")

    (notes / "lamp.md").rename(outside / "lamp.md")
    (outside / "deep").rename(notes / "deep")

    watched.until(lambda: paths(watched.contents(), notes) == {"harbour.md", "sub/tide.md", "deep/er/found.md"})


def test_deleted_and_restored_at_once_stays(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)
    text = (notes / "lamp.md").read_bytes()

    (notes / "lamp.md").unlink()
    (notes / "lamp.md").write_bytes(text)

    (notes / "end.md").write_text("The end.")
    watched.until(lambda: str(notes / "end.md") in watched.contents())
    watched.until_equal(tmp_path / "fresh")


def test_links_are_not_followed_out_and_loops_end(watch: Watch, notes: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.mkdir()
    (outside / "secret.md").write_text("Not to be read.")
    watched = watch(notes)

    (notes / "out").symlink_to(outside)
    (notes / "round").symlink_to(notes)
    (notes / "end.md").write_text("The end.")

    watched.until(lambda: str(notes / "end.md") in watched.contents())
    (outside / "later.md").write_text("Nor this.")
    (notes / "end.md").unlink()
    watched.until(lambda: paths(watched.contents(), notes) == {"harbour.md", "lamp.md", "sub/tide.md"})


def test_names_of_every_kind(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)
    names = [
        unicodedata.normalize("NFC", "Übung.md"),
        unicodedata.normalize("NFD", "Übung.md"),
        "灯塔.md",
        "two\nlines.md",
        "Case.md",
        'quote\'s "end".md',
        os.fsdecode(b"not-utf8-\xff.md"),
    ]

    for number, name in enumerate(names):
        (notes / name).write_text(f"Note number {number}.")
    watched.until_equal(tmp_path / "fresh")

    (notes / "Case.md").rename(notes / "case.md")
    watched.until(lambda: str(notes / "case.md") in watched.contents())
    assert str(notes / "Case.md") not in watched.contents()


def test_an_ignore_file_takes_out_and_lets_in_again(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)

    (notes / ".termragignore").write_text("sub/\n")
    watched.until(lambda: paths(watched.contents(), notes) == {"harbour.md", "lamp.md"})

    (notes / ".termragignore").unlink()
    watched.until_equal(tmp_path / "fresh")
    assert str(notes / "sub" / "tide.md") in watched.contents()


def test_a_file_that_fails_is_told_and_tried_again_when_it_changes(watch: Watch, notes: Path) -> None:
    watched = watch(notes)

    (notes / "broken.pdf").write_bytes(b"%PDF-1.7 nothing that follows")
    watched.until(lambda: bool(watched.told(Failed)))
    shutil.copy(Path(__file__).parents[1] / "samples" / "petrel-count.pdf", notes / "broken.pdf")

    watched.until(lambda: str(notes / "broken.pdf") in watched.contents())


def test_a_growing_file_is_read_when_it_rests(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)

    with (notes / "log.txt").open("w") as file:
        for number in range(200):
            file.write(f"line {number}\n")
            file.flush()

    watched.until(lambda: "line 199" in str(watched.contents().get(str(notes / "log.txt"))))
    assert len([event for event in watched.told(Indexed) if event.path.endswith("log.txt")]) <= 3
    watched.until_equal(tmp_path / "fresh")


def test_a_sparse_file_of_two_gigabytes_costs_one_line(watch: Watch, notes: Path) -> None:
    watched = watch(notes)

    with (notes / "huge.txt").open("wb") as file:
        file.truncate(2 << 30)

    watched.until(lambda: [event.path for event in watched.told(Failed)] == [str(notes / "huge.txt")])


def test_most_of_a_folder_gone_at_once_waits_for_a_second_sweep(watch: Watch, notes: Path) -> None:
    for number in range(30):
        (notes / f"{number}.md").write_text(f"Note number {number}.")
    first = watch(notes)
    for path in notes.glob("*.md"):
        path.unlink()

    first.until(lambda: bool(first.told(Held)))

    assert len(first.contents()) == 33
    first.close()
    second = watch(notes, home=first.home)
    assert paths(second.contents(), notes) == {"sub/tide.md"}


def test_a_root_that_is_gone_keeps_its_documents_and_says_so(watch: Watch, notes: Path) -> None:
    watched = watch(notes, sweep_s=1)
    before = watched.contents()

    notes.rename(notes.with_name("elsewhere"))
    watched.until(lambda: any(isinstance(event, Failed) and event.path == str(notes) for event in watched.events))

    assert watched.contents() == before
    notes.with_name("elsewhere").rename(notes)
    (notes / "back.md").write_text("It is back.")
    watched.until(lambda: str(notes / "back.md") in watched.contents())


def test_without_notices_sweeps_find_the_change(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes, poll=True, poll_s=0.2)

    (notes / "found.md").write_text("Found by a look.")
    (notes / "lamp.md").unlink()

    watched.until_equal(tmp_path / "fresh")


@pytest.mark.parametrize("is_fresh", [False, True])
@pytest.mark.parametrize("other", ["twin.md", "twin without suffix"])
def test_what_is_written_through_one_hard_link_is_read_under_every_name(
    watch: Watch, notes: Path, tmp_path: Path, other: str, is_fresh: bool
) -> None:
    os.link(notes / "lamp.md", notes / other)
    written = time.time() + 60 if is_fresh else time.time() - 60
    os.utime(notes / "lamp.md", (written, written))  # the first sweep meets it in the instant of its writing, or later
    watched = watch(notes)

    with (notes / other).open("a") as file:
        file.write("\nThe wick is trimmed at dusk.\n")

    watched.until(lambda: "at dusk" in str(watched.contents().get(str(notes / "lamp.md"))))
    watched.until_equal(tmp_path / "fresh")


def test_a_file_that_is_emptied_before_it_is_written_is_no_failure(watch: Watch, notes: Path, tmp_path: Path) -> None:
    watched = watch(notes)

    (notes / "lamp.md").write_text("")
    watched.until(lambda: len(watched.told(Finished)) > 1)
    (notes / "lamp.md").write_text("It was written after all.")

    watched.until_equal(tmp_path / "fresh")
    assert watched.told(Failed) == []


def test_a_file_that_stays_empty_is_told(watch: Watch, notes: Path) -> None:
    watched = watch(notes)

    (notes / "lamp.md").write_text("")

    watched.until(lambda: [event.path for event in watched.told(Failed)] == [str(notes / "lamp.md")])


async def test_a_sweep_that_is_left_early_keeps_what_it_has_read(
    endpoint: Endpoint, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (notes / f"note{number}.md").write_text(f"# Note {number}\n\nThe lamp was lit {number} times.\n")
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    monkeypatch.setattr("termrag.ingest.run._PROGRESS_S", 0.0)  # told of every file: before the first commit
    async with Rag(config_for(endpoint), paths_in(tmp_path / "home")) as rag:
        await rag.watch_folder(notes)
        async with aclosing(rag.sync()) as events:
            async for event in events:
                if isinstance(event, Progress) and not event.current.endswith("harbour.md"):
                    assert not event.files_done, "too late: a commit was made"
                    break
        assert await rag.documents()
    assert lost == []


def test_a_file_of_white_space_alone_is_told(watch: Watch, notes: Path) -> None:
    watched = watch(notes)

    (notes / "lamp.md").write_text(" \n\n")

    watched.until(lambda: [event.path for event in watched.told(Failed)] == [str(notes / "lamp.md")])
