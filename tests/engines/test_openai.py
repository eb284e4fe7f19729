"""What is a remote endpoint's own: what goes over the wire, what goes wrong on it, and what is said then."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest

from termrag.config import OpenAISettings
from termrag.engines import Done, Piece, Prefill
from termrag.engines.openai import OpenAIEngine, estimate_tokens
from termrag.errors import ConfigError, EngineFailed
from termrag.records import Message, Sampling

from .endpoint_server import BreakAfter, EndpointServer, Refuse, running_server
from .running import run

QUESTION = [Message("system", "Be brief."), Message("user", "Where is the lamp? 東京\u2028?")]
SCRIPT = "The lamp stands on the northern pier.\u2028It was lit in 1874; 東京 read of it."


@pytest.fixture
def server() -> Iterator[EndpointServer]:
    with running_server(SCRIPT) as server:
        yield server


@pytest.fixture(autouse=True)
def _engines_are_closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


_OPENED: list[OpenAIEngine] = []


def _engine(server: EndpointServer, *, api_key: str = "", timeout_s: float = 20.0) -> OpenAIEngine:
    return _engine_at(server.url, api_key=api_key, timeout_s=timeout_s)


def _engine_at(url: str, *, api_key: str = "", timeout_s: float = 20.0) -> OpenAIEngine:
    settings = OpenAISettings(url=url, model="lamp-7b", context_tokens=1024, timeout_s=timeout_s)
    _OPENED.append(OpenAIEngine(settings, api_key=api_key))
    return _OPENED[-1]


# --- what is sent --------------------------------------------------------------------------------------------------


def test_the_request_holds_the_messages_and_the_sampling_and_nothing_else(server: EndpointServer):
    result = run(_engine(server), QUESTION, temperature=0.5, top_p=0.9, max_tokens=50, stop=("XX",), seed=4)
    assert result.text == SCRIPT
    ((_, headers, body),) = server.chat_requests()
    assert body == {
        "model": "lamp-7b",
        "messages": [{"role": message.role, "content": message.content} for message in QUESTION],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 50,
        "stop": ["XX"],
        "seed": 4,
    }
    assert "Authorization" not in headers


def test_settings_beyond_the_api_are_sent_only_when_asked_for(server: EndpointServer):
    run(_engine(server), QUESTION, top_k=20, min_p=0.1, repetition_penalty=1.2, max_tokens=4)
    body = server.chat_requests()[0][2]
    assert (body["top_k"], body["min_p"]) == (20, 0.1)
    assert (body["repetition_penalty"], body["repeat_penalty"]) == (1.2, 1.2)


def test_the_key_goes_to_the_endpoint_and_nowhere_else(server: EndpointServer):
    run(_engine(server, api_key="sk-lamp"), QUESTION, max_tokens=2)
    assert {headers.get("Authorization") for _, headers, _ in server.requests} == {"Bearer sk-lamp"}


def test_more_stop_strings_than_the_api_takes_are_all_honoured(server: EndpointServer):
    result = run(_engine(server), QUESTION, max_tokens=50, stop=("1", "2", "3", "4", "northern"))
    assert len(server.chat_requests()[0][2]["stop"]) == 4
    assert result.text == "The lamp stands on the "
    assert result.done.reason == "stop"


def test_a_proxy_is_not_used_for_this_machine(server: EndpointServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run(_engine(server), QUESTION, max_tokens=50).text == SCRIPT


# --- counting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", ["vllm", "llama-server"])
def test_an_endpoint_that_can_count_is_asked(counts: str):
    with running_server(SCRIPT, counts=counts) as server:
        engine = _engine(server)
        assert engine.count_tokens(QUESTION) == server.engine.count_tokens(QUESTION)
        result = run(engine, QUESTION, max_tokens=4)
        assert result.prefills[-1].total == result.usage.prompt_tokens == engine.count_tokens(QUESTION)
        asked = len(server.requests)
        assert engine.count_tokens(QUESTION) == result.usage.prompt_tokens
        assert len(server.requests) == asked  # the same messages are not counted twice
        assert engine.context_length == (900 if counts == "vllm" else 1024)


def test_an_endpoint_that_cannot_count_is_estimated_on_the_high_side():
    with running_server(SCRIPT, counts="no", sends_usage=False) as server:
        engine = _engine(server)
        result = run(engine, QUESTION, max_tokens=6)
        assert engine.count_tokens(QUESTION) > server.engine.count_tokens(QUESTION)
        assert result.usage.prompt_tokens == engine.count_tokens(QUESTION)
        assert result.usage.generated_tokens == 6


def test_an_endpoint_that_cannot_count_sees_the_messages_only_in_the_request_itself():
    with running_server(SCRIPT, counts="no") as server:
        run(_engine(server), QUESTION, max_tokens=2)
        elsewhere = [str(body) for path, _, body in server.requests if path != "/v1/chat/completions"]
        assert len(elsewhere) == 2
        assert not any("lamp?" in body for body in elsewhere)


def test_an_estimate_that_was_too_low_is_raised_by_what_the_answer_says():
    with running_server(SCRIPT, counts="no", usage_factor=50) as server:
        engine = _engine(server)
        before = engine.count_tokens(QUESTION)
        truth = run(engine, QUESTION, max_tokens=2).usage.prompt_tokens
        assert before < truth <= engine.count_tokens(QUESTION)


@pytest.mark.model
def test_the_estimate_is_above_a_real_tokenizers_count(starter_mlx, repo_root):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(starter_mlx / "tokenizer.json"))
    texts = [file.read_text(encoding="utf-8") for file in sorted((repo_root / "src").rglob("*.py"))]
    texts += [file.read_text(encoding="utf-8") for file in (repo_root / "tests" / "samples").glob("*.md")]
    texts += ["日本語の文章は空白で区切られない。" * 20, "Ελληνικά και русский текст вместе. " * 20, "6f2a9c0e" * 50]
    for text in texts:
        estimate, truth = estimate_tokens([Message("user", text)]), len(tokenizer.encode(text).ids)
        assert truth <= estimate, text[:80]


# --- what goes wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_endpoint_is_asked_again(server: EndpointServer, status: int):
    server.faults = [Refuse(status, headers={"Retry-After": "0"}), Refuse(status)]
    assert run(_engine(server), QUESTION, max_tokens=50).text == SCRIPT
    assert len(server.chat_requests()) == 3


@pytest.mark.parametrize(
    "wait",
    ["1", formatdate(time.time() + 3600 * 24 * 300, usegmt=True), "nonsense"],
    ids=["seconds", "date", "nonsense"],
)
def test_retry_after_is_honoured_within_reason(server: EndpointServer, wait: str):
    server.faults = [Refuse(503, headers={"Retry-After": wait})]
    began = time.perf_counter()
    if "GMT" in wait:
        with pytest.raises(EngineFailed, match="503"):
            run(_engine(server), QUESTION, max_tokens=50)
        assert len(server.chat_requests()) == 1
    else:
        assert run(_engine(server), QUESTION, max_tokens=50).text == SCRIPT
        assert time.perf_counter() - began >= (1.0 if wait == "1" else 0.5)


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (400, "termrag config show"),
        (401, "TERMRAG_OPENAI_API_KEY"),
        (403, "TERMRAG_OPENAI_API_KEY"),
        (404, "lamp-7b"),
        (500, "/models"),
        (504, "/models"),
    ],
)
def test_a_refusal_is_passed_on_in_words_with_a_hint(server: EndpointServer, status: int, hint: str):
    server.faults = [Refuse(status)]
    with pytest.raises(EngineFailed) as caught:
        run(_engine(server), QUESTION)
    assert str(status) in caught.value.message
    assert "no luck today" in caught.value.message
    assert hint in caught.value.hint
    assert len(server.chat_requests()) == 1


@pytest.mark.parametrize("body", ["", "<html>Bad\n gateway</html>", '{"detail": "x"}', "[1]", '{"error": "plain"}'])
def test_a_refusal_of_any_shape_gives_one_line(server: EndpointServer, body: str):
    server.faults = [Refuse(500, body=body)]
    with pytest.raises(EngineFailed) as caught:
        run(_engine(server), QUESTION)
    assert "\n" not in caught.value.message


def test_too_many_requests_in_the_end_is_said(server: EndpointServer):
    server.faults = [Refuse(429, headers={"Retry-After": "0"})] * 4
    with pytest.raises(EngineFailed, match="429") as caught:
        run(_engine(server), QUESTION)
    assert "wait" in caught.value.hint


def test_a_connection_that_breaks_keeps_what_came(server: EndpointServer):
    server.faults = [BreakAfter(5)]
    result = run(_engine(server), QUESTION, max_tokens=50)
    assert result.done.reason == "lost"
    assert SCRIPT.startswith(result.text)
    assert result.usage.generated_tokens == 5
    assert len(server.chat_requests()) == 1


def test_nobody_listening_is_said_with_the_address():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    engine = _engine_at(url)
    with pytest.raises(EngineFailed) as caught:
        run(engine, QUESTION)
    assert url in caught.value.message
    assert caught.value.hint == f"curl {url}/models"


def test_an_endpoint_that_comes_up_late_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1"
    stream = _engine_at(url).stream(QUESTION, Sampling(max_tokens=50))
    assert [next(stream), next(stream)] != []  # nobody was there when the first try was made
    with running_server(SCRIPT, port=port):
        assert "".join(event.text for event in stream if isinstance(event, Piece)) == SCRIPT


def test_a_silent_endpoint_is_given_up_after_the_set_time(server: EndpointServer):
    server.silent.set()
    engine = _engine(server, timeout_s=0.4)
    with pytest.raises(EngineFailed, match="silent") as caught:
        run(engine, QUESTION)
    assert "timeout_s" in caught.value.hint


def test_closing_while_the_endpoint_is_silent_ends_the_request(server: EndpointServer):
    server.silent.set()
    stream = _engine(server, timeout_s=600).stream(QUESTION, Sampling())
    waited = [next(stream), next(stream), next(stream)]  # a chance to close comes up again and again
    stream.close()
    assert {type(event) for event in waited} == {Prefill}
    assert server.was_left.wait(5)
    assert "openai" not in [thread.name for thread in threading.enumerate()]


def test_closing_while_the_answer_comes_makes_the_endpoint_stop():
    with running_server("One more ship passed the lamp. " * 500) as server:
        server.pace_s = 0.002
        stream = _engine(server).stream(QUESTION, Sampling(max_tokens=900))
        next(event for event in stream if isinstance(event, Piece))
        stream.close()
        assert server.was_left.wait(5)
        assert server.sent_chunks < 600


def test_a_url_that_is_none_is_refused_before_anything_is_sent():
    with pytest.raises(ConfigError, match=r"openai\.url"):
        _engine_at("localhost:8000").load()


@pytest.mark.model
def test_a_real_llama_server_is_spoken_to(starter_gguf):
    """llama.cpp's own HTTP server, with its own template, tokenizer and prompt cache."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(starter_gguf), 1024, 1
    params.verbosity, params.warmup, params.ui = -1, False, False
    llama = xllamacpp.Server(params)
    engine = _engine_at(f"{llama.listening_address}/v1")
    question = [Message("system", "Be brief."), Message("user", "Name three rivers of Europe.")]
    first = run(engine, question, max_tokens=16)
    assert first.usage.prompt_tokens == engine.count_tokens(question)
    assert first.usage.generated_tokens == 16
    second = run(engine, question, max_tokens=16)
    assert second.usage.cached_tokens == second.usage.prompt_tokens - 1
    assert isinstance(second.events[-1], Done)
    with pytest.raises(EngineFailed, match="1024"):
        run(engine, [Message("user", "word " * 1100)])
