"""Packs a finished office file again so that the same content gives the same bytes."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

_EARLIEST = (1980, 1, 1, 0, 0, 0)
_MODIFIED = re.compile(rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*(</dcterms:)")


def settle(path: Path, date: str) -> None:
    """Give every member of the archive one time, and the document's own properties the given ISO date."""
    with zipfile.ZipFile(path) as archive:
        members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, _EARLIEST)
            # ODF wants its first member, the media type, uncompressed.
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(info, _MODIFIED.sub(rb"\g<1>" + f"{date}T09:00:00Z".encode() + rb"\2", data))
