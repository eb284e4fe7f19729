"""termrag beside haiku.rag on the same files, both with the same embedding model behind one loopback endpoint.

    python bench/peers.py --haiku /path/to/haiku-rag [--files 1000] [--size 2000]

Takes `haiku-rag` of an environment of its own that has its `docling` extra. Both embed through the OpenAI-compatible
setting, with termrag's default embedder behind it, and cut by the same tokenizer into chunks of 256 tokens. Timed are
whole commands: the first indexing, a second run with nothing changed, and a run after 100 files got other names.
`embedded` is how many texts the endpoint was asked for in that step; `documents` is what the index holds after it.
Results are JSON lines.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import Embedder, open_embedder
from termrag.models import Shelf

ROOT = Path(__file__).resolve().parents[1]
RENAMED = 100


class Served:
    """The embedder behind `/v1/embeddings`; counts the texts it embeds."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder
        self.count = 0
        self.lock = threading.Lock()

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        with self.lock:
            self.count += len(texts)
            return [vector.astype("<f4").tobytes() for vector in self.embedder.embed(texts)]


def handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
            vectors = served.embed(texts)
            as_base64 = body.get("encoding_format") == "base64"
            data = [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": base64.b64encode(raw).decode() if as_base64 else memoryview(raw).cast("f").tolist(),
                }
                for index, raw in enumerate(vectors)
            ]
            usage = {"prompt_tokens": 0, "total_tokens": 0}
            answer = {"object": "list", "model": body["model"], "data": data, "usage": usage}
            sent = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

    return Handler


@contextmanager
def serving(served: Served) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(served))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def write_files(folder: Path, count: int, size: int) -> None:
    words = (ROOT / "tests" / "samples" / "keepers-diary.md").read_text(encoding="utf-8").split()
    chance = random.Random(7)
    folder.mkdir()
    for number in range(count):
        text = f"# Note {number}\n\n"
        while len(text) < size:
            text += " ".join(chance.choices(words, k=60)) + ".\n\n"
        (folder / f"note-{number:04}.md").write_text(text, encoding="utf-8")


class Termrag:
    name = "termrag"

    def __init__(self, work: Path, url: str) -> None:
        self.environ = {
            **os.environ,
            "TERMRAG_HOME": str(work / "termrag"),
            "TERMRAG_MODELS_EMBEDDING": "openai:minilm",
            "TERMRAG_OPENAI_EMBEDDING_URL": url,
        }

    def index(self, folder: Path) -> None:
        run([sys.executable, "-m", "termrag", "add", "--wait", str(folder)], self.environ)

    def documents(self) -> int:
        status = run([sys.executable, "-m", "termrag", "status", "--json"], self.environ)
        return int(json.loads(status)["documents"])


class Haiku:
    name = "haiku.rag"

    def __init__(self, work: Path, url: str, command: str, tokenizer: Path) -> None:
        self.command = command
        self.database = work / "haiku.lancedb"
        self.settings = work / "haiku.yaml"
        home = work / "haiku"
        home.mkdir()
        self.environ = {**os.environ, "HOME": str(home), "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "none"}
        run([command, "init-config", str(self.settings)], self.environ)
        text = self.settings.read_text(encoding="utf-8")
        model = f"    provider: openai\n    name: minilm\n    vector_dim: 384\n    base_url: {url}\n"
        text = re.sub(
            r"    provider: ollama\n    name: qwen3-embed.*\n    vector_dim: .*\n    base_url: .*\n", model, text
        )
        text = re.sub(r"chunking_tokenizer: .*", f"chunking_tokenizer: {tokenizer}", text)
        self.settings.write_text(text, encoding="utf-8")
        run([command, "--config", str(self.settings), "init", "--db", str(self.database)], self.environ)

    def _run(self, *arguments: str) -> str:
        return run([self.command, "--config", str(self.settings), *arguments, "--db", str(self.database)], self.environ)

    def index(self, folder: Path) -> None:
        self._run("add-src", str(folder))

    def documents(self) -> int:
        found = re.search(r"documents\D*(\d+)", self._run("info"), re.IGNORECASE)
        return int(found[1]) if found else -1


def run(command: Sequence[str], environ: Mapping[str, str]) -> str:
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, timeout=3000)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}{done.stdout[-2000:]}"
        )
    return done.stdout


def measure(peer: Termrag | Haiku, folder: Path, served: Served, files: int) -> None:
    def step(what: str) -> None:
        before, begun = served.count, time.perf_counter()
        peer.index(folder)
        seconds = time.perf_counter() - begun
        told = {"peer": peer.name, "step": what, "seconds": round(seconds, 2), "files/s": round(files / seconds, 2)}
        print(json.dumps({**told, "embedded": served.count - before, "documents": peer.documents()}), flush=True)

    step("first run")
    step("nothing changed")
    for file in sorted(folder.glob("note-*.md"))[:RENAMED]:
        file.rename(file.with_name("renamed-" + file.name))
    step("100 renames")


def tokenizer_folder(shelf: Shelf, work: Path) -> Path:
    """The default embedder's tokenizer as `transformers` reads it."""
    folder = work / "tokenizer"
    folder.mkdir()
    source = shelf.locate("all-minilm-l6-v2", "onnx")
    source = source if source.is_dir() else source.parent
    (folder / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, "pad_token": "[PAD]"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    return folder


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--haiku", required=True, help="the haiku-rag command")
    arguments.add_argument("--files", type=int, default=1000)
    arguments.add_argument("--size", type=int, default=2000, help="bytes a file")
    options = arguments.parse_args()
    shelf = Shelf(ROOT / ".cache" / "models")
    embedder = open_embedder(ModelSettings(), OpenAISettings(), shelf, {})
    embedder.load()
    served = Served(embedder)
    with tempfile.TemporaryDirectory() as place, serving(served) as url:
        work = Path(place)
        for peer in (Termrag(work, url), Haiku(work, url, options.haiku, tokenizer_folder(shelf, work))):
            folder = work / f"files-{peer.name}"
            write_files(folder, options.files, options.size)
            measure(peer, folder, served, options.files)
    embedder.close()


if __name__ == "__main__":
    main()
