"""Writes a tiny llama with random weights as a GGUF file: Llama 3's tokenizer rules, template and rope factors, so that
both local engines can be tested in a second without fetching anything. It speaks nonsense, but always the same."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

HIDDEN, LAYERS, HEADS, KV_HEADS, FEED_FORWARD, CONTEXT = 128, 2, 4, 2, 256, 2048
HEAD_SIZE = HIDDEN // HEADS
ROPE_BASE = 500_000.0

TEMPLATE = (
    "{{ bos_token }}"
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y %H:%M:%S') %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + date_string + '<|eot_id|>' }}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim "
    "+ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
MERGES = [
    *("Ġ t", "i n", "h e", "e r", "Ġt he", "o r", "Ġ a", "r e", "o n", "Ġ s", "e n", "1 2", "12 3", "ã ģ", "Ã ¼"),
    *("s y", "s t", "e m", "sy st", "syst em", "u s", "us er", "Ċ Ċ", "w or", "wor d", "Ġ word"),
]


def write_tiny_gguf(file: Path, **changes: Any) -> Path:
    """Write the model; `changes` replace metadata by key, with __ for a dot (None leaves the key out)."""
    metadata = _metadata() | {key.replace("__", "."): value for key, value in changes.items()}
    tensors = _tensors(len(metadata["tokenizer.ggml.tokens"]))
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), sum(v is not None for v in metadata.values())))
    for key, value in metadata.items():
        if value is not None:
            head += _text(key) + _typed(value)
    data = bytearray()
    for name, array in tensors.items():
        head += _text(name) + struct.pack("<I", array.ndim)
        head += struct.pack(f"<{array.ndim}Q", *reversed(array.shape)) + struct.pack("<IQ", 0, len(data))
        data += array.astype("<f4").tobytes()
        data += bytes(-len(data) % 32)
    head += bytes(-len(head) % 32)
    file.write_bytes(head + data)
    return file


def _metadata() -> dict[str, Any]:
    tokens = [*_byte_letters(), *(merge.replace(" ", "") for merge in MERGES), *SPECIALS]
    first_special = len(tokens) - len(SPECIALS)
    return {
        "general.architecture": "llama",
        "general.name": "tiny random llama",
        "llama.block_count": LAYERS,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": FEED_FORWARD,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KV_HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": ROPE_BASE,
        "llama.rope.dimension_count": HEAD_SIZE,
        "llama.vocab_size": len(tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "llama-bpe",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.token_type": [1] * first_special + [3] * len(SPECIALS),
        "tokenizer.ggml.bos_token_id": first_special,
        "tokenizer.ggml.eos_token_id": first_special + 4,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": TEMPLATE,
    }


def _tensors(vocabulary: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)

    def weights(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32) / math.sqrt(shape[-1])

    tensors = {
        "token_embd.weight": weights(vocabulary, HIDDEN) * 4,
        "output_norm.weight": np.ones(HIDDEN, np.float32),
        "output.weight": weights(vocabulary, HIDDEN) * 4,
        "rope_freqs.weight": _rope_factors(),
    }
    # Only printable ASCII and what is merged is ever likely: answers are long, and valid UTF-8 but for a few.
    tensors["output.weight"][-len(SPECIALS) :] = 0
    tensors["output.weight"][[byte for byte in range(256) if not 32 <= byte < 127]] = 0
    for layer in range(LAYERS):
        name = f"blk.{layer}."
        tensors[name + "attn_norm.weight"] = np.ones(HIDDEN, np.float32)
        tensors[name + "attn_q.weight"] = weights(HIDDEN, HIDDEN) * 2
        tensors[name + "attn_k.weight"] = weights(KV_HEADS * HEAD_SIZE, HIDDEN) * 2
        tensors[name + "attn_v.weight"] = weights(KV_HEADS * HEAD_SIZE, HIDDEN) * 2
        tensors[name + "attn_output.weight"] = weights(HIDDEN, HIDDEN) * 2
        tensors[name + "ffn_norm.weight"] = np.ones(HIDDEN, np.float32)
        tensors[name + "ffn_gate.weight"] = weights(FEED_FORWARD, HIDDEN) * 2
        tensors[name + "ffn_up.weight"] = weights(FEED_FORWARD, HIDDEN) * 2
        tensors[name + "ffn_down.weight"] = weights(HIDDEN, FEED_FORWARD) * 2
    return tensors


def _rope_factors() -> np.ndarray:
    """As Llama 3.2 states them: factor 32 for long wave lengths, 1 for short ones, a ramp between."""
    factors = []
    for i in range(0, HEAD_SIZE, 2):
        wave = 2 * math.pi * ROPE_BASE ** (i / HEAD_SIZE)
        smooth = (8192 / wave - 1.0) / (4.0 - 1.0)
        factors.append(1.0 if wave < 8192 / 4 else 32.0 if wave > 8192 else 1 / ((1 - smooth) / 32.0 + smooth))
    return np.array(factors, np.float32)


def _byte_letters() -> list[str]:
    """One printable letter per byte, in byte order. Source: GPT-2's encoder.py."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


def _text(value: str) -> bytes:
    raw = value.encode("utf-8")
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + _text(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
