"""Whether a question is answered at all."""

from __future__ import annotations

from termrag.grounding import gate
from termrag.records import Hit, IndexedChunk, Scores


def hit(text: str, *, cosine: float | None, rank: int, bm25_rank: int | None = None, weight: float = 0.5) -> Hit:
    chunk = IndexedChunk(
        f"d{rank}", 0, f"/d{rank}.md", "", "", None, "", 1, 1, True, text, "", "", "text/markdown", "en", 0
    )
    scores = Scores(1 / rank, cosine, rank, 3.0 if bm25_rank else None, bm25_rank, weight)
    return Hit(chunk, scores)


BATTERY = [
    hit("The battery of the pump lasts 12 hours on one charge.", cosine=0.62, rank=1, bm25_rank=1),
    hit("Clean the filter once a month.", cosine=0.2, rank=2),
]
QUESTION = "How long does the battery of the pump last?"
FOREIGN = "Who was the first president of Zanzibar?"
WEAK = [
    hit("The battery of the pump lasts 12 hours on one charge.", cosine=0.08, rank=1),
    hit("The first filter must be cleaned.", cosine=0.05, rank=2, bm25_rank=1),
]


def test_a_question_the_documents_answer_passes() -> None:
    decision = gate(QUESTION, BATTERY)
    assert decision.passes
    assert decision.confidence > 0.7


def test_a_foreign_question_is_refused_and_told_which_word_is_missing() -> None:
    decision = gate(FOREIGN, WEAK)
    assert not decision.passes
    assert "Zanzibar" in decision.reason
    assert decision.confidence < 0.3


def test_nothing_found_is_refused() -> None:
    assert not gate(QUESTION, []).passes


def test_strictness_zero_never_refuses() -> None:
    assert gate(FOREIGN, WEAK, strictness=0).passes
    assert gate(QUESTION, [], strictness=0).passes


def test_a_stricter_gate_refuses_more() -> None:
    passed = [gate(QUESTION, BATTERY, strictness=s).passes for s in (1, 2, 10, 1e6)]
    assert passed == sorted(passed, reverse=True)
    assert passed[0] and not passed[-1]


def test_a_cosine_is_not_believed_where_the_embedder_cannot_read_the_language() -> None:
    near = [hit("Uninformative words.", cosine=0.7, rank=1)]
    blind = [hit("Uninformative words.", cosine=0.7, rank=1, weight=0.0)]
    assert gate("Wie lange hält der Akku?", near).confidence > gate("Wie lange hält der Akku?", blind).confidence
    assert not gate("Wie lange hält der Akku?", blind).passes


def test_words_alone_can_pass_a_question() -> None:
    found = [hit("Der Akku der Pumpe hält zwölf Stunden lang.", cosine=None, rank=1, bm25_rank=1, weight=0.0)]
    assert gate("Wie lange hält der Akku der Pumpe?", found).passes
