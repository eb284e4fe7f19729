"""Archives: every readable member, under limits, and nothing outside of them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from termrag import readers
from termrag.converter import Converter, Limits
from termrag.errors import UnreadableFile

from .conftest import ReadBytes


def packed(members: dict[str, bytes | str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return buffer.getvalue()


def test_members_become_headings_and_theirs_go_one_down(read_bytes: ReadBytes) -> None:
    content = read_bytes("a.zip", packed({"notes/plan.md": "# Plan\n\nTurn left.\n", "x.py": "x = 1\n"}))
    assert content.kind == "markdown"
    assert content.text == "# notes/plan.md\n\n## Plan\n\nTurn left.\n\n# x.py\n\n```python\nx = 1\n```\n"
    assert content.warnings == ()


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz"])
def test_tar_members_are_read_and_links_are_not(read_bytes: ReadBytes, name: str) -> None:
    content = read_bytes(name, tarred({"a.txt": b"words"}))
    assert content.text == "# a.txt\n\nwords\n"


def test_one_packed_file_is_read_as_itself(read_bytes: ReadBytes) -> None:
    content = read_bytes("log.txt.gz", gzip.compress(b"words\n"))
    assert (content.text, content.kind) == ("words\n", "text")


def test_archives_in_archives_are_opened_two_deep(read_bytes: ReadBytes) -> None:
    inner = packed({"deep.txt": "found"})
    assert "found" in read_bytes("a.zip", packed({"one.zip": packed({"two.zip": inner})})).text
    with pytest.raises(UnreadableFile, match="archives deep"):
        read_bytes("b.zip", packed({"one.zip": packed({"two.zip": packed({"three.zip": inner})})}))


def test_a_member_that_leads_out_or_is_unreadable_is_named_and_left_out(read_bytes: ReadBytes) -> None:
    members: dict[str, bytes | str] = {
        "good.txt": "words",
        "../../evil.txt": "evil",
        "/etc/evil.txt": "evil",
        "p.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "broken.pdf": b"%PDF-1.4 nothing",
    }
    content = read_bytes("a.zip", packed(members))
    assert content.text == "# good.txt\n\nwords\n"
    assert len(content.warnings) == 4
    assert "../../evil.txt: leads out of the archive, left out" in content.warnings


def test_a_bomb_is_refused_by_what_comes_out_of_it(read_bytes: ReadBytes) -> None:
    with pytest.raises(UnreadableFile, match="grows more than 100 times"):
        read_bytes("a.zip", packed({"zeros.txt": b"0" * 30_000_000}))
    with pytest.raises(UnreadableFile, match="grows more than 100 times"):
        read_bytes("a.txt.gz", gzip.compress(b"0" * 30_000_000))


def test_more_than_a_thousand_members_are_not_read(read_bytes: ReadBytes) -> None:
    content = read_bytes("a.zip", packed({f"{number}.txt": f"word{number}" for number in range(1100)}))
    assert "word999" in content.text
    assert "word1000" not in content.text
    assert content.warnings == ("more than 1000 files inside, the rest is left out",)


def test_the_limits_hold_over_nested_archives_together(read_bytes: ReadBytes) -> None:
    inner = {f"{number}.txt": f"word{number}" for number in range(600)}
    content = read_bytes("a.zip", packed({"one.zip": packed(inner), "two.zip": packed(inner)}))
    assert content.text.count("\n## ") < 1000


def test_an_archive_without_text_says_why(read_bytes: ReadBytes) -> None:
    with pytest.raises(UnreadableFile, match=r"without a readable file: p\.png is an image"):
        read_bytes("a.zip", packed({"p.png": b"\x89PNG\r\n\x1a\n" + bytes(50)}))
    with pytest.raises(UnreadableFile, match="without a readable file"):
        read_bytes("b.zip", packed({}))


def test_a_workbook_that_fills_memory_is_one_sentence(tmp_path: Path) -> None:
    sheet = '<worksheet xmlns="{0}"><sheetData><row><c t="s"><v>0</v></c></row></sheetData></worksheet>'
    book = '<workbook xmlns="{0}" xmlns:r="{1}"><sheets><sheet name="A" sheetId="1" r:id="rId1"/></sheets></workbook>'
    relations = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Type="{1}/worksheet" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="rId2" Type="{1}/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    )
    types = (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName='
        '"/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/sharedStrings.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
    )
    names = (
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    )
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": types,
        "xl/workbook.xml": book.format(*names),
        "xl/_rels/workbook.xml.rels": relations.format(*names),
        "xl/worksheets/sheet1.xml": sheet.format(*names),
        "xl/sharedStrings.xml": f'<sst xmlns="{names[0]}"><si><t>{"a" * 100_000_000}</t></si></sst>',
    }
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(packed(members))
    with Converter(Limits(memory_mb=300)) as converter, pytest.raises(UnreadableFile) as caught:
        readers.read(path, converter, max_bytes=10_000_000)
    assert caught.value.message == "bomb.xlsx takes more than 300 MB of memory to read"
    assert "documents.convert_memory_mb 600" in caught.value.hint
