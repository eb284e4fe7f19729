"""The remote endpoint and its key, and settings that are reset: through the façade, against a loopback server."""

from __future__ import annotations

import stat

import pytest

from engines.endpoint_server import Refuse, running_server
from termrag.config import Config, load_config
from termrag.connection import API_KEY, masked_key
from termrag.errors import ConfigError, EngineFailed
from termrag.rag import Rag


def remote(url: str) -> Config:
    return Config().with_values({"openai": {"url": url}, "models": {"engine": "scripted", "script": "Hello."}}, "test")


async def test_an_endpoint_that_is_there_names_its_models():
    with running_server("Hello.") as server:
        async with Rag(remote(server.url)) as rag:
            reached = await rag.reach_endpoint()
    assert reached.models == ("scripted",)
    assert reached.milliseconds > 0
    assert [route for route, _, _ in server.requests] == ["/v1/models"]


@pytest.mark.parametrize(
    ("answer", "says", "hint"),
    [
        (Refuse(401), "answered 401: no luck today", API_KEY),
        (Refuse(500, "<html><body>oops</body></html>"), "answered 500", "curl"),
        (Refuse(200, "[]"), "lists no models", "curl"),
        (Refuse(200, "no JSON"), "lists no models", "curl"),
    ],
)
async def test_what_is_wrong_with_an_endpoint_is_told(answer: Refuse, says: str, hint: str):
    with running_server("Hello.") as server:
        server.faults = [answer]
        async with Rag(remote(server.url)) as rag:
            with pytest.raises(EngineFailed) as told:
                await rag.reach_endpoint()
    assert says in told.value.message
    assert "<" not in told.value.message
    assert hint in told.value.hint


async def test_an_endpoint_without_a_url_is_a_wrong_setting():
    async with Rag(remote("")) as rag:
        with pytest.raises(ConfigError, match="not an http or https URL"):
            await rag.reach_endpoint()


async def test_a_stored_key_is_private_used_and_forgotten():
    with running_server("Hello.") as server:
        async with Rag(remote(server.url), environ={}) as rag:
            await rag.set_api_key("sk-0123456789abcdef")
            file = rag.paths.api_key_file
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert rag.api_key == "••••••••cdef"
            await rag.reach_endpoint()
        async with Rag(remote(server.url), environ={}) as again:
            await again.reach_endpoint()
            await again.set_api_key("")
            assert not file.exists()
            await again.reach_endpoint()
    keys = [headers.get("Authorization") for _, headers, _ in server.requests]
    assert keys == ["Bearer sk-0123456789abcdef"] * 2 + [None]


async def test_the_environments_key_goes_before_the_stored_one():
    with running_server("Hello.") as server:
        async with Rag(remote(server.url), environ={API_KEY: "from-outside"}) as rag:
            await rag.set_api_key("stored")
            assert rag.is_api_key_given
            await rag.reach_endpoint()
    assert server.requests[0][1]["Authorization"] == "Bearer from-outside"


def test_a_short_key_is_not_shown_at_all():
    assert masked_key({API_KEY: "secret"}) == "••••••••"
    assert masked_key({}) == ""


async def test_a_setting_that_is_reset_leaves_the_file_and_comments_stay():
    async with Rag(remote("")) as rag:
        await rag.change("generation", "temperature", 0.7)
        file = rag.paths.config_file
        file.write_text("# mine\n" + file.read_text())
        assert await rag.reset("generation", "temperature") == 0.0
        assert rag.config.generation.temperature == 0.0
        assert "temperature" not in file.read_text()
        assert file.read_text().startswith("# mine")
        with pytest.raises(ConfigError, match=r"generation\.warmth"):
            await rag.reset("generation", "warmth")


async def test_a_local_model_that_is_chosen_takes_over_from_the_endpoint():
    async with Rag(remote("http://127.0.0.1:9/v1")) as rag:
        await rag.use_remote("gpt")
        assert (rag.config.models.engine, rag.config.openai.model) == ("openai", "gpt")
        await rag.use("smollm2-135m")
        assert rag.config.models.engine == "auto"
        kept = load_config(rag.paths.config_file, {})
    assert (kept.models.engine, kept.models.chat) == ("auto", "smollm2-135m")
