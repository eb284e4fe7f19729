"""Source code as blocks along its definitions, found by line patterns and indentation; never parses, never fails.

A parser per language would know more and could be hung or crashed by a file; a definition that is missed here only
costs a less telling heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from termrag.chunking.outline import Block, lines_of

_DEFINITION = 0.9  # cost of a chunk that goes on into the next top-level definition
_MEMBER = 0.3  # ... into the next method of the same class
_BLANK = 0.12  # cost of a cut at a blank line inside a definition
_LINE = 0.45
_LINE_DEEPER = 0.6
_GROUP_LINES = 6
_MAX_INDENT = 12

_MODIFIERS = (
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|sealed|partial|async|unsafe|"
    r"extern|inline|virtual|override|open|data|const|constexpr|local|pub(?:\([\w: ]+\))?|crate|suspend|readonly|"
    r"synchronized|native|implicit|case|lazy|noinline|mut)\s+)*"
)
_KEYWORDS = {
    "python": r"(?P<what>async\s+def|def|class)\s+(?P<name>\w+)",
    "ruby": r"(?P<what>def|class|module)\s+(?P<name>[\w.:?!=<>+\-*/\[\]]+)",
    "elixir": r"(?P<what>defmodule|defprotocol|defimpl|defmacrop?|defp?)\s+(?P<name>[\w.?!]+)",
    "julia": r"(?P<what>function|macro|module|struct|mutable\s+struct)\s+(?P<name>[\w.!]+)",
    "lua": r"(?P<what>(?:local\s+)?function)\s+(?P<name>[\w.:]+)",
    "perl": r"(?P<what>sub|package)\s+(?P<name>[\w:]+)",
    "php": _MODIFIERS + r"(?P<what>function|class|interface|trait|namespace|enum)\s+&?(?P<name>[\w\\]+)",
    "rust": _MODIFIERS + r"(?P<what>fn|struct|enum|trait|impl|mod|union|macro_rules!)\b\s*(?P<name>[\w<][^{;(]*)",
    "go": r"(?P<what>func|type)\s+(?P<name>(?:\([^)]*\)\s*)?\w+)",
    "swift": _MODIFIERS + r"(?P<what>func|class|struct|enum|protocol|extension|actor)\s+(?P<name>[\w.]+)",
    "sql": r"(?i:(?P<what>create)\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+)?(?:unique\s+)?(?P<name>(?:table|view|"
    r"materialized\s+view|index|function|procedure|trigger|type|schema)\s+(?:if\s+not\s+exists\s+)?[\w.\"`\[\]]+))",
    "shell": r"(?:(?P<what>function)\s+)?(?P<name>[\w-]+)\s*\(\)\s*\{?",
    "powershell": r"(?i:(?P<what>function|filter|class))\s+(?P<name>[\w-]+)",
    "clojure": r"\((?P<what>defn-?|defmacro|defmulti|defmethod|defprotocol|defrecord|deftype|ns)\s+"
    r"(?P<name>[^\s()\[\]]+)",
    "lisp": r"\((?P<what>defun|defmacro|defvar|defcustom|defgeneric|defmethod|defclass|define)\s+\(?(?P<name>[^\s()]+)",
    "haskell": r"(?P<what>module|data|newtype|class|instance|type)\s+(?P<name>[\w.' ]+?)(?=\s+(?:where|=|\()|\s*$)",
    "erlang": r"(?P<name>[a-z]\w*)\(.*\)\s*(?:when .*)?->",
    "r": r"(?P<name>[\w.]+)\s*(?:<-|=)\s*(?P<what>function)\b",
    "terraform": r"(?P<what>resource|data|module|variable|output|provider)\s+(?P<name>\"[^{]+)",
    "proto": r"(?P<what>message|service|enum|rpc|type|interface|input|union)\s+(?P<name>\w+)",
    "toml": r"\[+(?P<name>[^\]]+)\]+\s*$",
    "ini": r"\[(?P<name>[^\]]+)\]\s*$",
    "yaml": r"(?P<name>[\w.-]+):(?=\s|$)",
    "make": r"(?P<name>[\w./%-]+(?:\s+[\w./%-]+)*)\s*:(?!=)",
    "css": r"(?P<name>[^\s{}@;/][^{};]*)\{",
}
_BRACES = (
    _MODIFIERS + r"(?P<what>class|struct|enum|interface|trait|namespace|module|object|record|protocol|union|fun|func|"
    r"function\*?|fn|def|type|package|annotation)\s+(?P<name>[\w$.:<>]+)"
)
_ASSIGNED = (
    _MODIFIERS + r"(?:(?:let|var|const)\s+)?(?P<name>[\w$.]+)\s*[:=]\s*(?:async\s+)?"
    r"(?:function\b|\([^()]*\)\s*(?::[^=]+)?=>|\w+\s*=>)"
)
_C_LIKE = (
    r"(?:template\s*<[^;]*>\s*)?(?!return\b|else\b|if\b|for\b|while\b|switch\b|case\b|do\b|catch\b|throw\b|new\b|delete\b|"
    r"using\b|typedef\b|goto\b|await\b|yield\b|assert\b|with\b)"
    r"(?:[\w:<>,\[\]?&*~@.]+[ \t]+[\s*&]*)+(?P<name>~?[\w:~]+|operator\S+)\s*\([^;=]*$"
)
_METHOD = (
    r"(?:(?:public|private|protected|static|async|get|set|override|readonly)\s+)*"
    r"(?P<name>#?[\w$]+)\s*\([^;=]*\)\s*(?::[^={]+)?\{\s*$"
)
_SCRIPTED = ("javascript", "typescript", "vue")
_C_FAMILY = ("c", "cpp", "objectivec", "java", "csharp", "groovy", "dart", "scala", "kotlin", "zig")
_FLAT = ("toml", "ini", "yaml", "make", "css", "shell", "sql", "erlang", "terraform")
_NOT_NAMES = frozenset(
    (
        "if",
        "for",
        "while",
        "switch",
        "return",
        "else",
        "catch",
        "do",
        "try",
        "function",
        "with",
        "elif",
        "match",
        "loop",
    )
)
_LEADING = re.compile(r"[ \t]*(?:@|#\[|//|/\*|\*|#(?!include|define|if|endif|else|pragma|!)|--|;;|%%|\"\"\")")


def code_blocks(text: str, syntax: str) -> Iterator[Block]:
    """Blocks of a source file. Their path names the definitions around them: ("class Foo", "def bar")."""
    patterns = _patterns(syntax)
    lines = list(lines_of(text))
    starts = _definition_starts(text, lines, patterns, syntax)
    open_definitions: list[tuple[int, str]] = []
    group, indent_above, blank_above = 0, 0, True
    for index, (start, end) in enumerate(lines):
        line = text[start:end]
        stripped = line.strip()
        if not stripped:
            blank_above = True
            continue
        indent = _indent(line)
        if index in starts:
            depth, label = starts[index]
            while open_definitions and open_definitions[-1][0] >= depth:
                open_definitions.pop()
            nested = bool(open_definitions)
            open_definitions.append((depth, label))
            yield Block(start, _path(open_definitions), 0.0, _MEMBER if nested else _DEFINITION, "lines")
            group = 1
        else:
            closing = stripped[0] in ")}]" or stripped in ("end", "fi", "done", "esac")
            while open_definitions and not closing and indent <= open_definitions[-1][0] and blank_above:
                open_definitions.pop()
            cut = _BLANK if blank_above else _LINE if indent <= indent_above else _LINE_DEEPER
            if blank_above or group >= _GROUP_LINES or group == 0:
                yield Block(start, _path(open_definitions), cut + (0.3 if closing else 0.0), 0.0, "lines")
                group = 0
            group += 1
        indent_above, blank_above = indent, False


def _patterns(syntax: str) -> list[re.Pattern[str]]:
    if syntax in _KEYWORDS:
        return [re.compile(_KEYWORDS[syntax])]
    if syntax in ("json", "diff", "bibtex", "xml", "assembly"):
        return []
    patterns = [re.compile(_BRACES)]
    if syntax in _SCRIPTED:
        patterns += [re.compile(_ASSIGNED), re.compile(_METHOD)]
    if syntax in _C_FAMILY:
        patterns.append(re.compile(_C_LIKE))
    return patterns


def _definition_starts(
    text: str, lines: list[tuple[int, int]], patterns: list[re.Pattern[str]], syntax: str
) -> dict[int, tuple[int, str]]:
    """Line number where each definition begins, its comments and decorators included → (indentation, label)."""
    starts: dict[int, tuple[int, str]] = {}
    if not patterns:
        return starts
    limit = 0 if syntax in _FLAT else _MAX_INDENT
    for index, (start, end) in enumerate(lines):
        line = text[start : min(end, start + 400)]
        indent = _indent(line)
        if indent > limit or not line.strip():
            continue
        label = _label(line.strip(), patterns)
        if not label:
            continue
        first = index
        while first - 1 >= 0 and first - 1 not in starts and _leads(text[slice(*lines[first - 1])], indent):
            first -= 1
        starts[first] = (indent, label)
    return starts


def _label(line: str, patterns: list[re.Pattern[str]]) -> str:
    for pattern in patterns:
        if (found := pattern.match(line)) and (name := " ".join(found.group("name").split()).rstrip(" {:(")):
            if name in _NOT_NAMES:
                continue
            what = " ".join((found.groupdict().get("what") or "").split())
            return f"{what} {name}"[:80].strip()
    return ""


def _leads(line: str, indent: int) -> bool:
    """Whether a line is a comment, decorator or attribute that belongs to the definition below it."""
    return _indent(line) == indent and bool(_LEADING.match(line)) and bool(line.strip())


def _indent(line: str) -> int:
    width = 0
    for character in line:
        if character == " ":
            width += 1
        elif character == "\t":
            width += 4
        else:
            break
    return width


def _path(open_definitions: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(label for _, label in open_definitions)
