"""The order of one answer: search, gate, model, checked sentences; all with the scripted engine."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from termrag import answer
from termrag.engines.scripted import ScriptedEngine
from termrag.events import Answered, Checked, Loading, Reading, Refused, Retrieved, Searching, Token
from termrag.records import Passage, Sampling, Support, Verdict

TEXT = "The causeway is 420 metres long. It was built in 1891 of grey stone."


def passage() -> Passage:
    return Passage(
        number=1,
        document_id="d1",
        path="/island/welcome.md",
        title="Welcome",
        heading="The causeway",
        page=None,
        page_label="",
        start_line=10,
        end_line=10,
        lines_match=True,
        text=TEXT,
        content_hash="h",
        media_type="text/markdown",
        score=1.0,
    )


class Opened:
    """Opens a scripted engine and remembers that it did."""

    def __init__(self, script: str) -> None:
        self.engine = ScriptedEngine(script, model="script", context_tokens=2048)
        self.count = 0

    def __call__(self) -> Generator[Any, None, answer.Chat]:
        self.count += 1
        yield Loading("script")
        self.engine.load()
        return answer.Chat(self.engine)


def request(*, gated: bool = False, evidence: answer.Evidence | None = None, **kwargs: Any) -> answer.Request:
    found = evidence if evidence is not None else answer.Evidence((), (passage(),))
    return answer.Request("How long is the causeway?", lambda _: found, Sampling(max_tokens=400), gated=gated, **kwargs)


def run(script: str, **kwargs: Any) -> list[Any]:
    return list(answer.ask(request(**kwargs), Opened(script), None))


def test_the_stages_come_in_order_and_the_answer_last():
    kinds = [type(event) for event in run(TEXT)]
    assert kinds[:3] == [Searching, Retrieved, Loading]
    assert kinds[-1] is Answered
    first_token = kinds.index(Token)
    assert kinds.index(Reading) < first_token < kinds.index(Checked)


def test_nothing_found_refuses_without_opening_the_model():
    opened = Opened(TEXT)
    events = list(answer.ask(request(evidence=answer.Evidence((), ())), opened, None))
    assert opened.count == 0
    assert any(isinstance(event, Refused) for event in events)
    assert events[-1].answer.verdict is Verdict.NOT_FOUND


def test_tokens_and_marks_in_the_order_they_stream_are_the_cited_text():
    events = run(TEXT + " It leads to the Calf.")
    shown = ""
    for event in events:
        match event:
            case Token(text):
                shown += text
            case Checked(mark=mark):
                shown += mark
    assert shown == events[-1].answer.cited_text
    assert shown.startswith("The causeway is 420 metres long. [1] It was built in 1891")


def test_a_false_number_is_marked_and_makes_the_verdict_partial():
    done = run("The causeway is 420 metres long. It was built in 1931 of grey stone.")[-1].answer
    assert [sentence.support for sentence in done.sentences] == [Support.SUPPORTED, Support.UNSUPPORTED]
    assert "1931" in done.sentences[1].reason
    assert done.verdict is Verdict.PARTIAL
    assert done.exit_code == 4


def test_an_answer_that_admits_it_has_none_is_not_found():
    done = run("The passages do not say how long the causeway is.")[-1].answer
    assert done.verdict is Verdict.NOT_FOUND
    assert done.exit_code == 3


def test_a_loop_is_stopped_and_shown_once():
    opened = Opened("The causeway is 420 metres long. " * 200)
    request_ = request()
    done = list(answer.ask(request_, opened, None))[-1].answer
    assert done.text.count("420 metres") == 1
    assert done.verdict is Verdict.GROUNDED


def test_leaving_early_closes_the_engines_stream():
    opened = Opened(TEXT)
    closed = []
    stream = opened.engine.stream

    def watched(*arguments: Any) -> Any:
        try:
            yield from stream(*arguments)
        finally:
            closed.append(True)

    opened.engine.stream = watched  # type: ignore[method-assign]
    events = answer.ask(request(), opened, None)
    for event in events:
        if isinstance(event, Token):
            break
    events.close()  # type: ignore[attr-defined]
    assert closed == [True]


def test_the_ledger_counts_the_prompt_that_was_sent():
    done = run(TEXT)[-1].answer
    assert done.budget.total == done.usage.prompt_tokens
    assert sum(line.tokens for line in done.budget.lines if not line.cut) == done.budget.total


def test_without_documents_nothing_is_checked():
    general = answer.Request("Hello?", None, Sampling())
    events = list(answer.ask(general, Opened("Hello to you. I am well."), None))
    assert not any(isinstance(event, Checked) for event in events)
    assert events[-1].answer.verdict is Verdict.GENERAL
    assert events[-1].answer.text == "Hello to you. I am well."


def test_the_stages_are_timed():
    names = [name for name, _ in run(TEXT)[-1].answer.stages_ms]
    assert names == ["search", "gate", "model", "pack", "generate", "check"]


def test_an_answer_may_be_wished_longer_than_the_window():
    wished = replace(request(), sampling=Sampling(max_tokens=1_000_000))
    answered = list(answer.ask(wished, Opened(TEXT), None))[-1]
    assert isinstance(answered, Answered)
    assert answered.answer.budget is not None
    assert (answered.answer.text, answered.answer.budget.limit) == (TEXT, 1024)
