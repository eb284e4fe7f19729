"""How long a command takes before it does anything: ratios to importing click, the fastest of many runs each.

python bench/startup.py [--runs 20]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time


def fastest(arguments: list[str], runs: int, environ: dict[str, str]) -> float:
    """Seconds of the quickest of `runs` runs: the one that the rest of the machine disturbed least."""
    best = float("inf")
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run(arguments, env=environ, capture_output=True, check=True, stdin=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - begun)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as home:
        environ = {"TERMRAG_HOME": home, "PATH": "/usr/bin:/bin"}
        click = fastest([sys.executable, "-c", "import click"], runs, environ)
        for command in (["--version"], ["--help"], ["ls"], ["status"]):
            seconds = fastest([sys.executable, "-m", "termrag", *command], runs, environ)
            result = {"seconds": round(seconds, 4), "ratio_to_click": round(seconds / click, 2)}
            print(json.dumps({"bench": "startup", "command": " ".join(command), **result}))


if __name__ == "__main__":
    main()
