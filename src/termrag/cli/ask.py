"""`termrag ask`: draws the events of one question, as a stream of cited text or as JSON."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from termrag.cli import output
from termrag.cli.session import filters_of, library, no_host, open_rag, read_stdin
from termrag.errors import Exit, StoreUnavailable
from termrag.events import (
    Answered,
    AskEvent,
    Checked,
    Downloading,
    Loading,
    Notice,
    Preparing,
    Reading,
    Refused,
    Searching,
    Started,
    Token,
)
from termrag.records import Answer, Citation, Message, Passage, Sentence, Support
from termrag.turns import messages
from termrag.wire import answer as answer_json
from termrag.wire import citations, event

if TYPE_CHECKING:
    from termrag.rag import Rag
    from termrag.turns import Session

_DEMO = "This is the scripted engine: it says what it is told, token by token. Nothing of this is in your documents."

_EPILOG = """\b
Examples:
  termrag ask "When does the last ferry leave?"
  termrag ask -c "And in winter?"
  cat error.log | termrag ask "What failed?"
  termrag ask "What is the rent?" --in contracts/ --json | jq .verdict

Exit codes: 0 every sentence rests on a passage, 3 not in the documents, 4 some sentences are unsupported,
5 library or model not ready, 2 wrong usage, 1 anything else, 130 interrupted."""


@click.command(epilog=_EPILOG, context_settings={"ignore_unknown_options": False})
@click.argument("words", nargs=-1)
@click.option("--in", "within", multiple=True, metavar="GLOB", help="Only documents under this folder or glob.")
@click.option("--type", "types", multiple=True, metavar="SUFFIX", help="Only files of this type, such as pdf.")
@click.option("--after", metavar="DATE", help="Only files changed on or after this day, such as 2026-01-31.")
@click.option("--before", metavar="DATE", help="Only files changed before this day.")
@click.option("-n", "--passages", type=click.IntRange(1, 50), help="How many passages the model sees.")
@click.option("-m", "--model", metavar="NAME", help="Chat model for this question.")
@click.option("--engine", type=click.Choice(["auto", "mlx", "llamacpp", "openai", "scripted"]), help="What runs it.")
@click.option("--temperature", type=float, help="0 is greedy and repeatable.")
@click.option("--max-tokens", type=int, help="Longest answer, in tokens.")
@click.option("--seed", type=int, help="Seed of the sampler.")
@click.option("--general", is_flag=True, help="Ask the model without your documents.")
@click.option("--demo", is_flag=True, help="Let the scripted engine answer (models.script); no chat model is loaded.")
@click.option("-c", "--continue", "goes_on", is_flag=True, help="Go on with the last conversation.")
@click.option("--cid", metavar="ID", help="Go on with this conversation; the beginning of its id is enough.")
@click.option("--no-save", is_flag=True, help="Do not keep the question and the answer.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@click.option("--jsonl", is_flag=True, help="One JSON object per event, as it happens.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing on stderr but errors.")
@click.option("--no-stream", is_flag=True, help="Print the answer when it is complete.")
@click.option("--trace", is_flag=True, help="Print how long each stage took and what the prompt holds, to stderr.")
@no_host
@click.pass_context
def ask(ctx: click.Context, /, words: tuple[str, ...], **options: Any) -> None:
    """Ask a question of your documents.

    With text on standard input, that text is what the answer rests on. A lone `-` reads the question itself from
    standard input.
    """
    if options["goes_on"] and options["cid"]:
        raise click.UsageError("Either -c or --cid.", ctx)
    question, context = _question(ctx, words)
    rag = open_rag(
        ctx,
        several=True,
        models=_model_settings(ctx, options),
        generation={key: options[key] for key in ("temperature", "max_tokens", "seed")},
        retrieval={"passages": options["passages"]},
    )
    filters = filters_of(options["within"], options["types"], options["after"], options["before"])
    printer = _printer(options)

    async def work() -> int:
        async with rag:
            kept_in, turns = await _conversation(rag, options)
            events = rag.ask(
                question,
                session=kept_in,
                history=turns,
                filters=filters,
                context=context,
                general=options["general"],
            )
            with printer:
                async with contextlib.aclosing(events):
                    async for item in events:
                        printer.show(item)
        return printer.finish()

    output.run_async(work)


async def _conversation(rag: Rag, options: dict[str, Any]) -> tuple[str | None, list[Message]]:
    """The session that keeps the question, or None and the messages before it. Raises NotFound for --cid."""
    is_kept = rag.config.sessions.save and not options["no_save"]
    known: Session | None = None
    if options["cid"]:
        known = await rag.session(options["cid"])
    elif options["goes_on"] and await rag.sessions(limit=1):
        known = await rag.session("last")
    if not is_kept:
        return None, messages(known.turns) if known else []
    if known:
        return known.info.id, []
    try:
        return (await rag.start_session()).id, []
    except StoreUnavailable as error:
        output.note(f"termrag: not kept: {error.message}")
        return None, []


def _model_settings(ctx: click.Context, options: dict[str, Any]) -> dict[str, Any]:
    if not options["demo"]:
        return {"chat": options["model"], "engine": options["engine"]}
    told = library(ctx, several=True)[0].models.script
    return {"engine": "scripted", "script": told or _DEMO}


def _question(ctx: click.Context, words: tuple[str, ...]) -> tuple[str, str | None]:
    """The question, and the text of standard input where that is the context."""
    question = " ".join(words).strip()
    if question == "-" or (not question and not sys.stdin.isatty()):
        return _required(ctx, read_stdin().strip()), None
    if sys.stdin.isatty():
        return _required(ctx, question), None
    context = read_stdin()
    return _required(ctx, question), context if context.strip() else None


def _required(ctx: click.Context, question: str) -> str:
    if not question:
        raise click.UsageError('No question. Example: termrag ask "When does the last ferry leave?"', ctx)
    return question


def _printer(options: dict[str, Any]) -> _Printer:
    if options["jsonl"]:
        return _LinesPrinter(options)
    if options["as_json"]:
        return _JsonPrinter(options)
    return _TextPrinter(options)


class _Printer:
    """Shows what concerns stderr; the children own stdout."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.quiet = options["quiet"]
        self.trace = options["trace"]
        self.answer: Answer | None = None
        self.session = ""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.break_off()

    def break_off(self) -> None:
        """The answer ends here, by an error or by Ctrl-C: what was shown stays as it is."""
        output.clear_line()

    def show(self, item: AskEvent) -> None:
        match item:
            case Started(turn):
                self.session = turn.session_id
                if turn.query != turn.question and not self.quiet:
                    output.note(f"termrag: searching for: {output.one_line(turn.query)}")
            case Notice(message) if not self.quiet:
                output.note(f"termrag: {message}")
            case Searching():
                output.progress("searching…")
            case Loading(model):
                output.progress(f"loading {model}…")
            case Reading(done, total):
                output.progress(f"reading the passages… {done}/{total} tokens")
            case Downloading(file=file, done_bytes=done, total_bytes=total):
                output.progress(f"{file}: {output.size(done)} of {output.size(total)}")
            case Preparing(what=what):
                output.progress(what)
            case Answered(answer):
                self.answer = answer
            case _:
                pass

    def finish(self) -> int:
        assert self.answer is not None
        output.clear_line()
        if self.trace:
            for name, milliseconds in self.answer.stages_ms:
                output.note(f"{name:>10} {milliseconds:10.2f} ms")
            for line in self.answer.budget.lines if self.answer.budget else ():
                cut = f" (left out: {line.cut})" if line.cut else ""
                output.note(f"{line.tokens:>10} tokens  {output.one_line(line.part)}{cut}")
        return int(self.answer.exit_code)


