"""Between OpenAI's chat completions and questions: what is asked, and the answer in their form, whole or in pieces."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from termrag.grounding import marks
from termrag.marks import marked
from termrag.records import Answer, Message, Sampling, Sentence, Support, Verdict
from termrag.server.faults import Refused
from termrag.server.openai_shapes import (
    AssistantMessage,
    ChatCompletion,
    ChatCompletionRequest,
    ChatMessage,
    Choice,
    CompletionUsage,
    Grounds,
    PromptDetails,
)
from termrag.server.runs import Item
from termrag.wire import citations, plain

_INSTRUCTIONS = ("system", "developer")
_UNSUPPORTED = " [?]"
_MARK = re.compile(r" ?\[(?:\d{1,3}|\?)\]")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the messages come to: the last one of the user is the question, those before it are the history."""

    question: str
    history: tuple[Message, ...]
    system: str


def asked(body: ChatCompletionRequest) -> Asked:
    """Raises Refused (422) for what this API has no answer to."""
    if (body.n or 1) > 1:
        raise _invalid("n: one answer at a time")
    if body.response_format and body.response_format.type != "text":
        raise _invalid(f"response_format: {body.response_format.type} is not supported, only text")
    talk = [Message(each.role, _text(each)) for each in body.messages if each.role in ("user", "assistant")]
    while talk and talk[-1].role != "user":
        talk.pop()
    if not talk or not talk[-1].content.strip():
        raise _invalid("messages: there is no question, that is no text of the user")
    system = "\n\n".join(_text(each) for each in body.messages if each.role in _INSTRUCTIONS)
    return Asked(talk[-1].content, tuple(_unmarked(each) for each in talk[:-1]), system)


def _text(message: ChatMessage) -> str:
    if message.content is None or isinstance(message.content, str):
        return message.content or ""
    for part in message.content:
        if part.type not in ("text", "input_text", "output_text", "refusal"):
            raise _invalid(f"messages: {part.type} cannot be read, only text")
    return "".join(part.text or "" for part in message.content)


def _unmarked(message: Message) -> Message:
    """An earlier answer without the numbers of its passages: they name others now."""
    return message if message.role == "user" else replace(message, content=_MARK.sub("", message.content))


def _invalid(message: str) -> Refused:
    return Refused(422, "invalid", message, "see /openapi.json")


def sampling(body: ChatCompletionRequest, usual: Sampling) -> Sampling:
    """How tokens are chosen: what the request says, and otherwise as usual."""
    stop = (body.stop,) if isinstance(body.stop, str) else body.stop
    given: dict[str, Any] = {
        "temperature": body.temperature,
        "top_p": body.top_p,
        "top_k": body.top_k,
        "min_p": body.min_p,
        "repetition_penalty": body.repetition_penalty,
        "seed": None if body.seed is None else body.seed % 2**31,
        "max_tokens": body.max_completion_tokens or body.max_tokens,
        "stop": stop,
    }
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on its way out. `limit` is the longest answer in tokens."""

    id: str
    model: str
    limit: int
    with_usage: bool = False
    created: int = 0

    @classmethod
    def to(cls, body: ChatCompletionRequest, run_id: str, limit: int) -> Reply:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        return cls(f"chatcmpl-{run_id}", body.model, limit, with_usage, int(time.time()))

    def whole(self, answer: Answer) -> ChatCompletion:
        message = AssistantMessage("assistant", _content(answer))
        choice = Choice(0, message, self._finish(answer))
        return ChatCompletion(
            self.id, "chat.completion", self.created, self.model, (choice,), _usage(answer), _grounds(answer)
        )

    def chunks(self, item: Item) -> Iterator[str]:
        """What goes out for an event of the run, each as JSON; of most nothing does. Joined, the contents are that of
        the whole."""
        match item.type:
            case "run":
                yield self._chunk({"role": "assistant", "content": ""})
            case "token":
                yield self._chunk({"content": json.loads(item.data)["text"]})
            case "checked":
                data = json.loads(item.data)
                if mark := _UNSUPPORTED if data["sentence"]["support"] == Support.UNSUPPORTED else data["mark"]:
                    yield self._chunk({"content": mark})

    def last(self, answer: Answer) -> Iterator[str]:
        """The chunks after the text: a refusal, the end with what the answer rests on, and the usage if asked for."""
        if not answer.text:
            yield self._chunk({"content": _content(answer)})
        yield self._chunk({}, finish=self._finish(answer), termrag=plain(_grounds(answer)))
        if self.with_usage:
            yield json.dumps({**self._head(), "choices": [], "usage": plain(_usage(answer))})

    def _finish(self, answer: Answer) -> str:
        return "length" if answer.usage.generated_tokens >= self.limit else "stop"

    def _chunk(self, delta: dict[str, str], *, finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        usage = {"usage": None} if self.with_usage else {}
        return json.dumps({**self._head(), "choices": [choice], **usage, **more}, ensure_ascii=False)

    def _head(self) -> dict[str, Any]:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}


def _content(answer: Answer) -> str:
    """What a client shows that knows nothing of verdicts: the text with its marks, or why there is none."""
    if not answer.text and answer.verdict is Verdict.NOT_FOUND:
        return f"Not in your documents: {answer.reason}."
    return "".join(map(_with_mark, answer.sentences)).strip()


def _with_mark(sentence: Sentence) -> str:
    """A sentence with what the stream sends behind its last visible character."""
    body = sentence.text.rstrip()
    mark = _UNSUPPORTED
    if sentence.support is not Support.UNSUPPORTED:
        cited = marked(body, marks(sentence))
        mark = cited[len(body) :] if cited.startswith(body) else ""
    return body + mark + sentence.text[len(body) :]


def _usage(answer: Answer) -> CompletionUsage:
    used = answer.usage
    total = used.prompt_tokens + used.generated_tokens
    return CompletionUsage(used.prompt_tokens, used.generated_tokens, total, PromptDetails(used.cached_tokens))


def _grounds(answer: Answer) -> Grounds:
    return Grounds(
        answer.verdict.value,
        answer.reason,
        tuple(citations(answer)),
        answer.sentences,
        answer.budget,
        answer.notices,
        int(answer.exit_code),
    )
