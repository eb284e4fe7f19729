"""Settings: defaults < user file < environment < flags. Unknown keys are refused by name.

The file is TOML with one table per section below. The environment spells section and key in capitals:
`TERMRAG_GENERATION_TEMPERATURE=0.3`. Secrets are no settings: see `termrag.connection`.
"""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from termrag import light
from termrag.errors import ConfigError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

    from termrag.records import Sampling


def _setting(
    default: Any, doc: str, *, low: float | None = None, high: float | None = None, one_of: tuple[str, ...] = ()
) -> Any:
    return field(default=default, metadata={"doc": doc, "low": low, "high": high, "one_of": one_of})


@light.dataclass(frozen=True, slots=True)
class LibrarySettings:
    path: str = _setting("", "Folder of the index; empty: the platform's data folder.")
    collection: str = _setting("", "Named library that is meant where none is named; empty: the default one.")
    store: str = _setting("lancedb", "Where vectors and words live.", one_of=("lancedb", "qdrant"))
    fallback: str = _setting(
        "",
        "Where answers come from while a Qdrant server does not answer: lancedb keeps a mirror here; empty: nowhere.",
        one_of=("", "lancedb"),
    )


@light.dataclass(frozen=True, slots=True)
class QdrantSettings:
    url: str = _setting("", "Qdrant server, such as http://localhost:6333; empty: embedded in the library's folder.")
    collection: str = _setting("termrag", "Collection that holds the library.")
    api_key_file: str = _setting("", "File with the API key, readable by you alone; TERMRAG_QDRANT_API_KEY goes first.")
    ca_file: str = _setting("", "Certificate authority to trust for https, in PEM form; empty: those of the system.")
    prefer_grpc: bool = _setting(False, "Speak gRPC where the client can; its port must be open too.")
    grpc_port: int = _setting(6334, "Port for gRPC.", low=1, high=65_535)
    shards: int = _setting(1, "Parts a new collection is cut into.", low=1, high=10_000)
    replication: int = _setting(1, "Copies of every part of a new collection.", low=1, high=100)
    write_consistency: int = _setting(1, "Copies that must confirm a write.", low=1, high=100)
    quantization: str = _setting(
        "none", "Smaller vectors for searching, in a new collection.", one_of=("none", "scalar", "binary")
    )
    on_disk: bool = _setting(False, "Keep the vectors of a new collection on disk instead of in memory.")
    timeout_s: float = _setting(5.0, "Longest wait for an answer to a search.", low=0.1, high=600)
    write_timeout_s: float = _setting(60.0, "Longest wait for a write.", low=0.1, high=3600)
    patience_s: float = _setting(120.0, "An add waits so long for a server that does not answer.", low=0, high=86_400)


@light.dataclass(frozen=True, slots=True)
class LanceSettings:
    uri: str = _setting(
        "", "Where the tables lie, if not in the library's folder: s3://bucket/prefix, gs://bucket/prefix, a folder."
    )
    options: tuple[str, ...] = _setting(
        (), "What the object store must be told, each key=value; keys and secrets are better in its environment."
    )


@light.dataclass(frozen=True, slots=True)
class ModelSettings:
    engine: str = _setting(
        "auto", "What runs the chat model.", one_of=("auto", "mlx", "llamacpp", "openai", "scripted")
    )
    chat: str = _setting("llama-3.2-1b", "Chat model: a catalogue name, or the path of a GGUF file or MLX folder.")
    starter: str = _setting("smollm2-135m", "Chat model that stands in while the chosen one is not on this machine.")
    embedding: str = _setting("all-minilm-l6-v2", "Embedding model: a catalogue name, or openai:NAME.")
    context_tokens: int = _setting(4096, "Context window to open, in tokens.", low=512, high=1_048_576)
    threads: int = _setting(0, "Threads for models on the CPU; 0: as many as there are cores.", low=0, high=1024)
    hub_timeout_s: float = _setting(
        4.0, "How long to wait for a model hub before going on without it.", low=0.1, high=600
    )
    script: str = _setting("", "What the scripted engine says, or @FILE.")
    script_tokens_per_s: float = _setting(0.0, "How fast it speaks; 0: at once.", low=0, high=1_000_000)


