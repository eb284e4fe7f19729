"""Print a command that the README gives, so that checks run exactly what a newcomer pastes.

python bench/readme_commands.py start
python bench/readme_commands.py test
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def command(name: str) -> str:
    """The single line in the code block below the comment `<!-- command: NAME -->`."""
    found = re.findall(rf"<!-- command: {re.escape(name)} -->\n```sh\n(.*)\n```", README.read_text(encoding="utf-8"))
    if len(found) != 1:
        raise SystemExit(f"README.md has {len(found)} commands named {name}; expected one of a single line")
    return found[0]


if __name__ == "__main__":
    print(command(sys.argv[1]))
