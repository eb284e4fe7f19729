"""OpenAI's shapes, as far as they mean something here; what is not known is left out, as its clients expect."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from termrag.records import Budget, Citation, Sentence

_OPEN = ConfigDict(extra="ignore")

Stop = Annotated[str, MinLen(1), MaxLen(200)]
ModelName = Annotated[str, MinLen(1), MaxLen(200)]
Text = Annotated[str, MaxLen(10_000_000)]


@dataclass(frozen=True, slots=True, config=_OPEN)
class ContentPart:
    """A piece of a message; only `text` can be read."""

    type: Annotated[str, MaxLen(100)]
    text: Text | None = None


@dataclass(frozen=True, slots=True, config=_OPEN)
class ChatMessage:
    """`system` and `developer` instruct, `user` asks, `assistant` is what was answered before."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Text | Annotated[tuple[ContentPart, ...], MaxLen(1000)] | None = None


@dataclass(frozen=True, slots=True, config=_OPEN)
class StreamOptions:
    include_usage: bool | None = None


@dataclass(frozen=True, slots=True, config=_OPEN)
class ResponseFormat:
    type: Annotated[str, MaxLen(100)] = "text"


@dataclass(frozen=True, slots=True, config=_OPEN)
class ChatCompletionRequest:
    """`model` termrag answers from the documents, the name of the chat model in use from that alone. Penalties and
    tools are accepted and have no effect; so have fields that are not listed."""

    model: ModelName
    messages: Annotated[tuple[ChatMessage, ...], MinLen(1), MaxLen(10_000)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Ge(0), Le(5)] | None = None
    top_p: Annotated[float, Ge(0), Le(1)] | None = None
    top_k: Annotated[int, Ge(0), Le(1_000_000)] | None = None
    min_p: Annotated[float, Ge(0), Le(1)] | None = None
    repetition_penalty: Annotated[float, Ge(0.1), Le(5)] | None = None
    seed: Annotated[int, Ge(-(2**63)), Le(2**63 - 1)] | None = None
    max_tokens: Annotated[int, Ge(1), Le(1_048_576)] | None = None
    max_completion_tokens: Annotated[int, Ge(1), Le(1_048_576)] | None = None
    stop: Stop | Annotated[tuple[Stop, ...], MaxLen(8)] | None = None
    n: Annotated[int, Ge(1), Le(128)] | None = None
    response_format: ResponseFormat | None = None


@plain_dataclass(frozen=True, slots=True)
class Grounds:
    """What an answer rests on: the field that OpenAI does not have."""

    verdict: str
    reason: str
    citations: tuple[Citation, ...]
    sentences: tuple[Sentence, ...]
    budget: Budget | None
    notices: tuple[str, ...]
    exit_code: int


@plain_dataclass(frozen=True, slots=True)
class PromptDetails:
    """`cached_tokens` were in the engine's prompt cache."""

    cached_tokens: int


@plain_dataclass(frozen=True, slots=True)
class CompletionUsage:
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


@plain_dataclass(frozen=True, slots=True)
class AssistantMessage:
    """`content` has the numbers of the citations in brackets, `[?]` behind sentences without support."""

    role: str
    content: str


@plain_dataclass(frozen=True, slots=True)
class Choice:
    """`finish_reason` is stop, or length where the answer was cut off."""

    index: int
    message: AssistantMessage
    finish_reason: str
    logprobs: None = None


@plain_dataclass(frozen=True, slots=True)
class ChatCompletion:
    """An answer in OpenAI's form, with its `termrag` field."""

    id: str
    object: str
    created: int
    model: str
    choices: tuple[Choice, ...]
    usage: CompletionUsage
    termrag: Grounds


@plain_dataclass(frozen=True, slots=True)
class OpenAIModel:
    """`created` is when this server started: nothing older is known."""

    id: str
    object: str
    created: int
    owned_by: str


@plain_dataclass(frozen=True, slots=True)
class OpenAIModels:
    object: str
    data: tuple[OpenAIModel, ...]


@dataclass(frozen=True, slots=True, config=_OPEN)
class EmbeddingRequest:
    """Texts; tokens of another model's tokenizer mean nothing here."""

    model: ModelName
    input: Text | Annotated[tuple[Text, ...], MinLen(1), MaxLen(2048)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Ge(1), Le(100_000)] | None = None


@plain_dataclass(frozen=True, slots=True)
class OpenAIEmbedding:
    """Numbers, or in base64 their bytes as float32, the lowest byte first."""

    object: str
    index: int
    embedding: tuple[float, ...] | str


@plain_dataclass(frozen=True, slots=True)
class EmbeddingUsage:
    prompt_tokens: int
    total_tokens: int


@plain_dataclass(frozen=True, slots=True)
class OpenAIEmbeddings:
    object: str
    model: str
    data: tuple[OpenAIEmbedding, ...]
    usage: EmbeddingUsage
