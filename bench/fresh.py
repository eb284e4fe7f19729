"""Generated files are what the code would generate now: completions, the settings page, the API's table of endpoints,
the tree in ARCHITECTURE.md.

python bench/fresh.py            check; exit code 1 names what is stale
python bench/fresh.py --write    write them anew
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def generated() -> dict[Path, str]:
    """Every generated file with its content as of now."""
    from termrag.cli import cli
    from termrag.cli.completions import script

    files = {ROOT / "completions" / f"termrag.{shell}": script(cli, shell) for shell in ("bash", "zsh", "fish")}
    files[ROOT / "docs" / "settings.md"] = settings_page()
    files[ROOT / "docs" / "api.md"] = api_page()
    return files


def settings_page() -> str:
    """Every setting with its default and meaning, from where it is defined."""
    from termrag.config import setting_docs

    lines = [
        "# Settings",
        "",
        "Generated from `src/termrag/config.py`. `termrag config path` names the file, `termrag config set",
        "SECTION.KEY VALUE` writes one setting, `TERMRAG_SECTION_KEY` in the environment overrides it.",
    ]
    section = ""
    for name, key, default, doc in setting_docs():
        if name != section:
            lines += ["", f"## [{name}]", "", "| key | default | meaning |", "|---|---|---|"]
            section = name
        shown = list(default) if isinstance(default, tuple) else default
        lines.append(f"| `{key}` | `{shown!r}` | {doc} |")
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """The page about the API with its table of endpoints, from the operations."""
    from termrag.server.routes import OPERATIONS

    written, mark, _ = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("<!-- generated: ")
    lines = [f"{mark}bench/fresh.py --write -->", "", "| endpoint | scope | what it does |", "|---|---|---|"]
    for each in sorted(OPERATIONS, key=lambda each: (each.path, each.method)):
        scope = each.scope.value if each.scope else "none"
        lines.append(f"| `{each.method} {each.path}` | {scope} | {each.summary} |")
    return written + "\n".join(lines) + "\n"


def missing_from_architecture() -> list[str]:
    """Modules that the tree in ARCHITECTURE.md does not name, and names in it that do not exist."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    tree = text.split("```text\n", 1)[1].split("```", 1)[0]
    named = set(re.findall(r"[├└]── (\w+)(?:\.py|/)", tree))
    package = ROOT / "src" / "termrag"
    there = {entry.stem for entry in package.glob("*.py")} | {
        entry.parent.name for entry in package.glob("*/__init__.py")
    }
    there -= {"__init__"}
    return sorted(f"ARCHITECTURE.md: {name}" for name in there ^ named)


def main() -> int:
    stale: list[str] = []
    for path, content in generated().items():
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if "--write" in sys.argv:
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
    if "--write" in sys.argv:
        print("\n".join(f"wrote {name}" for name in stale) or "nothing to write")
        stale = []
    stale += missing_from_architecture()
    for name in stale:
        print(f"stale: {name}", file=sys.stderr)
    if stale:
        print("hint: python bench/fresh.py --write", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
