"""How an answer came about: what failed, what was searched, what the prompt held and what was cut, how long it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from termrag.tui.widgets.keyline import KeyLine

if TYPE_CHECKING:
    from termrag.records import Answer
    from termrag.tui.entries import Reply

_FAINT = "$foreground 65%"
_NAME = 16  # cells of what a line is about


class DetailsScreen(ModalScreen[None]):
    """Everything that is known of an answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "leave", "Close", id="details.close"),
        Binding("y", "copy", "Copy", id="details.copy"),
    ]

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.content = details(reply)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -tall") as dialog:
            dialog.border_title = "Details"
            with VerticalScroll(id="details-scroll"):
                yield Static(self.content, id="details-text")
            yield KeyLine()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        """Copy them as text."""
        self.app.copy_to_clipboard(self.content.plain)

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.dismiss()


def details(reply: Reply) -> Content:
    """What is known of an answer, as text."""
    parts: list[Any] = []
    if reply.error:
        parts += [("No answer", "bold $text-error"), f"\n{reply.error}\n\n"]
    if reply.turn is not None and reply.turn.query and reply.turn.query != reply.turn.question:
        parts += [_line("searched as", reply.turn.query)]
    if reply.answer is not None:
        parts += _of_answer(reply.answer)
    return Content.assemble(*parts) if parts else Content("Nothing is known of it yet.")


def _of_answer(answer: Answer) -> list[Any]:
    usage = answer.usage
    facts = [
        ("verdict", answer.verdict.value.replace("_", " ")),
        ("because", answer.reason),
        ("model", " · ".join(each for each in (answer.model, answer.engine) if each)),
        ("prompt", f"{usage.prompt_tokens} tokens, {usage.cached_tokens} of them known" if usage.prompt_tokens else ""),
        ("answer", f"{usage.generated_tokens} tokens" if usage.generated_tokens else ""),
        ("speed", f"{usage.tokens_per_second:.0f} tokens/s" if usage.tokens_per_second else ""),
        ("time", "  ".join(f"{name} {spent_ms:.0f} ms" for name, spent_ms in answer.stages_ms)),
    ]
    parts: list[Any] = [_line(name, text) for name, text in facts if text]
    if answer.passages:
        parts.append(("\nPassages, by how well they fit\n", "bold"))
        parts += [_line(f"[{each.number}] {each.score:.3f}", each.place) for each in answer.passages]
    if answer.budget is not None:
        budget = answer.budget
        parts.append((f"\nContext: {budget.total} of {budget.limit} tokens\n", "bold"))
        parts += [
            _line(f"{each.tokens} tokens", f"{each.part}{' — ' + each.cut if each.cut else ''}")
            for each in budget.lines
        ]
    return parts


def _line(name: str, text: str) -> Content:
    return Content.assemble((f"{name:<{_NAME}} ", _FAINT), text, "\n")
