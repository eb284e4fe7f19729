"""The façade's answers, which run on the models lane, and searches, which need it for their embedding at most: much
of a search is waiting for the disk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from termrag import conversing
from termrag.errors import TermragError
from termrag.events import Answered, AskEvent
from termrag.paths import absolute
from termrag.pending import Later
from termrag.rag.door import Door, in_order
from termrag.records import Filters, Hit, Message, Sampling
from termrag.turns import Turn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from termrag.answer import Evidence, Request
    from termrag.context import Handed
    from termrag.followup import Resolved


SearchMode = Literal["hybrid", "vector", "text"]


class Asking(Door):
    """Questions, answered or searched for."""

    async def ask(
        self,
        question: str,
        *,
        session: str | None = None,
        parent: str | None = None,
        recall: bool | None = None,
        filters: Filters | None = None,
        sampling: Sampling | None = None,
        context: str | None = None,
        context_name: str = "stdin",
        attached: Sequence[str | Path] = (),
        history: Sequence[Message] = (),
        general: bool = False,
        system: str = "",
    ) -> AsyncGenerator[AskEvent, None]:
        """Answer a question, ending with Answered.

        With `session`, the id of one, the turn is kept and follows `parent`: the end of the current branch for None,
        nothing for an empty text; with `recall` the answer remembers other conversations. With `context`, or files that
        are `attached`, the answer rests on these instead of the library; `general` asks the model alone. `system` is
        added to the instructions of the model. Raises UnreadableFile, ModelMissing, EngineFailed, LibraryMismatch,
        StoreUnavailable, or NotFound for the session.
        """
        is_handed = context is not None or attached
        texts = await self._searches.run(self._handed, context, context_name, attached) if is_handed else []
        turns = await self._evidence.run(conversing.turns_before, self._parts, session, parent, history)
        request = self._request(question, turns, texts, None if general else filters or Filters(), sampling)
        request = replace(request, system=system)

        def start() -> Iterator[AskEvent]:
            if session is None:
                events = self._parts.answers(request)
            else:
                events = conversing.kept(self._parts, replace(request, session_id=session), parent, recall)
            return cast("Iterator[AskEvent]", events)  # the lane sees to what is pending

        async with aclosing(self._models.stream(start)) as events:
            async for event in events:
                if isinstance(event, Answered):
                    _log(event)
                yield event

    def _request(
        self,
        question: str,
        turns: tuple[Turn, ...],
        texts: Sequence[Handed],
        filters: Filters | None,
        sampling: Sampling | None,
    ) -> Request:
        from termrag.answer import Request
        from termrag.followup import resolve

        resolved = resolve(question, turns)
        return Request(
            question=question,
            find=None if filters is None else self._finder(filters, texts, resolved),
            sampling=sampling or self.sampling(),
            query=resolved.query,
            turns=turns,
            gated=not texts,
            strictness=self.config.retrieval.gate,
        )

    def _handed(self, context: str | None, name: str, attached: Sequence[str | Path]) -> list[Handed]:
        from termrag.context import handed_text

        texts = [] if context is None else [handed_text(name, context)]
        return [*texts, *self._parts.read([absolute(file) for file in attached])] if attached else texts

    def _finder(
        self, filters: Filters, texts: Sequence[Handed], resolved: Resolved
    ) -> Callable[[str], Later[Evidence]]:
        parts, embed, later = self._parts, self._embed_elsewhere, self._evidence.later
        if texts:
            return lambda question: later(parts.evidence_in, texts, question, embed)
        return lambda question: later(parts.evidence, question, filters, resolved, embed)

    def sampling(self) -> Sampling:
        """How tokens are chosen where a question does not say it, as configured."""
        return self.config.generation.sampling()

    async def search(
        self,
        query: str,
        *,
        limit: int = 8,
        filters: Filters | None = None,
        mode: SearchMode = "hybrid",
        vector: Sequence[float] | None = None,
    ) -> list[Hit]:
        """The best chunks for a query, best first. The query may carry filters such as `type:pdf`. A `vector` stands in
        place of the query's embedding; then a query without words finds what is near it. Raises UnfitVector."""
        filters, embed = filters or Filters(), self._embed_elsewhere
        return await self._searches.run(self._parts.search, query, limit, filters, mode, embed, vector)

    async def warm(self) -> None:
        """Load what a search needs, as far as it is here: the embedding model and the index."""
        with suppress(TermragError):
            embedder = self._parts.embedder()
            await (self._searches if embedder.is_parallel else self._models).run(embedder.load)
            await self._searches.run(self._parts.searchable)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One unit vector per text, shape (len(texts), dimension); a few texts at a time, so that others have their
        turns between. Raises ModelMissing or EngineFailed."""
        parts = self._batches(texts)
        vectors = [await self._models.run(self._parts.embed, [texts[each] for each in part]) for part in parts]
        return in_order(parts, vectors)

    async def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens the embedding model sees in these texts, special ones left out."""
        count = self._parts.embedder().count_tokens
        return await self._models.run(lambda: sum(map(count, texts)))


def _log(event: Answered) -> None:
    from termrag.logs import log_answer

    answer = event.answer
    log_answer(answer.verdict, answer.engine, answer.model, dict(answer.stages_ms), answer.usage)
