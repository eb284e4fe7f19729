"""Measure readers and chunker: seconds per format, chunks per second, and how well chunks find evidence.

    python bench/documents.py read FOLDER          each readable file of a folder, by format
    python bench/documents.py chunk FOLDER         the chunker's rate on its texts, token counting included
    python bench/documents.py evidence COLLECTION  evidence characters in the top 5 of BM25, for several chunkings

COLLECTION is a folder with corpus.jsonl and queries.jsonl whose queries name character ranges of their evidence.
Tokens are those of the starter embedding model if TERMRAG_TOKENIZER names its tokenizer.json, else words and signs.
"""

from __future__ import annotations

import json
import math
import os
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from termrag import chunking, readers
from termrag.converter import Converter, Limits
from termrag.errors import UnreadableFile
from termrag.records import Content

MAX_BYTES = 200_000_000
TOP = 5
_WORD = re.compile(r"\w+")


def counter() -> Callable[[str], int]:
    file = os.environ.get("TERMRAG_TOKENIZER")
    if not file:
        return lambda text: len(re.findall(r"[\u3040-\u9fff]|\w+|[^\w\s]", text))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False))


def contents(folder: Path) -> Iterator[tuple[Path, Content, float]]:
    with Converter(Limits()) as converter:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            start = time.perf_counter()
            try:
                content = readers.read(path, converter, max_bytes=MAX_BYTES)
            except UnreadableFile as error:
                print(f"  {error.message}", file=sys.stderr)
                continue
            yield path, content, time.perf_counter() - start


def bench_read(folder: Path) -> None:
    seconds: dict[str, list[float]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for path, _, taken in contents(folder):
        seconds[path.suffix].append(taken)
        sizes[path.suffix] += path.stat().st_size
    print(f"{'format':10} {'files':>5} {'MB':>7} {'median s':>9} {'worst s':>8} {'total s':>8}")
    for suffix, values in sorted(seconds.items()):
        values.sort()
        middle = values[len(values) // 2]
        print(
            f"{suffix:10} {len(values):5} {sizes[suffix] / 1e6:7.2f} {middle:9.3f} {values[-1]:8.3f} {sum(values):8.2f}"
        )


def bench_chunk(folder: Path) -> None:
    count = counter()
    total, taken, counting = 0, 0.0, 0.0
    fill: Counter[int] = Counter()
    for _, content, _ in contents(folder):
        start = time.perf_counter()
        chunks = chunking.chunk(content, count)
        taken += time.perf_counter() - start
        start = time.perf_counter()
        for chunk in chunks:
            count(chunk.text)
        counting += time.perf_counter() - start
        total += len(chunks)
        fill.update(min(9, chunk.tokens * 10 // 256) for chunk in chunks)
    print(f"{total} chunks, {total / taken:,.0f} chunks/s, {taken / counting:.1f} times the time of counting them once")
    print("share by tenths of fill:", " ".join(f"{fill[tenth] / total:.2f}" for tenth in range(10)))


def windows(content: Content, words: int, overlap: int = 0) -> list[tuple[int, int]]:
    found = [match.span() for match in re.finditer(r"\S+", content.text)]
    step = words - overlap
    return [(found[i][0], found[min(i + words, len(found)) - 1][1]) for i in range(0, len(found), step)]


def bench_evidence(collection: Path) -> None:
    documents = {row["_id"]: Content(text=row["text"]) for row in rows(collection / "corpus.jsonl")}
    queries = list(rows(collection / "queries.jsonl"))
    count = counter()
    ways: dict[str, Callable[[Content], list[tuple[int, int]]]] = {
        "150 words": lambda content: windows(content, 150),
        "150 words, overlap 30": lambda content: windows(content, 150, 30),
        "300 words": lambda content: windows(content, 300),
    }
    for tokens in (128, 192, 256, 320, 384):
        ways[f"termrag, {tokens} tokens"] = lambda content, tokens=tokens: [
            (c.start_char, c.end_char) for c in chunking.chunk(content, count, tokens)
        ]
    print(
        f"{'chunks':24} {'number':>6} {'found':>6} {'precise':>8} {'iou':>6} {'hit@1':>6} {'hit@5':>6} {'chars@5':>8}"
    )
    for name, way in ways.items():
        print(f"{name:24} " + evidence(documents, queries, way))


def evidence(
    documents: dict[str, Content], queries: list[dict[str, Any]], way: Callable[[Content], list[tuple[int, int]]]
) -> str:
    spans = [(key, start, end) for key, content in documents.items() for start, end in way(content)]
    search = bm25([documents[key].text[start:end] for key, start, end in spans])
    found = precise = iou = first = five = read = 0.0
    for query in queries:
        references = query["metadata"]["references"]
        home = query["metadata"]["corpus"]
        wanted = {c for part in references for c in range(part["start_index"], part["end_index"])}
        top = [spans[index] for index in search(query["text"])[:TOP]]
        hits = [len(wanted & set(range(s, e))) if key == home else 0 for key, s, e in top]
        covered = {c for key, s, e in top if key == home for c in range(s, e)}
        length = sum(e - s for _, s, e in top)
        found += len(wanted & covered) / len(wanted)
        precise += sum(hits) / length
        iou += len(wanted & covered) / (length + len(wanted - covered))
        first += bool(hits[0])
        five += any(hits)
        read += length
    values = [value / len(queries) for value in (found, precise, iou, first, five, read)]
    return f"{len(spans):6} " + "{:6.3f} {:8.3f} {:6.3f} {:6.3f} {:6.3f} {:8.0f}".format(*values)


def bm25(texts: list[str], k1: float = 1.2, b: float = 0.75) -> Callable[[str], list[int]]:
    """Lucene's scoring over stemmed words."""
    from Stemmer import Stemmer

    stemmer = Stemmer("english")

    def words(text: str) -> list[str]:
        return list(stemmer.stemWords(_WORD.findall(text.lower())))

    counts = [Counter(words(text)) for text in texts]
    lengths = [sum(count.values()) for count in counts]
    mean = sum(lengths) / len(lengths)
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, count in enumerate(counts):
        for word, times in count.items():
            postings[word].append((index, times))

    def search(question: str) -> list[int]:
        scores: Counter[int] = Counter()
        for word in set(words(question)):
            found = postings.get(word, [])
            weight = math.log(1 + (len(texts) - len(found) + 0.5) / (len(found) + 0.5))
            for index, times in found:
                scores[index] += weight * times / (times + k1 * (1 - b + b * lengths[index] / mean))
        return [index for index, _ in sorted(scores.items(), key=lambda item: (-item[1], item[0]))]

    return search


def rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


if __name__ == "__main__":
    benches = {"read": bench_read, "chunk": bench_chunk, "evidence": bench_evidence}
    if len(sys.argv) != 3 or sys.argv[1] not in benches:
        sys.exit(__doc__)
    benches[sys.argv[1]](Path(sys.argv[2]))
