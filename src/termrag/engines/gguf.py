"""Turns a GGUF file into a folder that mlx-lm loads, so that one download serves both engines; runs no model.

MLX reads GGUF by itself: Q4_0, Q4_1 and Q8_0 weights stay packed, all other types become float16. What is left to do is
to rename tensors, write the configuration, and rebuild the tokenizer from the metadata.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from termrag.engines.gguf_header import read_header
from termrag.errors import EngineFailed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_ARCHITECTURES = ("llama", "qwen2", "qwen3")
_TOP_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_GROUP_SIZE = 32  # of every packed type that MLX keeps packed

# How a text is cut before byte-pair merging. Source: llama.cpp, src/llama-vocab.cpp, by tokenizer.ggml.pre.
_WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = ("llama-bpe", "llama3", "llama-v3")
_QWEN2 = ("qwen2",)
_GPT2 = ("gpt-2",)
_SMOLLM = ("smollm",)
_CONTROL, _USER_DEFINED = 3, 4  # values of tokenizer.ggml.token_type
_ENDS_OF_TURN = ("<|eot_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "</s>")


def convert_gguf(source: Path, folder: Path) -> None:
    """Write `folder` (config.json, model.safetensors, tokenizer files) from the GGUF file, all at once or not at all.

    An existing folder is replaced. Raises ModelMissing without a file, EngineFailed for a damaged file and for an
    architecture, tensor or tokenizer that is not known to convert exactly.
    """
    header = read_header(source)
    architecture = header.metadata.get("general.architecture", "")
    if architecture not in _ARCHITECTURES:
        raise _unknown(source, f"architecture {architecture!r}")
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        _write(source, part)
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(source: Path, folder: Path) -> None:
    import mlx.core as mx

    loaded: Any = mx.load(str(source), return_metadata=True)
    tensors, metadata = loaded
    values = {key: value.item() if _is_scalar(value) else value for key, value in metadata.items()}
    rope_factors = tensors.pop("rope_freqs.weight", None)
    weights = {_renamed(source, name): tensor for name, tensor in tensors.items()}
    config = _config(values, weights, float(rope_factors.max().item()) if rope_factors is not None else None)
    config |= _write_tokenizer(source, values, folder)
    mx.save_safetensors(str(folder / "model.safetensors"), weights, metadata={"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _is_scalar(value: Any) -> bool:
    return hasattr(value, "item") and value.size == 1


def _unknown(source: Path, what: str) -> EngineFailed:
    return EngineFailed(
        f"{source} has the {what}, which cannot be converted exactly", "termrag config set models.engine llamacpp"
    )


def _renamed(source: Path, name: str) -> str:
    head, _, rest = name.partition(".")
    if head in _TOP_NAMES:
        return f"{_TOP_NAMES[head]}.{rest}"
    layer, _, rest = rest.partition(".")
    part, _, kind = rest.partition(".")
    if head != "blk" or part not in _LAYER_NAMES:
        raise _unknown(source, f"tensor {name!r}")
    return f"model.layers.{layer}.{_LAYER_NAMES[part]}.{kind}"


def _config(values: dict[str, Any], weights: dict[str, Any], rope_factor: float | None) -> dict[str, Any]:
    architecture = values["general.architecture"]

    def of(key: str, default: Any = None) -> Any:
        return values.get(f"{architecture}.{key}", default)

    hidden, heads = of("embedding_length"), of("attention.head_count")
    config = {
        "model_type": architecture,
        "hidden_size": hidden,
        "num_hidden_layers": of("block_count"),
        "intermediate_size": of("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": of("attention.head_count_kv", heads),
        "head_dim": of("attention.key_length", hidden // heads),
        "rms_norm_eps": of("attention.layer_norm_rms_epsilon"),
        "vocab_size": len(values["tokenizer.ggml.tokens"]),
        "rope_theta": of("rope.freq_base", 10000.0),
        "max_position_embeddings": of("context_length"),
        "tie_word_embeddings": "lm_head.weight" not in weights,
    }
    if architecture == "llama":
        # llama.cpp permutes q and k for interleaved rotary positions, which MLX calls traditional.
        config["rope_traditional"] = True
    if rope_factor is not None:
        # Llama 3.x: the file stores the factors, the largest of which is the scaling; the rest is the same for all.
        config["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": rope_factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
    return config | _quantization(weights)


def _quantization(weights: dict[str, Any]) -> dict[str, Any]:
    """The commonest width for all packed layers, and every layer that differs by name."""
    bits = {}
    for name, scales in weights.items():
        if name.endswith(".scales"):
            layer = name.removesuffix(".scales")
            packed_bits = weights[f"{layer}.weight"].shape[-1] * 32  # in words of 32 bits
            bits[layer] = packed_bits // (scales.shape[-1] * _GROUP_SIZE)
    if not bits:
        return {}
    ((common, _),) = Counter(bits.values()).most_common(1)
    others = {layer: {"group_size": _GROUP_SIZE, "bits": n} for layer, n in bits.items() if n != common}
    return {"quantization": {"group_size": _GROUP_SIZE, "bits": common, **others}}


def _write_tokenizer(source: Path, values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the tokenizer's files; the ids that config.json needs."""
    tokens, kinds = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.token_type"].tolist()
    bos, eos = values.get("tokenizer.ggml.bos_token_id"), values["tokenizer.ggml.eos_token_id"]
    tokenizer = _tokenizer(source, values, tokens, kinds)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "bos_token": tokens[bos] if bos is not None else None,
        "eos_token": tokens[eos],
        "pad_token": tokens[values.get("tokenizer.ggml.padding_token_id", eos)],
        "chat_template": values.get("tokenizer.chat_template"),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1), encoding="utf-8")
    ends = {i for i, (t, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind == _CONTROL and t in _ENDS_OF_TURN}
    return {"bos_token_id": bos, "eos_token_id": sorted(ends | {eos})}


def _tokenizer(source: Path, values: dict[str, Any], tokens: list[str], kinds: list[int]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, decoders, models, processors

    model, pre = values["tokenizer.ggml.model"], values.get("tokenizer.ggml.pre", "default")
    if model != "gpt2":
        raise _unknown(source, f"vocabulary {model!r}")
    merges = [tuple(merge.split(" ", 1)) for merge in values["tokenizer.ggml.merges"]]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=pre in _LLAMA3))
    tokenizer.pre_tokenizer = _pre_tokenizer(source, pre)
    tokenizer.decoder = decoders.ByteLevel()
    for kind, is_special in ((_CONTROL, True), (_USER_DEFINED, False)):
        added = [token for token, its_kind in zip(tokens, kinds, strict=True) if its_kind == kind]
        tokenizer.add_special_tokens([AddedToken(t, special=is_special, normalized=False) for t in added])
    if values.get("tokenizer.ggml.add_bos_token", pre in _LLAMA3):
        bos = values["tokenizer.ggml.bos_token_id"]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{tokens[bos]} $A", special_tokens=[(tokens[bos], bos)]
        )
    return tokenizer


def _pre_tokenizer(source: Path, pre: str) -> Any:
    """The rule by its name; an unknown one would tokenize almost rightly, which is worse than not at all."""
    from tokenizers import Regex, pre_tokenizers

    if pre in _GPT2:
        return pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pre in _SMOLLM:
        return pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    if pre in _LLAMA3 or pre in _QWEN2:
        pattern = Regex(_WORD_PATTERN % ("{1,3}" if pre in _LLAMA3 else ""))
        return pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(pattern, "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    raise _unknown(source, f"pre-tokenizer {pre!r}")
