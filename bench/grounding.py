"""How far the trust code can be trusted: the support check against human judges, the gate against foreign questions.

    python bench/grounding.py [--shared ../shared] [--libraries clapnq,cacm] [--questions 300] [--vectors] [--jsonl]

Support: sentences that people judged against a source. AUC is of the score; balanced accuracy is that of the decision
as shipped, with the share of supported sentences kept and of unsupported ones told; baseline: the mean of content-word,
bigram and best-sentence overlap, its best balanced accuracy with a threshold made for each set. `--vectors` lets the
embedder speak too.

Gate: each library is asked its own answerable questions and those of another collection, through termrag's own chunks,
vectors, store and fusion; `own` and `foreign` are the shares refused at strictness 1, `own@90` what refusing 90 % of
the foreign ones would cost. A library named `xquad-de:12` holds only 12 documents, the foreign questions are then
those about the others. Vectors are kept in .bench-cache/.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval import Cached, Collection, ask, load, rows_of
from termrag.analysis import ANALYZER_VERSION
from termrag.chunking import CHUNKER_VERSION
from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import open_embedder
from termrag.grounding import check
from termrag.grounding.gate import log_odds, measure
from termrag.models import Shelf
from termrag.records import Hit, Passage, Support
from termrag.stores import Identity, open_store

ROOT = Path(__file__).resolve().parents[1]
BASELINES = {"qags-cnndm": (0.856, 0.778), "begin-cmu": (0.969, 0.925)}  # AUC, best balanced accuracy
LIBRARIES = "clapnq,xquad-en:12,xquad-en:120,xquad-de:120,xquad-zh:120,xquad-ar:120,cacm,scifact"
_SHOWN = 24  # hits the gate is given, as an answer's search gives


def main() -> None:
    options = _options()
    embedder: Cached | None = None
    if options.vectors or options.libraries:
        embedder = _embedder()
    for folder in sorted((options.shared / "eval" / "support").iterdir()):
        _print(support(folder, embedder.embed if embedder and options.vectors else None), options.jsonl)
    for name in filter(None, options.libraries.split(",")):
        assert embedder is not None
        _print(gate_of(name, options.shared / "eval", embedder, options.questions), options.jsonl)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("TERMRAG_SHARED", ROOT / ".." / "shared")))
    parser.add_argument("--libraries", default=LIBRARIES, help="names of collections, by comma; empty for none")
    parser.add_argument("--questions", type=int, default=200, help="ask at most this many of each kind")
    parser.add_argument("--vectors", action="store_true", help="let the embedder speak in the support check")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object per set")
    options = parser.parse_args()
    if not (options.shared / "eval" / "support").is_dir():
        sys.exit(f"{options.shared}: no evaluation sets; --shared names the folder that holds eval/")
    return options


def _embedder() -> Cached:
    shelf = Shelf(ROOT / ".cache" / "models")
    for _ in shelf.pull("all-minilm-l6-v2", "onnx"):
        pass
    return Cached(open_embedder(ModelSettings(), OpenAISettings(), shelf, {}), ROOT / ".bench-cache")


# --- support ---------------------------------------------------------------------------------------------------


def support(folder: Path, embed: Callable[[Sequence[str]], Any] | None) -> dict[str, Any]:
    """Judge every pair of a set; sentences that say nothing ("generic") are left out."""
    pairs = [pair for pair in _json_lines(folder / "pairs.jsonl") if pair["label"] != "generic"]
    started = time.perf_counter()
    judged = [check(pair["sentence"], [_passage(pair["source"])], embed=embed) for pair in pairs]
    seconds = time.perf_counter() - started
    true = np.array([pair["label"] == "supported" for pair in pairs])
    scores = np.array([sentence.score for sentence in judged])
    said = np.array([sentence.support is Support.SUPPORTED for sentence in judged])
    kept, told = float(said[true].mean()), float((~said[~true]).mean())
    auc, best = BASELINES.get(folder.name, (float("nan"), float("nan")))
    return {
        "support": folder.name,
        "sentences": len(pairs),
        "auc": _auc(scores[true], scores[~true]),
        "balanced": (kept + told) / 2,
        "kept": kept,
        "told": told,
        "ms": seconds / len(pairs) * 1000,
        "baseline_auc": auc,
        "baseline_best_balanced": best,
    }


def _passage(text: str) -> Passage:
    return Passage(1, "d", "/source.txt", "", "", None, "", 1, 1, False, text, "", "text/plain", 1.0)


# --- gate ------------------------------------------------------------------------------------------------------


def gate_of(name: str, root: Path, embedder: Cached, most: int) -> dict[str, Any]:
    """Index a library, put its own and foreign questions to it, and count the refusals."""
    library, _, size = name.partition(":")
    collection = load(root / library, 0, 0)
    inside = {document[0] for document in collection.documents[: int(size) if size else None]}
    own = [text for text, grades in collection.judged.values() if grades.keys() & inside]
    if size:
        foreign = [text for text, grades in collection.judged.values() if not grades.keys() & inside]
    else:
        foreign = [text for text, _ in load(root / "xquad-en", 0, 0).judged.values()]
    documents = [document for document in collection.documents if document[0] in inside]
    started = time.perf_counter()
    asked = {"own": _evenly(own, most), "foreign": _evenly(foreign, most)}
    if library == "clapnq":
        asked["unanswerable"] = _evenly(_unanswerable(root / library), most)
    with tempfile.TemporaryDirectory(prefix="termrag-bench-") as folder:
        odds = _odds(Collection(library, documents, {}), asked, embedder, Path(folder))
    result: dict[str, Any] = {"gate": name, "documents": len(documents)}
    for kind, values in odds.items():
        result[kind] = float((values < 0).mean())
        result[f"{kind}_questions"] = len(values)
    result["auc"] = _auc(odds["own"], odds["foreign"])
    result["own@90"] = float((odds["own"] < np.quantile(odds["foreign"], 0.9)).mean())
    return result | {"seconds": round(time.perf_counter() - started)}


def _odds(collection: Collection, asked: dict[str, list[str]], embedder: Cached, folder: Path) -> dict[str, np.ndarray]:
    identity = Identity(embedder.inner.fingerprint, embedder.inner.dimension, CHUNKER_VERSION, ANALYZER_VERSION)
    store = open_store("lancedb", folder / "index", identity, create=True)
    languages: dict[str, int] = {}
    for start in range(0, len(collection.documents), 500):
        rows = {document[0]: rows_of(document, embedder) for document in collection.documents[start : start + 500]}
        for each in rows.values():
            for row in each[:1]:
                languages[row.chunk.language] = languages.get(row.chunk.language, 0) + 1
        store.replace(rows)
    store.maintain(force=True)
    library = [code for code in sorted(languages, key=lambda code: -languages[code]) if code]
    embedder.embed([question for questions in asked.values() for question in questions])

    def odds(question: str) -> float:
        hits: list[Hit] = ask(question, store, embedder, library)[:_SHOWN]
        return log_odds(measure(question, hits)) if hits else -9.0

    found = {kind: np.array([odds(question) for question in questions]) for kind, questions in asked.items()}
    store.close()
    return found


def _unanswerable(folder: Path) -> list[str]:
    return [q["text"] for q in _json_lines(folder / "queries.jsonl") if not q["metadata"]["answerable"]]


def _evenly(questions: list[str], most: int) -> list[str]:
    return questions[:: max(1, len(questions) // most)][:most]


# --- measures --------------------------------------------------------------------------------------------------


def _auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive outranks a negative, ties counted half."""
    values = np.concatenate([positive, negative])
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    wins = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(wins / (len(positive) * len(negative)))


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _print(result: dict[str, Any], jsonl: bool) -> None:
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in result.items()}
    if jsonl:
        print(json.dumps(rounded), flush=True)
        return
    words = [f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}" for key, value in rounded.items()]
    print("  ".join(words), flush=True)


if __name__ == "__main__":
    main()
