"""Path globs as a shell reads them, translated once for every place that filters paths; touches no file.

`*`, `?` and `[...]` stay within one name, `**` crosses folders, `\\` takes the next sign as it is. A glob that is not
absolute matches at any depth. A glob without wildcards, or one that ends in `/`, also covers all that lies below it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_WILD = re.compile(r"[*?\[]")


def glob_regex(glob: str) -> str:
    """A pattern that must match a whole absolute path, without anchors, in the syntax that Python and Rust share;
    `.` has to match a newline too."""
    body, below = glob.rstrip("/"), glob.endswith("/") or not _WILD.search(glob)
    pattern = _translate(body)
    if not glob.startswith("/"):
        pattern = "(?:.*/)?" + pattern
    return f"{pattern}(?:/.*)?" if below else pattern


def glob_prefix(glob: str) -> str:
    """The fixed text that every match begins with; empty if there is none."""
    if not glob.startswith("/"):
        return ""
    wild = re.search(r"[*?\[\\]", glob)
    return glob.rstrip("/") if wild is None else glob[: wild.start()]


def glob_matcher(globs: Sequence[str]) -> Callable[[str], bool]:
    """Whether an absolute path matches one of the globs; no globs match everything."""
    if not globs:
        return lambda path: True
    whole = re.compile("|".join(f"(?:{glob_regex(glob)})" for glob in globs), re.DOTALL).fullmatch
    return lambda path: whole(path) is not None


def _translate(glob: str) -> str:
    parts: list[str] = []
    index = 0
    while index < len(glob):
        if glob.startswith("**/", index):
            parts.append("(?:.*/)?")
            index += 3
        elif glob.startswith("**", index):
            parts.append(".*")
            index += 2
        else:
            part, index = _one_sign(glob, index)
            parts.append(part)
    return "".join(parts)


def _one_sign(glob: str, index: int) -> tuple[str, int]:
    """The pattern for what stands at `index`, and where the next begins."""
    sign = glob[index]
    if sign == "*":
        return "[^/]*", index + 1
    if sign == "?":
        return "[^/]", index + 1
    if sign == "[":
        end = glob.find("]", index + 3 if glob[index + 1 : index + 2] in ("!", "^") else index + 2)
        if end > 0:
            return _sign_class(glob[index + 1 : end]), end + 1
    if sign == "\\" and index + 1 < len(glob):
        return _literal(glob[index + 1]), index + 2
    return _literal(sign), index + 1


def _sign_class(inside: str) -> str:
    negated = inside[0] in "!^"
    members = [sign if sign == "-" and i > 0 else _literal(sign) for i, sign in enumerate(inside[negated:])]
    if members[-1] == "-":
        members[-1] = _literal("-")
    return f"[^/{''.join(members)}]" if negated else f"[{''.join(members)}]"


def _literal(sign: str) -> str:
    """Letters and digits as they are, anything else by code, so that no sign has a meaning in any regex dialect."""
    if sign.isascii() and (sign.isalnum() or sign in "/_"):
        return sign
    return f"\\U{ord(sign):08x}"
