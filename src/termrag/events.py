"""The tagged values that the façade yields, every face draws and the wire carries.

An event reports, an exception ends: one bad PDF is a Failed event, a missing model raises.
"""

from __future__ import annotations

from termrag import light
from termrag.indexstate import IndexReport
from termrag.records import Answer, Passage, Sentence
from termrag.turns import Turn

# --- asking ------------------------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class Started:
    """The question is kept: always the first event of a question of a session."""

    turn: Turn


@light.dataclass(frozen=True, slots=True)
class Searching:
    question: str


@light.dataclass(frozen=True, slots=True)
class Retrieved:
    passages: tuple[Passage, ...]


@light.dataclass(frozen=True, slots=True)
class Refused:
    """The gate said no: nothing is generated. `nearest` are the passages that came closest."""

    reason: str
    nearest: tuple[Passage, ...]


@light.dataclass(frozen=True, slots=True)
class Loading:
    model: str


@light.dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that is no failure, such as a smaller model standing in for the chosen one."""

    message: str


@light.dataclass(frozen=True, slots=True)
class Reading:
    """The prompt is being evaluated: `done` of `total` tokens."""

    done: int
    total: int


@light.dataclass(frozen=True, slots=True)
class Token:
    """A piece of text as generated, of some `tokens`. Pieces join to the whole answer before cleaning."""

    text: str
    tokens: int = 1


@light.dataclass(frozen=True, slots=True)
class Checked:
    """A sentence is finished and has been held against the passages. `mark` is what a face shows right after its last
    visible character: the numbers of its citations with the space before them, or nothing."""

    sentence: Sentence
    mark: str = ""


@light.dataclass(frozen=True, slots=True)
class Answered:
    """Always the last event of a question, also of a refused or stopped one."""

    answer: Answer


# --- ingesting ---------------------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class Planned:
    add: int
    change: int
    move: int
    remove: int
    unchanged: int
    size_bytes: int


@light.dataclass(frozen=True, slots=True)
class Indexed:
    """`embedded` of the document's `chunks` were computed; the others' vectors were known already."""

    path: str
    chunks: int
    embedded: int
    seconds: float
    warnings: tuple[str, ...] = ()


@light.dataclass(frozen=True, slots=True)
class Embedded:
    """Documents that were searchable by their words alone have their vectors now."""

    documents: int
    chunks: int


@light.dataclass(frozen=True, slots=True)
class Skipped:
    path: str
    reason: str


@light.dataclass(frozen=True, slots=True)
class Failed:
    path: str
    message: str
    hint: str = ""


@light.dataclass(frozen=True, slots=True)
class Moved:
    old: str
    new: str


@light.dataclass(frozen=True, slots=True)
class Removed:
    path: str


@light.dataclass(frozen=True, slots=True)
class Held:
    """So many documents of a folder have no file any more that it may be a mistake: they stay until a second sweep
    finds the same."""

    path: str
    count: int


@light.dataclass(frozen=True, slots=True)
class Progress:
    """`eta_s` is None until there is a rate to compute it from."""

    files_done: int
    files_total: int
    chunks_done: int
    chunks_per_second: float
    eta_s: float | None
    current: str = ""


@light.dataclass(frozen=True, slots=True)
class Finished:
    """Always the last event of a run. Files, except `chunks` and `embedded`."""

    indexed: int
    unchanged: int
    moved: int
    removed: int
    skipped: int
    failed: int
    chunks: int
    embedded: int
    seconds: float
    interrupted: bool = False


IngestEvent = Planned | Notice | Held | Indexed | Embedded | Skipped | Failed | Moved | Removed | Progress | Finished


@light.dataclass(frozen=True, slots=True)
class Rested:
    """A watcher has had nothing to do for a while, and has given back the memory that it could."""


# --- the index as a whole ----------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class Copying:
    """`done` of `total` chunks, or bytes where the stage is `checking files`; `eta_s` is None until there is a rate."""

    stage: str
    done: int
    total: int
    per_second: float = 0.0
    eta_s: float | None = None


@light.dataclass(frozen=True, slots=True)
class Copied:
    """An index, or a file set of one, is complete at `place`: always the last event of what copies one."""

    place: str
    documents: int
    chunks: int
    size_bytes: int
    seconds: float
    notes: tuple[str, ...] = ()


@light.dataclass(frozen=True, slots=True)
class Examined:
    """Ledger and store have been held against each other."""

    report: IndexReport


# --- fetching models ---------------------------------------------------------------------------------------------


@light.dataclass(frozen=True, slots=True)
class Downloading:
    file: str
    done_bytes: int
    total_bytes: int


@light.dataclass(frozen=True, slots=True)
class Preparing:
    """A fetched model is being turned into the form that its engine loads."""

    what: str


@light.dataclass(frozen=True, slots=True)
class Verified:
    file: str
    path: str


PullEvent = Downloading | Preparing | Verified

CopyEvent = Copying | Copied
VerifyEvent = Copying | IngestEvent | Examined

# A question may have to fetch its model first.
AskEvent = (
    Started | Searching | Retrieved | Refused | Loading | Notice | Reading | Token | Checked | Answered | PullEvent
)
