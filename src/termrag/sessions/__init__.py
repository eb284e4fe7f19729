"""Conversations that are kept: one SQLite file of sessions, their turns as a tree of branches, and citations."""

from termrag.sessions.book import SESSIONS_FILE, Sessions
from termrag.sessions.export import FORMATS, export

__all__ = ["FORMATS", "SESSIONS_FILE", "Sessions", "export"]
