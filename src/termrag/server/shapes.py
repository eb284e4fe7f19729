"""Bodies and queries that clients send, with their limits; strict, so that a mistyped name is told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import ConfigDict, Field, Json, StringConstraints, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

_STRICT = ConfigDict(extra="forbid")

Question = Annotated[str, MinLen(1), MaxLen(20_000)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
References = Annotated[tuple[Reference, ...], MaxLen(1000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Limit = Annotated[int, Ge(1), Le(1000)]
Mode = Literal["hybrid", "vector", "text"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Numbers = Annotated[tuple[Number, ...], MinLen(1), MaxLen(8192)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class SamplingBody:
    """How tokens are chosen; what is left out is as configured."""

    temperature: Annotated[float, Ge(0), Le(5)] | None = None
    top_p: Annotated[float, Ge(0), Le(1)] | None = None
    top_k: Annotated[int, Ge(0), Le(1_000_000)] | None = None
    min_p: Annotated[float, Ge(0), Le(1)] | None = None
    repetition_penalty: Annotated[float, Ge(0.1), Le(5)] | None = None
    seed: Annotated[int, Ge(0), Le(2**31 - 1)] | None = None
    max_tokens: Annotated[int, Ge(1), Le(1_048_576)] | None = None
    stop: Annotated[tuple[Annotated[str, MinLen(1), MaxLen(200)], ...], MaxLen(8)] = ()


@dataclass(frozen=True, slots=True, config=_STRICT)
class FilterBody:
    """Which documents may be used: paths or ids, globs, suffixes, days of the last change."""

    documents: References = ()
    globs: References = ()
    types: Annotated[tuple[Name, ...], MaxLen(100)] = ()
    after: Annotated[str, MaxLen(10)] = ""
    before: Annotated[str, MaxLen(10)] = ""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Generate:
    """A question. `text` is answered from instead of the library; `session` is the id of a kept conversation, or `new`;
    `parent` the turn to follow, empty for a new beginning."""

    question: Question
    filters: FilterBody = FilterBody()
    text: Annotated[str, MaxLen(10_000_000)] = ""
    text_name: Name = "text"
    session: Annotated[str, MaxLen(100)] = ""
    parent: Annotated[str, MaxLen(100)] | None = None
    sampling: SamplingBody = SamplingBody()
    general: bool = False
    stream: bool = False


@dataclass(frozen=True, slots=True, config=_STRICT)
class GenerateUpload:
    """The fields of a form beside its files. Without `keep` the files are read for this answer alone; `sampling` is
    JSON, as for a question without files."""

    question: Question
    session: Annotated[str, MaxLen(100)] = ""
    sampling: Json[SamplingBody] = SamplingBody()
    keep: bool = False
    stream: bool = False


@dataclass(frozen=True, slots=True, config=_STRICT)
class Search:
    """A search. A `vector` stands in place of the query's embedding; with mode vector the query may then be empty, with
    mode hybrid the words come from it. `explain` adds how each hit came to its place."""

    query: Annotated[str, MaxLen(20_000)] = ""
    limit: Limit = 8
    mode: Mode = "hybrid"
    filters: FilterBody = FilterBody()
    explain: bool = False
    vector: Numbers | None = None

    @model_validator(mode="after")
    def _has_what_its_mode_needs(self) -> Self:
        if self.vector is not None and self.mode == "text":
            raise PydanticCustomError("mode", "mode text searches by words alone, without a vector")
        if not self.query and (self.vector is None or self.mode != "vector"):
            raise PydanticCustomError("query", "a query is needed, or a vector with mode vector")
        return self


@dataclass(frozen=True, slots=True, config=_STRICT)
class ChunkBody:
    """A piece of a text. Without a `vector` it is embedded here."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=100_000, pattern=r"\S")]
    vector: Numbers | None = None


@dataclass(frozen=True, slots=True, config=_STRICT)
class Upsert:
    """A text to be indexed under a name, or the `chunks` of one, which are not cut again; the same name again replaces
    it."""

    name: Name
    text: Annotated[str, MinLen(1), MaxLen(10_000_000)] | None = None
    chunks: Annotated[tuple[ChunkBody, ...], MinLen(1), MaxLen(10_000)] | None = None

    @model_validator(mode="after")
    def _has_one_of_both(self) -> Self:
        if (self.text is None) == (self.chunks is None):
            raise PydanticCustomError("text", "either text or chunks is needed")
        return self


@dataclass(frozen=True, slots=True, config=_STRICT)
class Paths:
    """Files or folders of the server's machine."""

    paths: Annotated[tuple[Reference, ...], MinLen(1), MaxLen(1000)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Title:
    title: Annotated[str, MinLen(1), MaxLen(500)]


@dataclass(frozen=True, slots=True, config=_STRICT)
class Folder:
    """A folder to watch, with patterns in .gitignore form."""

    path: Reference
    include: Annotated[tuple[Name, ...], MaxLen(100)] = ()
    exclude: Annotated[tuple[Name, ...], MaxLen(100)] = ()


@dataclass(frozen=True, slots=True, config=_STRICT)
class Page:
    """Which part of a list, and what it must match."""

    limit: Limit = 100
    offset: Annotated[int, Ge(0), Le(10_000_000)] = 0
    match: Annotated[str, MaxLen(4096)] = ""
    failed: bool = False


@dataclass(frozen=True, slots=True, config=_STRICT)
class SessionPage:
    query: Annotated[str, MaxLen(1000)] = ""
    limit: Limit = 100
    deleted: bool = False


@dataclass(frozen=True, slots=True, config=_STRICT)
class ExportForm:
    format: Literal["markdown", "html", "json"] = "markdown"


@dataclass(frozen=True, slots=True, config=_STRICT)
class Resume:
    """The number of the last event that came; the header `Last-Event-ID` says the same."""

    after: Annotated[int, Ge(0), Le(10_000_000)] = 0


@dataclass(frozen=True, slots=True, config=_STRICT)
class Nothing:
    """A form of files alone."""


@dataclass(frozen=True, slots=True, config=_STRICT)
class Path:
    path: Reference
