"""One ranking out of two, and how much the vectors may say in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Id = TypeVar("Id", bound=Hashable)

_K = 60
_PROSE, _CODE = 0.5, 0.85  # weight of the vectors where the embedder reads the text well

# Letters per token that an embedder reaches in text like that it was trained on. Measured: an English word-piece
# vocabulary gives 3.6 to 5.2 on English prose, at most 3.2 on other languages in Latin letters, 1.0 on other scripts;
# a multilingual one 3.5 to 4 in Latin letters, about 3 in other alphabets, 1.5 to 2 without spaces.
_LATIN, _OTHER, _UNSPACED = 3.7, 2.6, 1.4
_TEXT_RAMP = 0.86, 1.0  # share of the above where trust begins and where it is full
_QUESTION_RAMP = 0.45, 0.6  # a question is too short to tell more than a foreign script
_FEWEST_LETTERS = 60
_SAMPLE_CHARS = 300
_LETTERS = re.compile(r"[^\W\d_]+")
_UNSPACED_LETTER = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
_CODE_SIGNS = re.compile(r"[{}\[\];=<>_#]|\w\(|\w\.\w|\):")
_CODE_SHARE = 0.035  # of all visible characters; nineteen of twenty functions have more, a text in a hundred has
_IDENTIFIER = re.compile(r"\w[_.]\w|[a-z][A-Z]|\w\(|[\"'`]\w")


def reciprocal_ranks(rankings: Iterable[tuple[float, Sequence[Id]]], k: int = _K) -> dict[Id, float]:
    """Merge rankings of ids by weighted reciprocal rank: sum of weight / (k + rank), rank from 1; in descending order,
    equals in the order they came. Ids of a ranking of weight 0 come last.

    Source: Cormack, Clarke, Buettcher: Reciprocal rank fusion outperforms Condorcet and individual rank learning
    methods. SIGIR 2009. The weights are ours.
    """
    scores: dict[Id, float] = {}
    for weight, ranking in rankings:
        for rank, each in enumerate(ranking, 1):
            scores[each] = scores.get(each, 0.0) + weight / (k + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def vector_weight(question: str, texts: Sequence[str], count_tokens: Callable[[str], int] | None) -> float:
    """Return the weight of the vectors, 0 to 1, against that of the words.

    `texts` are the best chunks found. An embedder that was not trained on a language takes its words apart
    into more tokens: the fewer letters a token holds, the less its vectors mean. Code seldom shares words with a
    sentence that describes it, so there the vectors count more, unless the question names identifiers. Without
    `count_tokens` all languages are trusted.
    """
    prose = [text for text in texts if not looks_like_code(text)]
    code = 1.0 - len(prose) / len(texts) if texts and not _IDENTIFIER.search(question) else 0.0
    weight = _PROSE + (_CODE - _PROSE) * code
    if count_tokens is None:
        return weight
    sample = " ".join(text[:_SAMPLE_CHARS] for text in prose)
    trust = _ramp(_fit(question, count_tokens), *_QUESTION_RAMP)
    if sum(map(len, _LETTERS.findall(sample))) >= _FEWEST_LETTERS:
        trust *= _ramp(_fit(sample, count_tokens), *_TEXT_RAMP)
    return weight * trust


def looks_like_code(text: str) -> bool:
    """Whether brackets and operators are as dense as in source code."""
    sample = text[: 4 * _SAMPLE_CHARS]
    visible = len(sample) - sum(map(sample.count, " \n\t"))
    return len(_CODE_SIGNS.findall(sample)) > _CODE_SHARE * visible


def _fit(text: str, count_tokens: Callable[[str], int]) -> float:
    """How well the embedder's vocabulary fits a text: 1 and more if well, near 0 if it only knows letters."""
    words = _LETTERS.findall(text)
    tokens = count_tokens(" ".join(words)) if words else 0
    return sum(len(word) / _expected_letters(word) for word in words) / tokens if tokens else 1.0


def _ramp(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _expected_letters(word: str) -> float:
    if word.isascii() or word[0] < "\u0250":
        return _LATIN
    return _UNSPACED if _UNSPACED_LETTER.match(word) else _OTHER