@light.dataclass(frozen=True, slots=True)
class OpenAISettings:
    url: str = _setting("", "Base URL of an OpenAI-compatible endpoint, such as http://localhost:8000/v1.")
    model: str = _setting("", "Chat model to ask for there.")
    embedding_url: str = _setting("", "Base URL for embeddings; empty: the same as url.")
    context_tokens: int = _setting(8192, "Context window of the remote model, in tokens.", low=512, high=10_000_000)
    timeout_s: float = _setting(120.0, "Longest silence to accept from the endpoint.", low=0.1, high=3600)


@light.dataclass(frozen=True, slots=True)
class GenerationSettings:
    temperature: float = _setting(0.0, "0 is greedy and repeatable.", low=0, high=5)
    top_p: float = _setting(0.95, "Nucleus sampling; 1 is off.", low=0, high=1)
    top_k: int = _setting(0, "Keep the k likeliest tokens; 0 is off.", low=0, high=1_000_000)
    min_p: float = _setting(0.0, "Drop tokens below this share of the likeliest; 0 is off.", low=0, high=1)
    repetition_penalty: float = _setting(1.0, "1 is off.", low=0.1, high=5)
    max_tokens: int = _setting(384, "Longest answer, in tokens.", low=1, high=1_048_576)
    seed: int = _setting(-1, "Seed of the sampler; -1 is random.", low=-1)

    def sampling(self) -> Sampling:
        """The same as a question carries it."""
        from termrag.records import Sampling

        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            seed=None if self.seed < 0 else self.seed,
            max_tokens=self.max_tokens,
        )


@light.dataclass(frozen=True, slots=True)
class RetrievalSettings:
    candidates: int = _setting(100, "Chunks each leg of the search brings to the fusion.", low=1, high=10_000)
    passages: int = _setting(4, "Passages that go into a prompt.", low=1, high=50)
    passage_tokens: int = _setting(1500, "Tokens all passages may take together.", low=64, high=1_000_000)
    gate: float = _setting(
        1.0, "Strictness of the refusal gate: 0 never refuses, 1 as calibrated, 2 twice as strict.", low=0, high=10
    )


@light.dataclass(frozen=True, slots=True)
class DocumentSettings:
    chunk_tokens: int = _setting(256, "Longest chunk, in tokens of the embedding model.", low=32, high=8192)
    max_file_mb: int = _setting(200, "Larger files are refused before they are opened.", low=1, high=1_000_000)
    convert_timeout_s: float = _setting(120.0, "Longest time one file's parser may take.", low=1, high=86_400)
    convert_memory_mb: int = _setting(1500, "Memory one file's parser may take.", low=64, high=1_000_000)
    exclude: tuple[str, ...] = _setting((), "Patterns in .gitignore form that are never indexed.")


@light.dataclass(frozen=True, slots=True)
class WatchSettings:
    sweep_s: float = _setting(900.0, "A full look at every watched folder at least so often.", low=1, high=86_400)
    poll_s: float = _setting(
        10.0, "The same where the system does not tell of changes, and with --poll.", low=0.2, high=86_400
    )
    settle_s: float = _setting(0.3, "A file is read when it has been left alone so long.", low=0.05, high=60)
    idle_s: float = _setting(120.0, "Unload the embedding model after so long without work.", low=1, high=86_400)


