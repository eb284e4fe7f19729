"""One question from search to checked answer, as a generator of events; owns the order of the stages and their timing.

The model is opened only after the gate has let the question pass: a refusal never waits for a model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from termrag import grounding
from termrag.engines import Done, Engine, Piece, Prefill, Stream
from termrag.events import Answered, AskEvent, Checked, Notice, Reading, Refused, Retrieved, Searching, Token
from termrag.memory import Memory, recall, remember
from termrag.pending import Later, Pending
from termrag.prompt import GENERAL, SYSTEM, Prompt, pack
from termrag.records import Answer, Hit, Message, Passage, Sampling, Sentence, Usage, Verdict
from termrag.turns import Turn

Embed = grounding.Embed
_MEMORY_SHARE = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a search brought: the hits the gate judges and the passages a prompt may hold."""

    hits: tuple[Hit, ...]
    passages: tuple[Passage, ...]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """A question with all that shapes its answer.

    `find` is None for a question without documents; `gated` is False where the user handed over the text to answer
    from. `query` is what to search: the question itself, or what a follow-up was resolved to. `turns` are those before
    it on its branch, oldest first; `recalled` are others that a search found. `session_id` is empty where nothing is
    kept. `system` are instructions of the client's own.
    """

    question: str
    find: Callable[[str], Evidence | Later[Evidence]] | None
    sampling: Sampling
    query: str = ""
    turns: tuple[Turn, ...] = ()
    recalled: tuple[Turn, ...] = ()
    session_id: str = ""
    gated: bool = True
    strictness: float = 1.0
    system: str = ""

    @property
    def searched(self) -> str:
        return self.query or self.question


@dataclass(frozen=True, slots=True)
class Chat:
    """A loaded engine, and how much text of passages its model reads with profit (0: all that fits). `generate` is its
    stream beside others; None: the engine is this answer's alone."""

    engine: Engine
    passage_characters: int = 0
    generate: Callable[[Sequence[Message], Sampling], Stream] | None = None


OpenChat = Callable[[], Generator[AskEvent, None, Chat]]


class Stages:
    """A stopwatch with named laps, in milliseconds."""

    def __init__(self) -> None:
        self.laps: list[tuple[str, float]] = []
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps.append((name, round((now - self._last) * 1000, 2)))
        self._last = now


def ask(request: Request, open_chat: OpenChat, embed: Embed | None) -> Iterator[AskEvent | Pending]:
    """Yield the events of one question, ending with Answered; Pending where the model is at work elsewhere. Closing
    the generator stops the model's compute.

    Raises ModelMissing or EngineFailed where no answer can be had.
    """
    stages = Stages()
    yield Searching(request.searched)
    found = request.find(request.searched) if request.find else Evidence((), ())
    evidence = (yield from found.result()) if isinstance(found, Later) else found
    stages.lap("search")
    for notice in evidence.notices:
        yield Notice(notice)
    yield Retrieved(evidence.passages)
    reason = _refusal(request, evidence)
    stages.lap("gate")
    if reason:
        yield Refused(reason, evidence.passages)
        yield Answered(_refused(request.question, reason, evidence, stages))
        return
    chat = yield from open_chat()
    stages.lap("model")
    prompt = _pack(request, evidence, chat)
    grounding.prepare(prompt.passages)
    stages.lap("pack")
    for event in _generate(request, prompt, chat, embed, stages):
        yield _with_notices(event, evidence.notices)


def _with_notices(event: AskEvent | Pending, notices: tuple[str, ...]) -> AskEvent | Pending:
    return Answered(replace(event.answer, notices=notices)) if notices and isinstance(event, Answered) else event


def _refusal(request: Request, evidence: Evidence) -> str:
    """Why nothing should be generated, or an empty text."""
    if request.find is None:
        return ""
    if not evidence.passages:
        return "nothing in the documents resembles the question"
    if not request.gated:
        return ""
    decision = grounding.gate(request.searched, evidence.hits, strictness=request.strictness)
    return "" if decision.passes else decision.reason


def _refused(question: str, reason: str, evidence: Evidence, stages: Stages) -> Answer:
    return Answer(
        question,
        Verdict.NOT_FOUND,
        "",
        "",
        passages=evidence.passages,
        reason=reason,
        stages_ms=tuple(stages.laps),
        notices=evidence.notices,
    )


