"""From a question to ranked chunks and numbered passages, over any store; knows no model, prompt or file.

query ─ parse_query ─▶ words + filters ─ search ─▶ hits, each with all its scores ─ passages ─▶ passages 1..k
"""

from termrag.retrieval.filters import both, parse_query
from termrag.retrieval.fusion import reciprocal_ranks
from termrag.retrieval.passages import passages
from termrag.retrieval.search import Mode, lift, search

__all__ = ["Mode", "both", "lift", "parse_query", "passages", "reciprocal_ranks", "search"]