@light.dataclass(frozen=True, slots=True)
class ServerSettings:
    host: str = _setting(
        "127.0.0.1", "Address to listen on; other machines reach the server only if it is not loopback."
    )
    port: int = _setting(8765, "Port to listen on; 0: any free one.", low=0, high=65_535)
    hosts: tuple[str, ...] = _setting((), "Names, beside those of this machine, that a request may call the server by.")
    origins: tuple[str, ...] = _setting((), "Web pages of these origins may use the API from a browser.")
    concurrent: int = _setting(
        4, "Answers written at the same time; a local model takes memory for a context of each.", low=1, high=256
    )
    queue: int = _setting(
        32, "Questions that may wait for their turn, half of them of one key; more are refused.", low=0, high=10_000
    )
    queue_s: float = _setting(60.0, "Longest wait for a turn.", low=0.1, high=3600)
    requests_per_minute: int = _setting(600, "Most requests of one key or stranger in a minute; 0: any.", low=0)
    address_requests_per_minute: int = _setting(
        6000, "Most requests from one address in a minute, whatever keys they bring; 0: any.", low=0
    )
    body_mb: float = _setting(2.0, "Largest JSON body.", low=0.01, high=1024)
    upload_mb: float = _setting(200.0, "Largest upload, all files together.", low=0.1, high=1_000_000)
    upload_files: int = _setting(100, "Most files in one upload.", low=1, high=10_000)
    body_timeout_s: float = _setting(60.0, "Longest pause of a client that sends a body.", low=0.1, high=3600)
    upload_timeout_s: float = _setting(1800.0, "Longest time for a whole upload.", low=0.1, high=86_400)
    header_timeout_s: float = _setting(15.0, "Longest time for a client to say what it wants.", low=0.1, high=3600)
    connections: int = _setting(
        1000, "Most connections at the same time; more are closed at once.", low=1, high=100_000
    )
    resume_s: float = _setting(
        10.0, "A stream whose client is gone ends after so long, unless it is resumed.", low=0, high=3600
    )
    keep_alive_s: float = _setting(600.0, "Unload the models after so long without a question.", low=1, high=604_800)
    visitors: int = _setting(4, "Most chats in browsers at the same time; 0: none.", low=0, high=1000)
    log: str = _setting("console", "Form of the log on stderr.", one_of=("console", "json"))
    jwt_algorithm: str = _setting("", "Accept JSON Web Tokens signed so; empty: none.", one_of=("", "HS256", "RS256"))
    jwt_key_file: str = _setting("", "File with the secret (HS256) or the public key (RS256) of the tokens.")
    jwt_issuer: str = _setting("", "Who must have issued a token.")
    jwt_audience: str = _setting("termrag", "Whom a token must be meant for.")
    traces_url: str = _setting("", "OpenTelemetry collector (OTLP over HTTP) that gets traces; empty: none.")


@light.dataclass(frozen=True, slots=True)
class TuiSettings:
    theme: str = _setting("auto", "Theme of the full-screen chat; auto: dark or light as the terminal is.")
    reading_width: int = _setting(110, "Widest lines of the conversation, in cells.", low=40, high=500)


@light.dataclass(frozen=True, slots=True)
class SessionSettings:
    save: bool = _setting(True, "Keep questions and answers; --no-save leaves out one.")
    recall: bool = _setting(False, "Let answers remember other conversations that speak of the question.")
    prefix_mb: int = _setting(
        1024,
        "Disk for what models have read of kept conversations, so that they go on at once; 0: none.",
        low=0,
        high=1_000_000,
    )


@light.dataclass(frozen=True, slots=True)
class Config:
    """All settings, checked. `source` names the file they came from, for error messages."""

    library: LibrarySettings = field(default_factory=LibrarySettings)
    qdrant: QdrantSettings = field(default_factory=QdrantSettings)
    lancedb: LanceSettings = field(default_factory=LanceSettings)
    models: ModelSettings = field(default_factory=ModelSettings)
    openai: OpenAISettings = field(default_factory=OpenAISettings)
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    documents: DocumentSettings = field(default_factory=DocumentSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    tui: TuiSettings = field(default_factory=TuiSettings)
    server: ServerSettings = field(default_factory=ServerSettings)

    def with_values(self, values: Mapping[str, Mapping[str, Any]], source: str) -> Config:
        """A copy with the given section tables laid over. Raises ConfigError naming `source` and the key."""
        sections: dict[str, Any] = {}
        for section, table in values.items():
            if section not in {f.name for f in dataclasses.fields(self)}:
                raise ConfigError(f"{source}: unknown section [{section}]", f"Sections: {', '.join(_section_names())}")
            if not isinstance(table, Mapping):
                raise ConfigError(
                    f"{source}: {section} must be a table", f"Write [{section}] and one key per line below it."
                )
            sections[section] = _lay_over(getattr(self, section), section, table, source)
        return dataclasses.replace(self, **sections)


def load_config(file: Path, environ: Mapping[str, str] | None = None) -> Config:
    """Defaults, then `file` if it exists, then TERMRAG_* of the environment. Raises ConfigError."""
    config = Config()
    if file.exists():
        config = config.with_values(read_settings(file), str(file))
    return config.with_values(from_environment(os.environ if environ is None else environ), "environment")


def read_settings(file: Path) -> dict[str, Any]:
    """The section tables of a settings file, not yet checked. Raises ConfigError for what is no TOML."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}", "termrag config edit") from error


@light.dataclass(frozen=True, slots=True)
class Setting:
    """What may be set and what it means. `kind` is int, float, str, bool or tuple[str, ...]; no bound is None."""

    section: str
    key: str
    kind: Any
    default: Any
    doc: str
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"


def all_settings() -> list[Setting]:
    """Every setting, in order."""
    return [
        Setting(section.name, each.name, _setting_types(section.name)[each.name], each.default, **each.metadata)
        for section in dataclasses.fields(Config)
        for each in dataclasses.fields(_section_class(section.name))
    ]


def setting_docs() -> list[tuple[str, str, Any, str]]:
    """(section, key, default, sentence) of every setting, in order."""
    return [(each.section, each.key, each.default, each.doc) for each in all_settings()]


def parse_setting(dotted: str, text: str) -> tuple[str, str, Any]:
    """Turn `section.key` and a text as typed into (section, key, value). Raises ConfigError."""
    section, _, key = dotted.partition(".")
    if section not in _section_names() or key not in _setting_types(section):
        raise ConfigError(f"unknown setting {dotted}", "termrag config show lists them all")
    return section, key, _from_text(text, _setting_types(section)[key], f"{section}.{key}")


def write_setting(file: Path, section: str, key: str, value: Any) -> None:
    """Set one key in the TOML file, keeping its comments and order. The new file is checked before it takes the old
    one's place. Raises ConfigError."""
    import tomlkit

    document = _document(file)
    if section not in document:
        document[section] = tomlkit.table()
    table = document[section]
    assert isinstance(table, tomlkit.items.Table)
    table[key] = list(value) if isinstance(value, tuple) else value
    _put(file, tomlkit.dumps(document))


def forget_setting(file: Path, section: str, key: str) -> None:
    """Take one key out of the TOML file, so that its default holds again. Raises ConfigError."""
    import tomlkit

    document = _document(file)
    if key in document.get(section, {}):
        document[section].remove(key)
        _put(file, tomlkit.dumps(document))


def _document(file: Path) -> TOMLDocument:
    import tomlkit

    try:
        return tomlkit.parse(file.read_text(encoding="utf-8")) if file.exists() else tomlkit.document()
    except tomlkit.exceptions.ParseError as error:
        raise ConfigError(f"{file}: {error}", "termrag config edit") from error


def _put(file: Path, text: str) -> None:
    Config().with_values(tomllib.loads(text), str(file))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o600)
    part.replace(file)


