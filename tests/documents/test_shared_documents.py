"""Real documents that nobody here wrote: every good one gives text or a listed reason, every nasty one gives text or
one clear line, in bounded time, and the run goes on."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from termrag import readers
from termrag.chunking import chunk
from termrag.converter import Converter
from termrag.errors import UnreadableFile
from termrag.records import Content

from .conftest import MAX_BYTES

# What each noteworthy file must say in its text; None: it must be refused, with these words.
GOOD_TEXT = {
    "copy-protected.pdf": "LayoutParser",
    "eng_spa_mult.pptx": "Todos los seres humanos nacen libres",
    "elife-56337.xml": "Krüppel-associated box zinc finger protein",
    "epub_purvis_poetry.epub": "Sarah Louisa Forten",
    "example-10k.html": "Galaxy Gaming, Inc.",
    "fake.odt": "| Leader | Sarah | Mark | Ryan |",
    "fr_olap.pdf": "l’exploitation",
    "heise-source.html": "1Password",
    "japanese_iso_2022.eml": "すみません。",
    "jo.pdf": "心象スケッチ",
    "large.xlsx": "PAPER SAVINGS BOND ISSUES",
    "noembed-sjis.pdf": "あいうえお",
    "page-breaks.docx": "page",
    "prefilled_f1040.pdf": "1040",
    "qq-source.html": "DeepMind",
    "Speiseplan_KW_32-33_Eybl.rtf": "Gemüserostbraten mit Semmelknödel",
    "stanley-cups-utf-16.csv": "Maple Leafs",
    "test_files.zip": "# test.docx",
    "test_mskanji.csv": "東京",
    "test_notebook.ipynb": "# Test Notebook",
    "test_outlook_msg.msg": "This is the body of the test email message",
    "tracemonkey.pdf": "more difficult to compile\nthan statically typed ones",
    "UDHR_first_article_all.txt": "dignity",
    "vertical.pdf": "日本語",
    "vodafone.xlsx": "| Guidance rates | FY 23/24 |",
}
GOOD_REFUSED = {
    "MEDRPT-2024-PAT-3847_medical_report_scan.pdf": "no text layer",
    "ocr_test.pdf": "no text layer",
    "double-column-A.jpg": "image",
    "sample_10s.mp3": "sound",
    "legacy_sample.doc": "old Word format",
    "tbl-having-tables.docx": "no text",
}
NASTY_REFUSED = {
    "REDHAT-1531897-0.pdf": "no valid PDF",
    "big-compression.zip": "without a readable file",
    "clusterfuzz-testcase-minimized-POIXSLFFuzzer-6254434927378432.pptx": "damaged",
    "clusterfuzz-testcase-minimized-POIXWPFFuzzer-5313273089884160.docx": "damaged",
    "corkamix.exe.pdf": "program",
    "empty.eml": "is empty",
    "empty_protected.pdf": "no text layer",
    "password_protected.xlsx": "password",
    "random.bin": "not text",
    "testMP3truncated.mp3": "sound",
    "testZIP_corrupted_oom.zip": "damaged",
    "truncated62886.docx": "damaged",
    "unexpected_EOF.zip": "damaged",
}
NASTY_TEXT = {
    "008677.pdf": "Controlled Substances",
    "blns.txt": "undefined",
    "fake-email-malformed-encoding.eml": "Test Email",
    "null.csv": "",
    "testArabicMisleadingCharset.html": "",
    "wrong-entry-sizes.zip": "# ",
    "xxe_in_schema.xlsx": "",
}
NOISE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\| NaN \||Unnamed: \d|;base64,")
SLOWEST_S = 100


def outcomes(folder: Path, converter: Converter) -> dict[str, Content | UnreadableFile]:
    found: dict[str, Content | UnreadableFile] = {}
    for path in sorted(folder.iterdir()):
        started = time.monotonic()
        try:
            found[path.name] = readers.read(path, converter, max_bytes=MAX_BYTES)
        except UnreadableFile as error:
            found[path.name] = error
        assert time.monotonic() - started < SLOWEST_S, path.name
    return found


@pytest.fixture(scope="module")
def good(shared: Path, converter: Converter) -> dict[str, Content | UnreadableFile]:
    return outcomes(shared / "docs" / "good", converter)


@pytest.fixture(scope="module")
def nasty(shared: Path, converter: Converter) -> dict[str, Content | UnreadableFile]:
    return outcomes(shared / "docs" / "nasty", converter)


def check_refusals(found: dict[str, Content | UnreadableFile]) -> None:
    for name, outcome in found.items():
        if isinstance(outcome, UnreadableFile):
            assert outcome.message.startswith(name), name
            assert outcome.message.isprintable(), name
            assert 8 < len(outcome.message) - len(name) < 250, outcome.message
            assert outcome.hint, name


def check_texts(found: dict[str, Content | UnreadableFile]) -> None:
    for name, outcome in found.items():
        if isinstance(outcome, Content):
            assert outcome.text.strip(), name
            assert not NOISE.search(outcome.text), (name, NOISE.search(outcome.text))
            starts = [mark.start_char for mark in outcome.pages]
            assert starts == sorted(starts), name
            assert starts[:1] in ([], [0]), name


def test_every_good_document_gives_text_or_a_listed_reason(good: dict[str, Content | UnreadableFile]) -> None:
    refused = {name for name, outcome in good.items() if isinstance(outcome, UnreadableFile)}
    assert refused <= set(GOOD_REFUSED), {name: str(good[name]) for name in refused - set(GOOD_REFUSED)}
    check_refusals(good)
    check_texts(good)


def test_good_documents_say_what_they_say(good: dict[str, Content | UnreadableFile]) -> None:
    for name, words in GOOD_TEXT.items():
        if name in good:
            outcome = good[name]
            assert isinstance(outcome, Content), (name, outcome)
            assert words in outcome.text, name
    for name, words in GOOD_REFUSED.items():
        if name in good:
            assert words in str(good[name]), name


def test_every_nasty_document_gives_text_or_one_clear_line(nasty: dict[str, Content | UnreadableFile]) -> None:
    check_refusals(nasty)
    check_texts(nasty)
    for name, words in NASTY_REFUSED.items():
        if name in nasty:
            assert isinstance(nasty[name], UnreadableFile), name
            assert words in str(nasty[name]), name
    for name, words in NASTY_TEXT.items():
        if name in nasty:
            outcome = nasty[name]
            assert isinstance(outcome, Content), (name, outcome)
            assert words in outcome.text, name


def test_words_of_justified_text_are_not_glued(good: dict[str, Content | UnreadableFile]) -> None:
    for name in ("tracemonkey.pdf", "two_column.pdf", "fr_olap.pdf", "multi-column-2p.pdf"):
        content = good.get(name)
        if isinstance(content, Content):
            words = re.findall(r"[^\W\d_]+", content.text)
            glued = sum(len(word) for word in words if len(word) > 24)
            assert glued / sum(map(len, words)) < 0.005, name


def test_page_labels_and_numbers_are_both_known(good: dict[str, Content | UnreadableFile]) -> None:
    content = good.get("pagelabels.pdf")
    assert isinstance(content, Content)
    assert [mark.number for mark in content.pages] == [1, 2, 3, 4, 5]
    assert len({mark.label for mark in content.pages}) > 1


def test_partly_scanned_documents_warn(good: dict[str, Content | UnreadableFile]) -> None:
    content = good.get("redp5110_sampled.pdf")
    assert isinstance(content, Content)
    assert content.warnings == ("page 17 has no text layer",)


def test_every_text_makes_whole_chunks(
    good: dict[str, Content | UnreadableFile], nasty: dict[str, Content | UnreadableFile]
) -> None:
    def count(text: str) -> int:
        return len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|\w+|[^\w\s]", text))

    for name, content in (good | nasty).items():
        if isinstance(content, Content):
            chunks = chunk(content, count)
            assert chunks, name
            assert all(count(made.text) <= 256 for made in chunks), name
            covered = bytearray(len(content.text))
            for made in chunks:
                covered[made.start_char : made.end_char] = b"x" * (made.end_char - made.start_char)
            rest = "".join(c for c, mark in zip(content.text, covered, strict=True) if not mark)
            assert not rest.strip(), name
            assert [made.page for made in chunks].count(None) in (0, len(chunks)), name
