"""Embeddings over HTTP: batches, order, retries, and what each refusal says."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import Embedder, open_embedder
from termrag.errors import ConfigError, EngineFailed


@pytest.fixture
def opened() -> Iterator[Callable[..., Embedder]]:
    with contextlib.ExitStack() as stack:

        def build(url: str, environ: dict[str, str] | None = None) -> Embedder:
            settings = OpenAISettings(url=url, timeout_s=5)
            embedder = open_embedder(ModelSettings(embedding="openai:tiny"), settings, None, environ or {})
            stack.callback(embedder.close)
            return embedder

        yield build


def test_many_texts_go_in_batches_and_come_back_in_order(opened, endpoint):
    endpoint.reverse = True
    texts = [f"text {number}" for number in range(70)]
    embedder = opened(endpoint.url)

    vectors = embedder.embed(texts)

    assert [len(request["input"]) for request in endpoint.requests] == [1, 32, 32, 6]
    assert {request["model"] for request in endpoint.requests} == {"tiny"}
    assert float(vectors[69] @ embedder.embed(["text 69"])[0]) > 0.9999


def test_the_key_goes_along(opened, endpoint):
    opened(endpoint.url, {"TERMRAG_OPENAI_API_KEY": "secret"}).load()

    assert endpoint.keys == ["Bearer secret"]


def test_the_fingerprint_holds_model_and_dimension_but_no_url(opened, endpoint):
    assert opened(endpoint.url).fingerprint == "openai:tiny 32 unit"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_endpoint_is_tried_again(opened, endpoint, status):
    endpoint.faults = [(status, "{}")]
    embedder = opened(endpoint.url)

    assert embedder.dimension == 32
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize(
    ("status", "body", "words", "hint"),
    [
        (401, "{}", "refuses the key (401)", "TERMRAG_OPENAI_API_KEY"),
        (403, "{}", "refuses the key (403)", "TERMRAG_OPENAI_API_KEY"),
        (404, '{"error": {"message": "no model tiny"}}', "knows no model tiny (404): no model tiny", "embedding_url"),
        (400, '{"error": "input too long"}', "answers 400: input too long", "termrag doctor"),
        (200, "<html>hello</html>", "does not answer with embeddings", "embedding_url"),
        (200, '{"data": []}', "gave 0 vectors for 1 texts", "termrag doctor"),
    ],
)
def test_a_refusal_is_told_and_not_repeated(opened, endpoint, status, body, words, hint):
    endpoint.faults = [(status, body)] * 9

    with pytest.raises(EngineFailed) as caught:
        opened(endpoint.url).load()

    assert words in caught.value.message
    assert hint in caught.value.hint
    assert len(endpoint.requests) == 1


def test_a_dimension_that_changes_is_refused(opened, endpoint):
    embedder = opened(endpoint.url)
    embedder.load()
    endpoint.dimension = 16

    with pytest.raises(EngineFailed, match="changed its dimension from 32"):
        embedder.embed(["text"])


def test_a_vector_of_zeros_is_refused(opened, endpoint):
    embedder = opened(endpoint.url)
    embedder.load()
    endpoint.faults = [(200, json.dumps({"data": [{"index": 0, "embedding": [0.0] * 32}]}))]

    with pytest.raises(EngineFailed, match="without a direction"):
        embedder.embed(["text"])


def test_an_endpoint_that_is_not_there_is_told_after_some_tries(opened):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"

        with pytest.raises(EngineFailed, match=rf"{url}/embeddings cannot be reached"):
            opened(url).load()


def test_a_remote_model_without_a_url_is_a_setting_to_mend(opened):
    with pytest.raises(ConfigError) as caught:
        opened("")

    assert caught.value.hint.startswith("termrag config set openai.embedding_url")


def test_opening_and_counting_needs_no_heavy_import():
    code = """
import sys
from termrag.config import ModelSettings, OpenAISettings
from termrag.embedders import open_embedder
embedder = open_embedder(ModelSettings(embedding="openai:m"), OpenAISettings(url="http://h/v1"), None, {})
print(embedder.count_tokens("four words are here"), sorted(sys.modules))
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not [name for name in ("numpy", "httpx", "onnxruntime", "tokenizers") if f"'{name}'" in loaded]


def test_what_is_on_its_way_while_it_is_closed_arrives_and_leaves_no_connection(opened, endpoint):
    embedder = opened(endpoint.url)
    embedder.load()
    endpoint.free.clear()
    told = len(endpoint.requests)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(embedder.embed, [f"text {number}"]) for number in range(4)]
        while len(endpoint.requests) < told + 4:
            time.sleep(0.01)
        embedder.close()
        late = threads.submit(embedder.embed, ["later"])
        endpoint.free.set()
        assert [each.result().shape for each in (*asked, late)] == [(1, endpoint.dimension)] * 5
    embedder.close()
    gc.collect()  # a socket that is open still would be told of