def _section_names() -> list[str]:
    return [f.name for f in dataclasses.fields(Config)]


def _section_class(section: str) -> Any:
    return get_type_hints(Config)[section]


def _setting_types(section: str) -> dict[str, Any]:
    return get_type_hints(_section_class(section))


def _lay_over(current: Any, section: str, table: Mapping[str, Any], source: str) -> Any:
    types = _setting_types(section)
    fields = {f.name: f for f in dataclasses.fields(current)}
    changes: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{source}: {section}.{key}"
        if key not in fields:
            raise ConfigError(f"{where} is not a setting", f"Settings of [{section}]: {', '.join(fields)}")
        changes[key] = _checked(value, types[key], fields[key].metadata, where)
    return dataclasses.replace(current, **changes)


def _checked(value: Any, kind: Any, metadata: Mapping[str, Any], where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind == tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f"{where} must be a list of texts, not {value!r}")
        return tuple(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where} must be {_KIND_NAMES[kind]}, not {value!r}")
    low, high, one_of = metadata["low"], metadata["high"], metadata["one_of"]
    if low is not None and value < low:
        raise ConfigError(f"{where} must be at least {low}, not {value}")
    if high is not None and value > high:
        raise ConfigError(f"{where} must be at most {high}, not {value}")
    if one_of and value not in one_of:
        raise ConfigError(f"{where} must be one of {', '.join(one_of)}, not {value!r}")
    return value


# Texts of a list stand between colons; those of an address and its port are part of it.
_BETWEEN = re.compile(r":(?!//|[0-9]{1,5}(?::|$))")
_KIND_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What TERMRAG_SECTION_KEY says, as section tables. Raises ConfigError."""
    values: dict[str, dict[str, Any]] = {}
    for section in _section_names():
        for key, kind in _setting_types(section).items():
            name = f"TERMRAG_{section}_{key}".upper()
            if name in environ:
                values.setdefault(section, {})[key] = _from_text(environ[name], kind, f"environment: {name}")
    return values


def _from_text(text: str, kind: Any, where: str) -> Any:
    try:
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
    except ValueError:
        raise ConfigError(f"{where} must be {_KIND_NAMES[kind]}, not {text!r}") from None
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ConfigError(f"{where} must be true or false, not {text!r}")
        return text.lower() in ("true", "1", "yes")
    if kind == tuple[str, ...]:
        return tuple(part for part in _BETWEEN.split(text) if part)
    return text
