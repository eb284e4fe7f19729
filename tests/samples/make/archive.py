"""Takes the clock out of office files and PDFs, so that the same content gives the same bytes."""

from __future__ import annotations

import os
import re
import zipfile
from datetime import datetime
from pathlib import Path

from reportlab import rl_config

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


def fix_pdf_date(date: str) -> None:
    """Make the PDFs that are built from now on bear the given ISO date and a repeatable identifier."""
    rl_config.invariant = 1
    os.environ["SOURCE_DATE_EPOCH"] = str(int(datetime.fromisoformat(f"{date}T09:00:00+00:00").timestamp()))
