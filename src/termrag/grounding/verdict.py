"""The outcome of a whole answer, and its text with the citation marks that code inserts."""

from __future__ import annotations

from collections.abc import Sequence

from termrag.grounding.phrases import beyond_admission, says_not_found
from termrag.marks import marked
from termrag.records import Sentence, Support, Verdict


def verdict(sentences: Sequence[Sentence]) -> Verdict:
    """GROUNDED if all that was claimed is supported, NOT_FOUND if the answer admits that it has none, else PARTIAL.

    An admission decides where it comes before anything supported: "The passages do not say." An answer that claims
    nothing that could be checked ("Yes.", "Hello!") rests on nothing and is PARTIAL; an empty one is NOT_FOUND.
    """
    said = [s for s in sentences if s.text.strip()]
    if not said:
        return Verdict.NOT_FOUND
    for sentence in said:
        if sentence.support is Support.SUPPORTED:
            break
        if says_not_found(sentence.text) and not beyond_admission(sentence.text):
            return Verdict.NOT_FOUND
    is_grounded = any(s.support is Support.SUPPORTED for s in said)
    is_doubtful = any(s.support is Support.UNSUPPORTED for s in said)
    return Verdict.GROUNDED if is_grounded and not is_doubtful else Verdict.PARTIAL


def marks(sentence: Sentence) -> str:
    """The citation numbers of a sentence as `[1][2]`, in the order of their weight; empty without citations."""
    return "".join(f"[{number}]" for number in dict.fromkeys(c.number for c in sentence.citations))


def cited(sentences: Sequence[Sentence]) -> str:
    """The whole answer with `[n]` after each sentence's last visible character, all its white space as it was."""
    return "".join(marked(sentence.text, marks(sentence)) for sentence in sentences)
