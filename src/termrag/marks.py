"""Where a sentence's mark stands in its text, so that every face shows `[n]` in the same place."""

from __future__ import annotations


def marked(text: str, mark: str) -> str:
    """A sentence with a mark after its last visible character, all its white space as it was.

    A space stands before the mark, except after scripts that use none; a table row keeps its last bar last, and a code
    fence gets its mark on a line of its own.
    """
    if not mark:
        return text
    body = text.rstrip()
    tail = text[len(body) :]
    if body.lstrip().startswith("|") and body.endswith("|"):
        return f"{body[:-1].rstrip()} {mark} |{tail}"
    if body.endswith(("```", "~~~")):
        return f"{body}\n{mark}{tail}"
    return f"{body}{_gap(body)}{mark}{tail}"


def _gap(body: str) -> str:
    return "" if "\u3000" <= body[-1:] <= "\u9fff" or "\uff00" <= body[-1:] <= "\uffef" else " "
