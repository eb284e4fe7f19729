"""The tools that a model elsewhere may use, by the Model Context Protocol's own SDK: search, ask, add, get, list; over
standard input and output here, over HTTP in the server. Knows the façade only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from termrag import __version__
from termrag.errors import NotFound, TermragError, UnreadableFile
from termrag.events import Answered, Failed, Finished
from termrag.logs import log_bug, logger, silence
from termrag.records import Answer, Filters, Verdict, place
from termrag.wire import citations, plain

if TYPE_CHECKING:
    from mcp.server import Server, ServerRequestContext
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

    from termrag.rag import Rag

_INSTRUCTIONS = (
    "The user's own documents. `search` finds passages, `get` shows a document's text, `ask` lets the local model "
    "answer from them with checked citations, `list` names the documents, `add` takes in more."
)
_SHOWN_CHARS = 20_000  # of a document at once
_LISTED = 100


class Visitor(Protocol):
    """Who uses the tools: what they may do, how a question of theirs is answered, who is told of what they wrote."""

    def may(self, scope: str) -> bool:
        """Whether read, ask, write or admin is allowed."""

    async def ask(self, question: str, filters: Filters) -> Answer:
        """Raises TermragError, or what the server turns requests away with."""

    def wrote(self, tool: str) -> None:
        """Something was changed."""


@dataclass(frozen=True, slots=True)
class LocalUser:
    """The user of this machine: may do anything, and waits for nobody."""

    rag: Rag

    def may(self, scope: str) -> bool:
        return True

    async def ask(self, question: str, filters: Filters) -> Answer:
        async for event in self.rag.ask(question, filters=filters):
            if isinstance(event, Answered):
                answer = event.answer
        return answer

    def wrote(self, tool: str) -> None:
        logger.info("mcp tool=%s", tool)


# --- what the tools take -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SearchArguments:
    """`documents` are globs of paths, such as **/*.pdf."""

    query: str
    limit: int = 8
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskArguments:
    """`documents` are globs of paths; without them all may be used."""

    question: str
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddArguments:
    """Either `path`, a file or folder of the library's machine, or `text` with a `name`, which replaces what has it."""

    path: str = ""
    name: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class GetArguments:
    """`document` is an id, a path or a unique part of one; `offset` counts characters."""

    document: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ListArguments:
    """`match` is a path, a folder or a glob."""

    match: str = ""
    limit: int = _LISTED
    offset: int = 0


# --- what they do ------------------------------------------------------------------------------------------------

Result = tuple[str, dict[str, Any]]  # to read, and as data


async def search(rag: Rag, visitor: Visitor, wanted: SearchArguments) -> Result:
    """Find passages in the user's documents, by meaning and by words."""
    limit = min(max(wanted.limit, 1), 50)
    hits = await rag.search(wanted.query, limit=limit, filters=Filters(globs=wanted.documents), mode=wanted.mode)
    told = [f"{place(hit.chunk)}  ({hit.chunk.document_id})\n{hit.chunk.text}" for hit in hits]
    return "\n\n".join(told) or "Nothing found.", {"hits": plain(hits)}


async def ask(rag: Rag, visitor: Visitor, wanted: AskArguments) -> Result:
    """Let the local model answer a question from the user's documents; each sentence is checked against them."""
    answer = await visitor.ask(wanted.question, Filters(globs=wanted.documents))
    sources = [f"[{each.number}] {each.place}  {each.path}" for each in citations(answer)]
    text = f"Not in the documents: {answer.reason}." if answer.verdict is Verdict.NOT_FOUND else answer.cited_text
    data = {
        "verdict": answer.verdict.value,
        "text": answer.text,
        "sentences": plain(answer.sentences),
        "citations": plain(citations(answer)),
        "reason": answer.reason,
    }
    return "\n".join([text, *sources, f"verdict: {answer.verdict.value}"]), data


async def add(rag: Rag, visitor: Visitor, wanted: AddArguments) -> Result:
    """Take a file, a folder or a text into the user's documents."""
    if wanted.text and wanted.name and not wanted.path:
        events = rag.ingest_text(wanted.name, wanted.text)
    elif wanted.path and not (wanted.text or wanted.name):
        if not visitor.may("admin"):
            raise NotFound("paths of this machine are for keys with the scope admin", "send name and text")
        if not Path(wanted.path).expanduser().exists():
            raise NotFound(f"there is no {wanted.path}", "name a file or folder of this machine")
        events = rag.ingest([Path(wanted.path).expanduser()], wait=True)
    else:
        raise NotFound("nothing to add", "send a path, or a name and a text")
    done: Finished | None = None
    async for event in events:
        if isinstance(event, Failed) and not wanted.path:
            raise UnreadableFile(event.message, event.hint)
        if isinstance(event, Finished):
            done = event
    visitor.wrote("add")
    assert done is not None
    return f"indexed {done.indexed}, unchanged {done.unchanged}, failed {done.failed}", plain(done)


async def get(rag: Rag, visitor: Visitor, wanted: GetArguments) -> Result:
    """Show a document's text, a part at a time."""
    document = await rag.document(wanted.document)
    text = "\n\n".join(chunk.text for chunk in await rag.chunks(document.id))
    part = text[max(wanted.offset, 0) :][:_SHOWN_CHARS]
    end = max(wanted.offset, 0) + len(part)
    data = {"document": plain(document), "text": part, "next_offset": end if end < len(text) else None}
    return part, data


async def list_(rag: Rag, visitor: Visitor, wanted: ListArguments) -> Result:
    """List the user's documents."""
    found = await rag.documents([wanted.match] if wanted.match else ())
    start = max(wanted.offset, 0)
    page = found[start : start + min(max(wanted.limit, 1), _LISTED)]
    told = [f"{each.path}  ({each.id}, {each.state.value})" for each in page]
    return "\n".join(told) or "No documents.", {"documents": plain(page), "total": len(found)}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: what it takes, and the scope it needs: read, ask or write."""

    run: Callable[[Rag, Visitor, Any], Awaitable[Result]]
    arguments: type
    scope: str

    @property
    def name(self) -> str:
        return self.run.__name__.rstrip("_")


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(search, SearchArguments, "read"),
        Tool(ask, AskArguments, "ask"),
        Tool(add, AddArguments, "write"),
        Tool(get, GetArguments, "read"),
        Tool(list_, ListArguments, "read"),
    )
}


# --- over the protocol -------------------------------------------------------------------------------------------


def make_server(
    rag: Rag, visitor_of: Callable[[ServerRequestContext[Any]], Visitor], *, refusals: tuple[type[Exception], ...] = ()
) -> Server[Any]:
    """A server of the SDK over `rag`. Each sees the tools they may use. `refusals` are exceptions beside TermragError
    whose text may be shown."""
    from mcp.server import Server

    async def on_list_tools(
        context: ServerRequestContext[Any], params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        from mcp_types import ListToolsResult

        visitor = visitor_of(context)
        return ListToolsResult(tools=[_described(tool) for tool in TOOLS.values() if visitor.may(tool.scope)])

    async def on_call_tool(context: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        from pydantic import TypeAdapter, ValidationError

        visitor, tool = visitor_of(context), TOOLS.get(params.name)
        if tool is None or not visitor.may(tool.scope):
            return _failed(f"there is no tool {params.name} for you")
        try:
            wanted: Any = TypeAdapter(tool.arguments).validate_python(params.arguments or {})
            return _succeeded(*await tool.run(rag, visitor, wanted))
        except ValidationError as error:
            return _failed("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()))
        except TermragError as error:
            return _failed(f"{error.message}. {error.hint}".strip())
        except refusals as error:
            return _failed(str(error))
        except Exception as error:  # a renderer of errors: what is a bug is logged, not shown
            log_bug(f"mcp tool broke tool={tool.name}", error)
            return _failed("something went wrong here; the log has the details")

    return Server(
        "termrag",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=on_list_tools,
        on_call_tool=on_call_tool,
    )


def _described(tool: Tool) -> Any:
    import mcp_types
    from pydantic import TypeAdapter

    schema = TypeAdapter(tool.arguments).json_schema()
    return mcp_types.Tool(
        name=tool.name,
        description=f"{tool.run.__doc__} {schema.pop('description', '')}",
        input_schema=schema,
        annotations=mcp_types.ToolAnnotations(
            read_only_hint=tool.scope != "write", destructive_hint=False, open_world_hint=False
        ),
    )


def _succeeded(text: str, data: dict[str, Any]) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=data)


def _failed(text: str) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)


async def serve_stdio(rag: Rag) -> None:
    """Serve one client over standard input and output until it closes them."""
    from mcp.server.stdio import stdio_server

    silence("mcp")
    server = make_server(rag, lambda context: LocalUser(rag))
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())
