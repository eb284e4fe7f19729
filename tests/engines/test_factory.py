"""Which engine is chosen, why, and what is said when it cannot be had."""

from __future__ import annotations

import subprocess
import sys

import pytest

from termrag.config import ModelSettings, OpenAISettings
from termrag.engines import EngineChoice, choose_engine, open_engine
from termrag.errors import ConfigError, EngineFailed, ModelMissing

_AUTO = ModelSettings()
_NO_ENDPOINT = OpenAISettings()


def test_apple_silicon_with_mlx_gets_mlx():
    choice = choose_engine(_AUTO, _NO_ENDPOINT, system="Darwin", machine="arm64", is_importable=lambda _: True)
    assert choice == EngineChoice("mlx", "Apple silicon, and mlx-lm is installed")


@pytest.mark.parametrize(
    ("system", "machine", "installed"),
    [
        ("Linux", "x86_64", {"mlx_lm", "xllamacpp"}),
        ("Darwin", "x86_64", {"mlx_lm", "xllamacpp"}),
        ("Darwin", "arm64", {"xllamacpp"}),
    ],
)
def test_everything_else_gets_llamacpp_and_says_why(system: str, machine: str, installed: set[str]):
    choice = choose_engine(
        _AUTO, _NO_ENDPOINT, system=system, machine=machine, is_importable=lambda name: name in installed
    )
    assert choice.name == "llamacpp"
    assert "MLX" in choice.reason or "mlx-lm" in choice.reason


def test_auto_never_falls_back_to_the_scripted_engine():
    settings = ModelSettings(script="Hello.")
    with pytest.raises(EngineFailed) as caught:
        choose_engine(settings, _NO_ENDPOINT, system="Linux", machine="x86_64", is_importable=lambda _: False)
    assert caught.value.hint == "pip install 'termrag[llamacpp]'"


@pytest.mark.parametrize("name", ["mlx", "llamacpp"])
def test_an_explicit_engine_without_its_package_names_the_command(name: str):
    with pytest.raises(EngineFailed) as caught:
        choose_engine(ModelSettings(engine=name), _NO_ENDPOINT, is_importable=lambda _: False)
    assert caught.value.hint == f"pip install 'termrag[{name}]'"


def test_an_explicit_engine_is_respected_on_any_machine():
    settings = ModelSettings(engine="mlx")
    choice = choose_engine(settings, _NO_ENDPOINT, system="Linux", machine="x86_64", is_importable=lambda _: True)
    assert choice.name == "mlx"
    assert "models.engine" in choice.reason


@pytest.mark.parametrize(
    ("settings", "missing"),
    [(OpenAISettings(), "openai.url"), (OpenAISettings(url="http://localhost:1/v1"), "openai.model")],
)
def test_a_remote_engine_without_its_settings_names_the_setting(settings: OpenAISettings, missing: str):
    with pytest.raises(ConfigError) as caught:
        choose_engine(ModelSettings(engine="openai"), settings)
    assert missing in caught.value.message
    assert missing in caught.value.hint


def test_a_local_engine_without_a_path_names_the_command_that_fetches_the_model():
    with pytest.raises(ModelMissing) as caught:
        open_engine(
            EngineChoice("llamacpp", ""), model="tiny", path=None, models=_AUTO, openai=_NO_ENDPOINT, environ={}
        )
    assert caught.value.hint == "termrag models pull tiny"


def test_choosing_an_engine_imports_none_of_them():
    code = (
        "import sys; from termrag.config import Config; from termrag.engines import choose_engine; c = Config();"
        "choose_engine(c.models, c.openai);"
        "print([m for m in ('mlx', 'mlx_lm', 'xllamacpp', 'httpx', 'numpy', 'http.client') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
