"""Time to the first token of `termrag ask`: attached to a warm host against alone, in turns, as a shell sees it.

    python bench/host.py [--rounds 5] [--engine llamacpp]

Starter models over the sample documents. Each round runs another question both ways, from the start of the process to
the first byte on stdout; `search` and `ls` too. Ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TERMRAG = (sys.executable, "-m", "termrag")


def environ_of(home: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "TERMRAG_HOME": str(home), "TERMRAG_MODELS_CHAT": "smollm2-135m", **more}


def first_byte_s(environ: dict[str, str], *arguments: str) -> float:
    """From the start of the process to its first output; the rest is read, so that the next one finds an idle host."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [*TERMRAG, *arguments], env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 1)
        seconds = time.perf_counter() - begun
        process.stdout.read()
    if not first:
        raise SystemExit(f"termrag {' '.join(arguments)} said nothing (exit code {process.returncode})")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engine", default="llamacpp")
    given = parser.parse_args()
    known = tomllib.loads((ROOT / "tests" / "samples" / "questions.toml").read_text())
    questions = [each["ask"] for each in known["question"] if each.get("language", "en") == "en"]
    with tempfile.TemporaryDirectory(prefix="tr-") as folder:
        home = Path(folder)
        (home / "cache").mkdir()
        (home / "cache" / "models").symlink_to(ROOT / ".cache" / "models")
        plain = environ_of(home, TERMRAG_MODELS_ENGINE=given.engine)
        alone = {**plain, "TERMRAG_NO_HOST": "1"}
        run = {"env": plain, "check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([*TERMRAG, "add", str(ROOT / "tests" / "samples")], **run)  # type: ignore[call-overload]
        subprocess.run([*TERMRAG, "serve", "--background", "--port", "0"], **run)  # type: ignore[call-overload]
        try:
            first_byte_s(plain, "ask", "--no-save", questions[-1])  # the host loads its models
            commands = {
                "ask, first token": lambda number: ("ask", "--no-save", "--max-tokens", "8", questions[number]),
                "search": lambda number: ("search", questions[number]),
                "ls": lambda _: ("ls",),
            }
            for name, command in commands.items():
                pairs = []
                for number in range(given.rounds):
                    order = [("attached", plain), ("alone", alone)][:: 1 if number % 2 else -1]
                    pairs.append({side: first_byte_s(environ, *command(number)) for side, environ in order})
                report(name, pairs)
        finally:
            subprocess.run([*TERMRAG, "serve", "--stop"], **run)  # type: ignore[call-overload]


def report(name: str, pairs: list[dict[str, float]]) -> None:
    result = {
        "what": name,
        "rounds": len(pairs),
        "alone_ms": round(1000 * statistics.median(pair["alone"] for pair in pairs)),
        "attached_ms": round(1000 * statistics.median(pair["attached"] for pair in pairs)),
        "ratio": round(statistics.median(pair["attached"] / pair["alone"] for pair in pairs), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