class _LinesPrinter(_Printer):
    def show(self, item: AskEvent) -> None:
        super().show(item)
        data = {"type": "answered", "answer": answer_json(item.answer)} if isinstance(item, Answered) else event(item)
        output.out_json(data, lines=True)


class _JsonPrinter(_Printer):
    def finish(self) -> int:
        code = super().finish()
        assert self.answer is not None
        output.out_json({**answer_json(self.answer), "session": self.session})
        return code


class _TextPrinter(_Printer):
    """The answer as text: sentences with support carry the numbers of their passages, the others a `[?]`."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.streams = not options["no_stream"]
        self._held: list[str] = []

    def show(self, item: AskEvent) -> None:
        super().show(item)
        match item:
            case Token(text):
                self._write(output.printable(text))
            case Checked(sentence, mark):
                self._write(_mark(sentence, mark))
            case Refused(reason, _) if not self.quiet:
                output.note(f"termrag: not in your documents: {reason}")
            case _:
                pass

    def break_off(self) -> None:
        super().break_off()
        if self.streams and any(self._held):
            output.out("")

    def _write(self, text: str) -> None:
        if text and self.streams:
            output.clear_line()
            output.out(text, end="")
        self._held.append(text)

    def finish(self) -> int:
        code = super().finish()
        text = "".join(self._held)
        if text:
            output.out("" if self.streams else text)
        if not self.quiet and self.answer is not None:
            self._footer(self.answer)
        return code

    def _footer(self, answer: Answer) -> None:
        if answer.exit_code is Exit.NOT_FOUND:
            for passage in answer.passages[:3]:
                output.note(f"  nearest: {_where(passage)}  {output.one_line(passage.path)}")
            return
        for citation in citations(answer):
            output.note(f"[{citation.number}] {_where(citation)}  {output.one_line(citation.path)}")
        missing = [sentence for sentence in answer.sentences if sentence.support is Support.UNSUPPORTED]
        if missing:
            output.note(f"termrag: [?] marks {len(missing)} of {len(answer.sentences)} sentences without support")


def _where(source: Passage | Citation) -> str:
    within = f"{source.collection}: " if source.collection else ""
    return output.one_line(f"{within}{source.place}")


def _mark(sentence: Sentence, mark: str) -> str:
    if sentence.support is Support.UNSUPPORTED:
        return output.styled(" [?]", fg="yellow")
    return output.styled(mark, dim=True) if mark else ""