def _pack(request: Request, evidence: Evidence, chat: Chat) -> Prompt:
    window = chat.engine.context_length
    limit = window - min(request.sampling.max_tokens, window // 2)  # a longer answer ends at the window's end
    return pack(
        request.question,
        evidence.passages,
        query=request.searched,
        memory=_memory(request, limit, chat),
        limit=limit,
        count=chat.engine.count_tokens,
        system=_system(request),
        characters=chat.passage_characters,
    )


def _system(request: Request) -> str:
    """What a client adds stands behind the rules of answering from documents, and replaces the mere politeness."""
    if request.find is None:
        return request.system or GENERAL
    return f"{SYSTEM}\n\n{request.system}" if request.system else SYSTEM


def _memory(request: Request, limit: int, chat: Chat) -> Memory:
    """What is remembered takes half the window at most; a very small model reads the last turns only."""
    if chat.passage_characters:
        return remember(request.turns, chat.passage_characters // _MEMORY_SHARE)
    memory = remember(request.turns, limit // _MEMORY_SHARE)
    candidates = (*memory.dropped, *memory.short, *request.recalled)
    return replace(memory, recalled=recall(request.searched, candidates, memory.full))


def _generate(
    request: Request, prompt: Prompt, chat: Chat, embed: Embed | None, stages: Stages
) -> Iterator[AskEvent | Pending]:
    generate = chat.generate or chat.engine.stream
    writer = _Writer(
        request.question,
        prompt.passages,
        grounding.remembering(embed) if embed else None,
        checked=request.find is not None,
    )
    reason, usage = "stop", Usage()
    with closing(generate(prompt.messages, request.sampling)) as tokens:
        for event in tokens:
            match event:
                case Pending():
                    yield event
                case Prefill(done, total):
                    yield Reading(done, total)
                case Piece(text, count):
                    yield from writer.feed(text, count)
                    if writer.is_over:
                        break
                case Done(reason=why, usage=used):
                    reason, usage = why, used
    stages.lap("generate")
    yield from writer.finish()
    stages.lap("check")
    if reason == "lost":
        yield Notice("the connection to the model broke; this is what had arrived")
    answer = _answer(request, prompt, chat.engine, writer.sentences, usage, stages)
    yield Answered(replace(answer, is_cut_off=reason == "length"))


def _answer(
    request: Request,
    prompt: Prompt,
    engine: Engine,
    sentences: Sequence[Sentence],
    usage: Usage,
    stages: Stages,
) -> Answer:
    verdict = grounding.verdict(sentences) if request.find else Verdict.GENERAL
    return Answer(
        question=request.question,
        verdict=verdict,
        text="".join(sentence.text for sentence in sentences).strip(),
        cited_text=grounding.cited(sentences).strip(),
        sentences=tuple(sentences),
        passages=prompt.passages,
        reason="the model found no answer in the passages" if verdict is Verdict.NOT_FOUND else "",
        usage=usage,
        budget=prompt.budget,
        model=engine.model,
        engine=engine.name,
        stages_ms=tuple(stages.laps),
    )


@dataclass(slots=True)
class _Writer:
    """Turns generated pieces into Token and Checked events, so that a sentence's Checked comes right after its last
    visible character: a face can append the citation there while it streams."""

    question: str
    passages: tuple[Passage, ...]
    embed: Embed | None
    checked: bool
    sentences: list[Sentence] = field(default_factory=list)
    _cleaner: grounding.Cleaner = field(init=False)
    _splitter: grounding.SentenceStream = field(default_factory=grounding.SentenceStream)
    _open: str = ""  # text of the unfinished sentence
    _shown: int = 0  # how much of it has been yielded
    _tokens: int = 0  # that came since
    _gap: str = ""  # white space owed before the next token

    def __post_init__(self) -> None:
        self._cleaner = grounding.Cleaner(self.question)

    @property
    def is_over(self) -> bool:
        """Nothing that may still come belongs to the answer: the model repeats itself or speaks for the user."""
        return self._cleaner.looping or self._cleaner.ended

    def feed(self, piece: str, tokens: int = 1) -> Iterator[AskEvent]:
        self._tokens += tokens
        text = self._cleaner.feed(piece)
        if text:
            self._open += text
            yield from self._close_sentences(self._splitter.feed(text))
            yield from self._show(len(self._open.rstrip(_MAY_END)))

    def finish(self) -> Iterator[AskEvent]:
        text = self._cleaner.finish()
        self._open += text
        yield from self._close_sentences([*self._splitter.feed(text), *self._splitter.finish()])

    def _close_sentences(self, finished: Sequence[str]) -> Iterator[AskEvent]:
        for sentence in finished:
            yield from self._show(len(sentence.rstrip()))
            self._gap += sentence[len(sentence.rstrip()) :]
            self._open, self._shown = self._open[len(sentence) :], 0
            checked = self._check(sentence)
            self.sentences.append(checked)
            if self.checked:
                yield Checked(checked, _mark(checked))

    def _show(self, until: int) -> Iterator[AskEvent]:
        if until > self._shown:
            yield Token(self._gap + self._open[self._shown : until], self._tokens)
            self._gap, self._shown, self._tokens = "", until, 0

    def _check(self, sentence: str) -> Sentence:
        if not self.checked:
            return grounding.unchecked(sentence)
        before = self.sentences[-1].text if self.sentences else ""
        return grounding.check(sentence, self.passages, embed=self.embed, before=before)


def _mark(sentence: Sentence) -> str:
    """What `cited` puts behind the sentence's last visible character."""
    body = sentence.text.rstrip()
    marked = grounding.cited([sentence]).rstrip()
    return marked[len(body) :] if marked.startswith(body) else ""


# What may turn out to end a sentence is shown only once the sentence's end is decided.
_MAY_END = ".!?…。！？\"'»”’)]* \n\t"
