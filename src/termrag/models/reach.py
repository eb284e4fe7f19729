"""Asks whether a URL answers, within a deadline that holds.

In a process of its own: looking up a name cannot be interrupted, and a resolver without a network may take half a
minute to give up.
"""

from __future__ import annotations

import subprocess
import sys

_START_S = 2.0  # for the interpreter of the child, on a busy machine


def is_reachable(url: str, timeout_s: float) -> bool:
    """Whether any answer comes, be it a refusal. Takes at most `timeout_s` and two seconds more."""
    command = [sys.executable, "-I", "-S", __file__, url, str(timeout_s)]
    try:
        child = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s + _START_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return child.returncode == 0


def main(url: str, timeout_s: float) -> int:
    """What the child does, with the standard library alone: 0 for an answer, 1 for none."""
    import ssl
    import urllib.error
    import urllib.request

    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s).close()
    except urllib.error.HTTPError:
        return 0
    except urllib.error.URLError as error:
        # Whoever shows a certificate has answered; whether it is a good one is for the download to say.
        return 0 if isinstance(error.reason, ssl.SSLError) else 1
    except (OSError, ValueError):
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], float(sys.argv[2])))
