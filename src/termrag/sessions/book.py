"""What is read from and written to the file of conversations; knows no model, no library and no question's meaning."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from termrag import wire
from termrag.errors import NotFound
from termrag.records import Answer, Verdict
from termrag.sessions.database import open_database, transaction
from termrag.turns import Session, SessionInfo, Turn, TurnState

SESSIONS_FILE = "sessions.sqlite"

_TITLE = 60  # characters
_INFO = (
    "s.id, s.title, s.created_at, s.changed_at, (SELECT count(*) FROM turns WHERE session_id = s.id), s.model, "
    "s.deleted_at > 0"
)
_TURN = "id, session_id, number, question, query, state, asked_at, answer, text, error, parent_id, writer"
_LEAST_PREFIX = 4
_ABANDONED_S = 86_400.0  # a process number may have been given away since


class Sessions:
    """The conversations of one user. Several processes may have them open; close each."""

    def __init__(self, file: Path) -> None:
        self._db = open_database(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # --- reading -------------------------------------------------------------------------------------------------

    def latest(self, *, limit: int, deleted: bool = False) -> list[SessionInfo]:
        """Those that hold a turn, the last changed first."""
        where = "s.deleted_at > 0" if deleted else "s.deleted_at = 0"
        rows = self._db.execute(
            f"SELECT {_INFO} FROM sessions s WHERE {where} AND s.tip != '' "
            "ORDER BY s.changed_at DESC, s.rowid DESC LIMIT ?",
            (limit,),
        )
        return [_info(row) for row in rows]

    def search(self, query: str, *, limit: int) -> list[SessionInfo]:
        """Sessions by their best turn for the words of `query`, with the place; by title too."""
        found: dict[str, str] = {}
        for _, session_id, snippet in self._hits(query, limit * 4):
            found.setdefault(session_id, snippet)
        like = f"%{_escaped(query)}%"
        named = self._db.execute("SELECT id FROM sessions WHERE title LIKE ? ESCAPE '\\' LIMIT ?", (like, limit))
        for (session_id,) in named:
            found.setdefault(session_id, "")
        infos = [self._info_of(session_id, snippet) for session_id, snippet in found.items()]
        return [info for info in infos if info is not None and not info.is_deleted][:limit]

    def turns_about(self, query: str, *, limit: int, session_id: str = "", but: Iterable[str] = ()) -> list[Turn]:
        """Answered turns that hold words of `query`, best first: of one session, or of all; none of `but`."""
        left_out = set(but)
        turns = []
        for turn_id, found_in, _ in self._hits(query, 100 + len(left_out), any_word=True):
            if turn_id in left_out or (session_id and found_in != session_id):
                continue
            turn = self.turn(turn_id)
            if turn.state is TurnState.DONE:
                turns.append(turn)
            if len(turns) == limit:
                break
        return turns

    def find(self, reference: str) -> SessionInfo:
        """By id, by the beginning of one, or `last` for the one that changed last. Raises NotFound."""
        if reference == "last":
            newest = self.latest(limit=1)
            if not newest:
                raise NotFound("there is no conversation yet", 'termrag ask "…"')
            return newest[0]
        rows = self._db.execute(
            f"SELECT {_INFO} FROM sessions s WHERE s.id = ?1 OR (length(?1) >= {_LEAST_PREFIX} AND "
            "substr(s.id, 1, length(?1)) = ?1) LIMIT 2",
            (reference,),
        ).fetchall()
        if len(rows) == 1:
            return _info(rows[0])
        if rows:
            raise NotFound(f"several conversations have ids that begin with {reference}", "termrag sessions list")
        raise NotFound(f"there is no conversation {reference}", "termrag sessions list")

    def session(self, reference: str) -> Session:
        """A conversation with the turns of its current branch, oldest first. Raises NotFound."""
        info = self.find(reference)
        tip = self._db.execute("SELECT tip FROM sessions WHERE id = ?", (info.id,)).fetchone()[0]
        return Session(info, tuple(self.branch(info.id, tip)))

    def branch(self, session_id: str, last: str) -> list[Turn]:
        """The turns up to and with `last`, oldest first; none for an empty id."""
        by_id = {turn.id: turn for turn in self.turns(session_id)}
        branch: list[Turn] = []
        while last in by_id:
            branch.append(by_id[last])
            last = by_id[last].parent_id
        return branch[::-1]

    def turns(self, session_id: str) -> list[Turn]:
        """Every turn of every branch, in the order of asking."""
        rows = self._db.execute(
            f"SELECT {_TURN} FROM turns WHERE session_id = ? ORDER BY asked_at, rowid", (session_id,)
        )
        return [_turn(row) for row in rows]

    def turn(self, turn_id: str) -> Turn:
        """Raises NotFound."""
        row = self._db.execute(f"SELECT {_TURN} FROM turns WHERE id = ?", (turn_id,)).fetchone()
        if row is None:
            raise NotFound(f"there is no turn {turn_id}", "termrag sessions list")
        return _turn(row)

    def branches(self, turn_id: str) -> list[Turn]:
        """The turns that follow the same turn, this one among them, oldest first. Raises NotFound."""
        turn = self.turn(turn_id)
        return [each for each in self.turns(turn.session_id) if each.parent_id == turn.parent_id]

    def settings(self, turn_id: str) -> dict[str, Any]:
        """What the turn was asked with."""
        row = self._db.execute("SELECT settings FROM turns WHERE id = ?", (turn_id,)).fetchone()
        return dict(json.loads(row[0])) if row else {}

    # --- a turn as it happens ------------------------------------------------------------------------------------

    def start(self) -> SessionInfo:
        """An empty session; it is listed from its first turn on."""
        now, session_id = time.time(), secrets.token_hex(8)
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO sessions (id, created_at, changed_at) VALUES (?, ?, ?)", (session_id, now, now)
            )
        return self.find(session_id)

    def begin(
        self, session_id: str, question: str, query: str, parent_id: str | None, settings: Mapping[str, Any]
    ) -> Turn:
        """Write a question down before it is answered. It follows `parent_id`, or the end of the current branch, and
        becomes that end. Raises NotFound."""
        turn_id, now = secrets.token_hex(8), time.time()
        with transaction(self._db):
            row = self._db.execute("SELECT tip, title, is_named FROM sessions WHERE id = ?", (session_id,)).fetchone()
            if row is None:
                raise NotFound(f"there is no conversation {session_id}", "termrag sessions list")
            parent = row[0] if parent_id is None else parent_id
            above = self._db.execute(
                "SELECT number FROM turns WHERE id = ? AND session_id = ?", (parent, session_id)
            ).fetchone()
            number = above[0] + 1 if above else 1
            self._db.execute(
                f"INSERT INTO turns ({_TURN}, changed_at, settings) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, '', '', '', ?, ?, ?, ?)",
                (turn_id, session_id, number, question, query, TurnState.WRITING, now, parent if above else "",
                 os.getpid(), now, json.dumps(settings, ensure_ascii=False)),
            )  # fmt: skip
            title = row[1] or title_of(question)
            self._db.execute(
                "UPDATE sessions SET tip = ?, title = ?, changed_at = ? WHERE id = ?", (turn_id, title, now, session_id)
            )
        return self.turn(turn_id)

    def keep(self, turn_id: str, text: str) -> None:
        """What has come of an answer so far."""
        with transaction(self._db):
            self._db.execute("UPDATE turns SET text = ?, changed_at = ? WHERE id = ?", (text, time.time(), turn_id))

    def finish(self, turn_id: str, state: TurnState, answer: Answer | None, error: str = "") -> Turn:
        """Write down how a question ended, and make it found by its words. Raises NotFound."""
        turn = self.turn(turn_id)
        now = time.time()
        with transaction(self._db):
            self._write_end(turn, state, answer, error, now)
            model = answer.model if answer else ""
            self._db.execute(
                "UPDATE sessions SET changed_at = ?, model = CASE WHEN ?2 = '' THEN model ELSE ?2 END WHERE id = ?",
                (now, model, turn.session_id),
            )
        return self.turn(turn_id)

    def _write_end(self, turn: Turn, state: TurnState, answer: Answer | None, error: str, now: float) -> None:
        data = json.dumps(wire.answer(answer), ensure_ascii=False) if answer else ""
        text = answer.text if answer else ""
        self._db.execute(
            "UPDATE turns SET state = ?, answer = ?, text = ?, error = ?, changed_at = ?, writer = 0 WHERE id = ?",
            (state, data, text, error, now, turn.id),
        )
        self._db.execute("DELETE FROM words WHERE turn_id = ?", (turn.id,))
        self._db.execute("INSERT INTO words VALUES (?, ?, ?, ?)", (turn.id, turn.session_id, turn.question, text))
        self._db.execute("DELETE FROM citations WHERE turn_id = ?", (turn.id,))
        self._db.executemany(
            "INSERT INTO citations VALUES (?, ?, ?, ?, ?, ?)",
            [
                (turn.id, each.number, each.document_id, each.path, each.content_hash, each.quote)
                for each in (wire.citations(answer) if answer else [])
            ],
        )

    # --- whole sessions ------------------------------------------------------------------------------------------

    def rename(self, session_id: str, title: str) -> SessionInfo:
        with transaction(self._db):
            self._db.execute("UPDATE sessions SET title = ?, is_named = 1 WHERE id = ?", (title.strip(), session_id))
        return self.find(session_id)

    def choose(self, turn_id: str) -> Session:
        """Make the branch through a turn the current one: up to its last turn. Raises NotFound."""
        turn = self.turn(turn_id)
        children: dict[str, Turn] = {each.parent_id: each for each in self.turns(turn.session_id)}
        last = turn
        while last.id in children:
            last = children[last.id]
        with transaction(self._db):
            self._db.execute("UPDATE sessions SET tip = ? WHERE id = ?", (last.id, turn.session_id))
        return self.session(turn.session_id)

    def delete(self, session_id: str) -> None:
        """Put a session out of sight; `restore` brings it back until it is pruned."""
        with transaction(self._db):
            self._db.execute("UPDATE sessions SET deleted_at = ? WHERE id = ?", (time.time(), session_id))

    def restore(self, session_id: str) -> SessionInfo:
        with transaction(self._db):
            self._db.execute("UPDATE sessions SET deleted_at = 0 WHERE id = ?", (session_id,))
        return self.find(session_id)

    def prune(self, before: float | None = None) -> int:
        """Remove for good what is deleted, what stayed empty for a day, and, with `before`, what has not changed since
        then; return the number of conversations."""
        now = time.time()
        condition = "deleted_at > 0 OR changed_at < ?1 OR (tip = '' AND created_at < ?2)"
        values = (before if before is not None else 0.0, now - _ABANDONED_S)
        with transaction(self._db):
            gone = self._db.execute(f"SELECT id, tip FROM sessions WHERE {condition}", values).fetchall()
            for session_id, _ in gone:
                self._db.execute("DELETE FROM words WHERE session_id = ?", (session_id,))
                self._db.execute("DELETE FROM sessions WHERE id = ?", (session_id,))
        return sum(tip != "" for _, tip in gone)

    def put(self, info: SessionInfo, turns: Sequence[Turn]) -> SessionInfo:
        """Add a conversation from elsewhere under ids of its own; `turns` in the order of asking."""
        session_id = secrets.token_hex(8)
        ids = {turn.id: secrets.token_hex(8) for turn in turns}
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO sessions (id, title, is_named, created_at, changed_at, tip, model) "
                "VALUES (?, ?, 1, ?, ?, ?, ?)",
                (session_id, info.title, info.created_at, time.time(), ids[turns[-1].id] if turns else "", info.model),
            )
            for turn in turns:
                self._db.execute(
                    f"INSERT INTO turns ({_TURN}, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, '', '', '', ?, 0, ?)",
                    (ids[turn.id], session_id, turn.number, turn.question, turn.query, turn.state, turn.asked_at,
                     ids.get(turn.parent_id, ""), turn.asked_at),
                )  # fmt: skip
                mine = Turn(ids[turn.id], session_id, turn.number, turn.question, turn.query, turn.state, turn.asked_at)
                self._write_end(mine, turn.state, turn.answer, turn.error, turn.asked_at)
        return self.find(session_id)

    # --- words ---------------------------------------------------------------------------------------------------

    def _hits(self, query: str, limit: int, *, any_word: bool = False) -> list[tuple[str, str, str]]:
        """(turn, session, snippet), best first; where no word begins so, by the bare letters: Chinese has no spaces."""
        terms = re.findall(r"\w+", query)
        if not terms:
            return []
        joiner = " OR " if any_word else " "
        wanted = joiner.join(f'"{term}"' + ("" if any_word else "*") for term in terms)
        rows = self._db.execute(
            "SELECT turn_id, session_id, snippet(words, -1, '', '', '…', 12) FROM words WHERE words MATCH ? "
            "ORDER BY rank LIMIT ?",
            (wanted, limit),
        ).fetchall()
        if not rows and not any_word:
            like = f"%{_escaped(query)}%"
            rows = self._db.execute(
                "SELECT turn_id, session_id, substr(question || ' ' || answer, 1, 80) FROM words "
                "WHERE question LIKE ?1 ESCAPE '\\' OR answer LIKE ?1 ESCAPE '\\' LIMIT ?2",
                (like, limit),
            ).fetchall()
        return [(str(turn), str(session), " ".join(str(snippet).split())) for turn, session, snippet in rows]

    def _info_of(self, session_id: str, snippet: str) -> SessionInfo | None:
        row = self._db.execute(f"SELECT {_INFO} FROM sessions s WHERE s.id = ?", (session_id,)).fetchone()
        return _info(row, snippet) if row else None


def title_of(question: str) -> str:
    """The beginning of a question, cut at a word."""
    line = " ".join(question.split())
    if len(line) <= _TITLE:
        return line
    return line[:_TITLE].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def _info(row: tuple[Any, ...], snippet: str = "") -> SessionInfo:
    session_id, title, created_at, changed_at, turns, model, is_deleted = row
    return SessionInfo(session_id, title, created_at, changed_at, turns, model, bool(is_deleted), snippet)


def _turn(row: tuple[Any, ...]) -> Turn:
    turn_id, session_id, number, question, query, state, asked_at, data, text, error, parent_id, writer = row
    state = TurnState(state)
    if state is TurnState.WRITING and not _is_alive(writer, asked_at):
        state = TurnState.STOPPED
    answer = wire.read_answer(json.loads(data)) if data else None
    if answer is None and text:
        answer = Answer(question, Verdict.STOPPED, text, text)
    return Turn(turn_id, session_id, number, question, query, state, asked_at, answer, error, parent_id=parent_id)


def _is_alive(process: int, since: float) -> bool:
    if process <= 0 or time.time() - since > _ABANDONED_S:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
