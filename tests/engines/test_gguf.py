"""Converting GGUF for MLX: the same tokens, the same probabilities, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from termrag.engines.gguf import convert_gguf
from termrag.engines.gguf_header import read_header
from termrag.engines.llamacpp import LlamaCppEngine
from termrag.errors import EngineFailed, ModelMissing

from .tiny import write_tiny_gguf

HARD_TEXTS = [
    "Hello, world! It's 12345 o'clock; they'll've gone.",
    "  three   spaces\tand\ttabs \n\n\n new lines \r\n\r\n",
    "Ünï çødé — “quotes” … 東京タワー 日本語 한국어 עברית العربية हिन्दी",
    "👩‍🔬🏳️‍🌈 emoji ﷺ \u200b\ufeff zero width",
    "def f(x):\n    return x**2  # 3.14159e-10 0x7fff\n\tpass",
    "CamelCase snake_case kebab-case a.b.c/d?e=f&g=%20 ____ ---- ====",
    "1 22 333 4444 55555 ²³ ½ Ⅷ ٣٤٥",
    " don't DON'T Don'T I'M we'Re",
    "\x00\x01 \x7f control",
    "<|im_start|>user\n<|im_end|> <|endoftext|> <|eot_id|><|begin_of_text|>",
]


@pytest.fixture(scope="module")
def tiny_llama(tiny_gguf: Path) -> Iterator[LlamaCppEngine]:
    engine = LlamaCppEngine(tiny_gguf, model="tiny", context_tokens=1024)
    engine.load()
    yield engine
    engine.close()


def _tokenize_alike(llama: LlamaCppEngine, folder: Path, text: str) -> tuple[list[int], list[int]]:
    from tokenizers import Tokenizer

    ours = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text, add_special_tokens=False).ids
    body = {"content": text, "add_special": False, "parse_special": True}
    return ours, llama._request("POST", "/tokenize", body)["tokens"]


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_tokens_of_llama_3s_rule_equal_llama_cpps(tiny_llama: LlamaCppEngine, tiny_mlx: Path, text: str):
    ours, theirs = _tokenize_alike(tiny_llama, tiny_mlx, text)
    assert ours == theirs


@pytest.mark.parametrize("pre", ["qwen2", "gpt-2", "smollm"])
def test_tokens_of_the_other_rules_equal_llama_cpps(tmp_path: Path, pre: str):
    file = write_tiny_gguf(tmp_path / "tiny.gguf", tokenizer__ggml__pre=pre, tokenizer__ggml__add_bos_token=False)
    convert_gguf(file, tmp_path / "mlx")
    llama = LlamaCppEngine(file, model="tiny", context_tokens=512)
    llama.load()
    try:
        for text in HARD_TEXTS:
            ours, theirs = _tokenize_alike(llama, tmp_path / "mlx", text)
            assert ours == theirs, text
    finally:
        llama.close()


@pytest.mark.model
def test_tokens_of_the_starter_equal_llama_cpps(starter_gguf: Path, starter_mlx: Path):
    llama = LlamaCppEngine(starter_gguf, model="starter", context_tokens=512)
    llama.load()
    try:
        for text in HARD_TEXTS:
            ours, theirs = _tokenize_alike(llama, starter_mlx, text)
            assert ours == theirs, text
    finally:
        llama.close()


def test_probabilities_equal_llama_cpps(tiny_llama: LlamaCppEngine, tiny_mlx: Path):
    """With Llama 3's rope factors and many tokens, so that long positions count too; llama.cpp's cache is float16."""
    import mlx.core as mx
    from mlx_lm import load

    model, tokenizer = load(str(tiny_mlx))
    ids = tokenizer.encode("the word 123 " * 300, add_special_tokens=False)[:900]
    logits = model(mx.array(ids)[None])[0, -1]
    logprobs = logits - mx.logsumexp(logits)
    body = {"prompt": ids, "n_predict": 1, "n_probs": 8, "temperature": 0, "cache_prompt": False}
    answer = tiny_llama._request("POST", "/completion", body)
    theirs = {entry["id"]: entry["logprob"] for entry in answer["completion_probabilities"][0]["top_logprobs"]}
    assert len(theirs) == 8
    assert {i: logprobs[i].item() for i in theirs} == pytest.approx(theirs, abs=0.05)


def test_the_folder_says_what_the_file_says(tiny_mlx: Path):
    config = json.loads((tiny_mlx / "config.json").read_text())
    assert config["rope_scaling"]["factor"] == pytest.approx(32.0, rel=0.05)
    assert config["tie_word_embeddings"] is False
    assert len(config["eos_token_id"]) == 2
    assert sorted(file.name for file in tiny_mlx.iterdir()) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_an_existing_folder_is_replaced_as_a_whole(tiny_gguf: Path, tmp_path: Path):
    folder = tmp_path / "mlx"
    folder.mkdir()
    (folder / "stale.txt").write_text("old")
    convert_gguf(tiny_gguf, folder)
    assert not (folder / "stale.txt").exists()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tokenizer__ggml__pre": "tekken"}, "tekken"),
        ({"tokenizer__ggml__pre": None}, "default"),
        ({"tokenizer__ggml__model": "llama"}, "llama"),
        ({"general__architecture": "mamba"}, "mamba"),
    ],
)
def test_what_is_not_known_to_convert_exactly_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, str | None], named: str
):
    file = write_tiny_gguf(tmp_path / "odd.gguf", **changes)
    with pytest.raises(EngineFailed) as caught:
        convert_gguf(file, tmp_path / "mlx")
    assert named in caught.value.message
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == [file]


def test_a_damaged_file_is_refused_and_leaves_nothing(tiny_gguf: Path, tmp_path: Path):
    file = tmp_path / "cut.gguf"
    file.write_bytes(tiny_gguf.read_bytes()[:-100])
    with pytest.raises(EngineFailed, match="damaged"):
        convert_gguf(file, tmp_path / "mlx")
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_file_is_a_missing_model(tmp_path: Path):
    with pytest.raises(ModelMissing):
        convert_gguf(tmp_path / "none.gguf", tmp_path / "mlx")


def test_the_header_is_read_without_its_arrays(tiny_gguf: Path):
    header = read_header(tiny_gguf)
    assert header.context_length == 2048
    assert header.tensor_count == 4 + 2 * 9
    assert "tokenizer.ggml.tokens" not in header.metadata
