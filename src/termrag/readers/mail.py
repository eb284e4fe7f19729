"""Mail messages to Markdown: headers, the body as its author wrote it, attachments of readable kinds. Child only."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage, Message
from typing import cast

from termrag.errors import UnreadableFile
from termrag.readers.plain import clean, decode
from termrag.records import Content

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MAX_ATTACHMENTS = 100

ReadMember = Callable[[bytes, str], Content]


def read_eml(data: bytes, read_member: ReadMember) -> Content:
    """`read_member` reads one attachment or body part, given its bytes and a file name; raises UnreadableFile."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    fields = {name: value for name in _HEADERS if (value := _header(message, name))}
    subject = fields.get("Subject", "")
    parts = [f"# {subject}"] if subject else []
    parts.append("\n".join(f"{name}: {value}" for name, value in fields.items() if name != "Subject"))
    body = _body(message, read_member)
    if body:
        parts.append(body)
    attached, warnings = _attachments(message, read_member)
    parts.extend(attached)
    text = "\n\n".join(part for part in parts if part.strip()).strip()
    if not (body or attached or subject):
        raise UnreadableFile("is a message without text", "Open it in a mail program and look whether it is empty.")
    return Content(
        text=text + "\n",
        kind="markdown",
        media_type="message/rfc822",
        syntax="markdown",
        title=subject,
        author=fields.get("From", ""),
        created=_date(message),
        warnings=tuple(warnings),
    )


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message[name] or "")
    except (ValueError, IndexError, AttributeError, TypeError, LookupError):  # header parsers trip over broken headers
        value = next((str(raw) for key, raw in message.raw_items() if key.lower() == name.lower()), "")
    return " ".join(clean(value).split())[:1000]


def _body(message: EmailMessage, read_member: ReadMember) -> str:
    try:
        part = message.get_body(preferencelist=("plain", "html"))
    except (AttributeError, KeyError):
        part = None
    if part is None:
        return ""
    payload = _payload(cast(EmailMessage, part))
    charset = part.get_content_charset() or ""
    if part.get_content_subtype() == "html":
        try:
            return read_member(decode(payload, charset).encode(), "body.html").text.strip()
        except UnreadableFile:
            return ""
    return clean(_decoded(payload, charset)).strip()


def _attachments(message: EmailMessage, read_member: ReadMember) -> tuple[list[str], list[str]]:
    texts: list[str] = []
    warnings: list[str] = []
    try:
        parts = list(message.iter_attachments())[:_MAX_ATTACHMENTS]
    except (AttributeError, KeyError, TypeError, ValueError):
        parts = []
    for part in parts:
        name = " ".join(clean(part.get_filename() or "").split()) or "message.eml"
        inner = part.get_content_maintype() == "message"
        payload = _inner_message(part) if inner else _payload(part)
        try:
            content = read_member(payload, name)
        except UnreadableFile as error:
            warnings.append(f"attachment {name} {error.message}")
            continue
        texts.append(f"# {name}\n\n{content.text.strip()}")
    return texts, warnings


def _inner_message(part: EmailMessage) -> bytes:
    inner = part.get_payload()
    first = inner[0] if isinstance(inner, list) and inner else None
    return first.as_bytes() if isinstance(first, Message) else b""


def _payload(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _decoded(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return decode(payload) if payload else ""


def _date(message: EmailMessage) -> str:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(_header(message, "Date")).date().isoformat()
    except (ValueError, TypeError, IndexError):
        return ""
