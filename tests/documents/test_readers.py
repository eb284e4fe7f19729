"""Readers: what a file really is, its text as its author sees it, and one clear sentence where there is none."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from termrag import readers
from termrag.converter import Converter
from termrag.errors import UnreadableFile

from .conftest import MAX_BYTES, Read, ReadBytes

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


# --- plain text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("utf-8", "Grüße aus Łódź, 東京と서울"),
        ("utf-8-sig", "Grüße aus Łódź, 東京と서울"),
        ("utf-16", "Grüße aus Łódź, 東京と서울"),
        ("utf-16-le", "Plain words of a file without a byte order mark"),
        ("utf-32", "Grüße aus Łódź"),
        ("cp1252", "Die Straße führt über den Fluß zur Mühle, wo früher Öl gepreßt wurde. " * 5),
        ("cp932", "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 5),
        ("gb18030", "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心。" * 5),
    ],
)
def test_text_is_decoded_whatever_its_encoding(read_bytes: ReadBytes, encoding: str, words: str) -> None:
    assert read_bytes("a.txt", words.encode(encoding)).text == words


def test_lines_stay_where_they_are_and_terminals_are_not_spoken_to(read_bytes: ReadBytes) -> None:
    raw = "one\r\n\x1b[31mtwo\x1b[0m\r\n\x0cthree\x07\r\nfo\x00ur\u202e\r\n\x1b]0;title\x07five"
    content = read_bytes("a.log", raw.encode())
    assert content.text.split("\n") == ["one", "two", "three", "four", "five"]
    assert content.lines_match


def test_bars_that_a_program_drew_over_each_other_stay_one_line(read_bytes: ReadBytes) -> None:
    assert read_bytes("a.log", b"start\n10 %\r20 %\r30 %\nend\n").text == "start\n10 % 20 % 30 %\nend\n"


def test_front_matter_gives_title_author_date_and_tags(read_bytes: ReadBytes) -> None:
    text = "---\ntitle: \"Tides\"\nauthor: Ann Lee\ndate: 2024-05-01\ntags: [sea, 'moon']\n---\n# Other\n"
    content = read_bytes("a.md", text.encode())
    assert (content.title, content.author, content.created) == ("Tides", "Ann Lee", "2024-05-01")
    assert content.tags == ("sea", "moon")


def test_tags_may_stand_one_per_line(read_bytes: ReadBytes) -> None:
    assert read_bytes("a.md", b"---\ntags:\n  - sea\n  - moon\n---\ntext\n").tags == ("sea", "moon")


def test_the_first_heading_is_the_title(read_bytes: ReadBytes) -> None:
    text = b"```sh\n# comment\n```\n\n## The **big** [map](x.png) of `it` ##\n"
    assert read_bytes("a.md", text).title == "The big map of it"


@pytest.mark.parametrize(
    ("name", "kind", "syntax"),
    [
        ("a.py", "code", "python"),
        ("a.rs", "code", "rust"),
        ("a.rst", "text", "rst"),
        ("a.csv", "table", "csv"),
        ("a.json", "code", "json"),
        ("Makefile", "code", "make"),
        ("README", "text", ""),
        ("a.unheardof", "text", ""),
    ],
)
def test_a_name_decides_among_plain_texts(read_bytes: ReadBytes, name: str, kind: str, syntax: str) -> None:
    content = read_bytes(name, b"words, and words\n")
    assert (content.kind, content.syntax, content.lines_match) == (kind, syntax, True)


def test_readable_names() -> None:
    assert readers.readable_suffixes() >= {"md", "txt", "pdf", "docx", "pptx", "xlsx", "html", "epub", "msg", "eml"}
    assert readers.is_readable(Path("x/Report.PDF"))
    assert readers.is_readable(Path("x/Dockerfile"))
    assert not readers.is_readable(Path("x/photo.jpg"))
    assert not readers.is_readable(Path("x/.gitignore"))


def test_plain_text_needs_no_process_and_no_parser(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Words\n")
    script = (
        "import sys; from pathlib import Path; from termrag import readers; from termrag.converter import Converter\n"
        f"path = Path({str(tmp_path / 'a.md')!r})\n"
        "with Converter() as converter:\n    readers.read(path, converter, max_bytes=1000)\n"
        "    assert converter.pid is None\n"
        "heavy = {'markitdown', 'pypdfium2', 'numpy', 'bs4', 'openpyxl', 'charset_normalizer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# --- what is no readable file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.md", b"", "is empty"),
        ("a.md", b" \n\t\n", "is empty"),
        ("a.pdf", b"", "is empty"),
        ("a.txt", bytes(range(256)) * 20, "binary data"),
        ("a.unheardof", bytes(range(256)) * 20, "is not text"),
        ("a.txt", b"\x7fELF" + bytes(100), "is a program"),
        ("a.txt", b"\x89PNG\r\n\x1a\n" + bytes(100), "is an image"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(100), "is an image"),
        ("a.mp3", b"ID3" + bytes(100), "is sound"),
        ("a.mp4", b"\x00\x00\x00\x20ftypisom" + bytes(100), "is a film"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100), "archive of a kind that is not opened"),
        ("a.pdf", b"%PDF-1.7\nno more of it", "no valid PDF"),
        ("a.docx", b"PK\x03\x04 and no more", "damaged document"),
        ("a.zip", b"PK\x03\x04 and no more", "damaged archive"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "damaged"),
        ("a.ipynb", b"{ not json", "damaged"),
        ("a.gz", b"\x1f\x8b\x08 and no more", "damaged archive"),
        ("a.docx", bytes(range(256)) * 20, "is not what .docx promises"),
    ],
)
def test_a_file_without_text_is_one_sentence_and_a_hint(
    read_bytes: ReadBytes, name: str, data: bytes, words: str
) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_bytes(name, data)
    assert caught.value.message.startswith(f"{name} ")
    assert words in caught.value.message
    assert caught.value.message.isprintable()
    assert caught.value.hint


def test_a_pipe_is_never_opened(read: Read, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(UnreadableFile, match="is a pipe"):
        read(tmp_path / "a.txt")


def test_links_folders_sockets_and_devices_are_not_opened(read: Read, tmp_path: Path) -> None:
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    (tmp_path / "folder.txt").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.txt"))
        for path, words in (
            (tmp_path / "link.txt", "a link"),
            (tmp_path / "folder.txt", "a folder"),
            (tmp_path / "s.txt", "a socket"),
            (Path("/dev/zero"), "a device"),
        ):
            with pytest.raises(UnreadableFile, match=words):
                read(path)


def test_a_giant_is_refused_before_it_is_read(read: Read, tmp_path: Path) -> None:
    with (tmp_path / "big.txt").open("wb") as file:
        file.truncate(20_000_000_000)
    with pytest.raises(UnreadableFile, match="too large") as caught:
        read(tmp_path / "big.txt")
    assert "max_file_mb 20001" in caught.value.hint
    with pytest.raises(UnreadableFile, match="too large"):
        readers.fingerprint(tmp_path / "big.txt", max_bytes=MAX_BYTES)


def test_a_file_that_is_gone_is_one_sentence(read: Read, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"a\.txt is gone"):
        read(tmp_path / "a.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_sentence(read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "a.txt").chmod(0)
    with pytest.raises(UnreadableFile, match="may not be read"):
        read(tmp_path / "a.txt")


def test_a_name_that_would_command_a_terminal_is_shown_without_its_escapes(read: Read, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\x1b[31mred\n\xff.txt")
    path.write_bytes(b"")
    with pytest.raises(UnreadableFile) as caught:
        read(path)
    assert caught.value.message == "red .txt is empty"


# --- hash and text are of the same bytes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.md", "a.html"])
def test_a_file_changed_between_hash_and_reading_is_refused(converter: Converter, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("<p>one</p>")
    before = readers.fingerprint(path, max_bytes=MAX_BYTES)
    assert before.size_bytes == 10
    assert "one" in readers.read(path, converter, max_bytes=MAX_BYTES, expected_hash=before.content_hash).text

    path.write_text("<p>two</p>")

    with pytest.raises(UnreadableFile, match="was changed while it was being read"):
        readers.read(path, converter, max_bytes=MAX_BYTES, expected_hash=before.content_hash)


def test_equal_bytes_have_equal_hashes(tmp_path: Path) -> None:
    for name in ("a.txt", "b.md"):
        (tmp_path / name).write_bytes(b"same" * 1_000_000)
    first, second = (readers.fingerprint(tmp_path / name, max_bytes=MAX_BYTES) for name in ("a.txt", "b.md"))
    assert first.content_hash == second.content_hash


# --- formats -------------------------------------------------------------------------------------------------------


def test_the_content_is_believed_not_the_suffix(read_bytes: ReadBytes) -> None:
    pdf = (SAMPLES / "radio-manual.pdf").read_bytes()
    assert read_bytes("a.txt", pdf).media_type == "application/pdf"
    assert read_bytes("b.txt", b"<!DOCTYPE html><title>T</title><p>words").media_type == "text/html"
    assert read_bytes("c.docx", b"only plain words").text == "only plain words"
    assert "wordprocessing" in read_bytes("d.zip", (SAMPLES / "boat-hire.docx").read_bytes()).media_type


def test_pdf_pages_are_marked(read: Read) -> None:
    content = read(SAMPLES / "radio-manual.pdf")
    assert [mark.number for mark in content.pages] == list(range(1, len(content.pages) + 1))
    assert len(content.pages) > 1
    for mark in content.pages[1:]:
        assert content.text[mark.start_char - 1] == "\n"
        assert not content.text[mark.start_char].isspace()


def test_a_page_without_a_text_layer_is_named(read_bytes: ReadBytes) -> None:
    content = read_bytes("a.pdf", _pdf_with_blank_pages(at=(1, 3)))
    assert content.warnings == (f"pages 2, 4 of {len(content.pages) + 2} have no text layer",)
    assert [mark.number for mark in content.pages][:2] == [1, 3]


def test_a_pdf_of_images_says_what_to_do(read_bytes: ReadBytes) -> None:
    import pypdfium2

    document = pypdfium2.PdfDocument.new()
    document.new_page(200, 200)
    with pytest.raises(UnreadableFile, match="no text layer") as caught:
        read_bytes("a.pdf", _saved(document))
    assert "ocrmypdf" in caught.value.hint


def test_words_cut_at_line_ends_are_whole_again() -> None:
    from termrag.readers.pdf import tidy_page

    page = "a long exam\ufffeple of Just-in-\r\nTime work, state-of-the-\r\nart, "
    page += "UTF-\r\n8 and an inter-\r\nesting ﬁnd\r\nx"
    tidy = "a long example\nof Just-in-Time\nwork, state-of-the-art,\nUTF-8\nand an interesting\nfind\nx"
    assert tidy_page(page) == tidy


def test_presentation_forms_unfold_but_meaning_stays() -> None:
    from termrag.readers.pdf import tidy_page

    assert tidy_page("ﬂoor ﺳﻼﻡ 10 m² ½ ⼈ ＡＢ１ 好！") == "floor سلام 10 m² ½ 人 AB1 好！"


def test_full_lines_without_spaces_join_and_short_ones_do_not() -> None:
    from termrag.readers.pdf import tidy_page

    line = "すべての人間は生まれながらにして自由で"
    assert tidy_page(f"見出し\r\n{line}\r\nある。\r\n次") == f"見出し\n{line}ある。\n次"


@pytest.mark.parametrize("name", ["boat-hire.docx", "council-minutes.odt", "ferry.html", "tide-gauge.ipynb"])
def test_headings_survive(read: Read, name: str) -> None:
    content = read(SAMPLES / name)
    assert content.kind == "markdown"
    assert content.title
    assert "\n## " in content.text or content.text.startswith("# ")


def test_sheets_are_tables_as_they_are_shown(read: Read) -> None:
    text = read(SAMPLES / "budget-2025.xlsx").text
    assert text.startswith("## ")
    assert "| --- |" in text
    for noise in ("NaN", "Unnamed", "None", ".0 |"):
        assert noise not in text


def test_mail_is_headed_by_its_subject(read: Read) -> None:
    content = read(SAMPLES / "flour-order.eml")
    assert content.text.startswith(f"# {content.title}\n")
    assert "From: " in content.text
    assert content.author


def test_attachments_of_mail_are_read(read_bytes: ReadBytes) -> None:
    from email.message import EmailMessage

    message = EmailMessage()
    message["Subject"], message["From"], message["Date"] = "Träume", "a@example.org", "Fri, 3 May 2024 10:00:00 +0000"
    message.set_content("See the files.")
    message.add_attachment(b"# Plan\n\nTurn left.\n", maintype="text", subtype="markdown", filename="plan.md")
    message.add_attachment(b"\x89PNG\r\n\x1a\n" + bytes(50), maintype="image", subtype="png", filename="p.png")
    content = read_bytes("a.eml", message.as_bytes())
    assert (content.title, content.created) == ("Träume", "2024-05-03")
    assert "See the files." in content.text
    assert "# plan.md" in content.text
    assert "Turn left." in content.text
    assert content.warnings == ("attachment p.png is an image without text",)


def test_rtf_gives_words_not_control_words(read_bytes: ReadBytes) -> None:
    source = rb"{\rtf1\ansi\ansicpg1252{\fonttbl\f0 Arial;}{\info{\title My note}}Caf\'e9 \b bold\b0 .\par Second line}"
    content = read_bytes("a.rtf", source)
    assert content.text.split("\n")[0].strip() == "Café bold."
    assert content.title == "My note"
    assert "\\" not in content.text


def test_html_loses_scripts_pictures_and_inner_links(read_bytes: ReadBytes) -> None:
    page = (
        "<html><head><title>Tide tables</title><script>evil()</script><style>p{}</style></head><body><h1>Tides</h1>"
        '<p>See <a href="/inner?x=1">the list</a> or <a href="https://example.org/a">the source</a>.</p>'
        '<img alt="A map" src="data:image/png;base64,iVBORw0KGgo="><table><tr><td>High</td><td>4 m</td></tr></table>'
    )
    content = read_bytes("a.html", page.encode())
    assert content.title == "Tide tables"
    assert "See the list or [the source](https://example.org/a)." in content.text
    assert "A map" in content.text
    for noise in ("evil", "base64", "/inner", "p{}"):
        assert noise not in content.text


def test_layout_leaves_no_empty_rows_and_columns(read_bytes: ReadBytes) -> None:
    cells = "<tr><td></td><td></td><td></td></tr><tr><td>High</td><td></td><td>4 m</td></tr>"
    page = f"<table>{cells}<tr><td></td><td> </td><td></td></tr><tr><td>Low</td><td></td><td>1 m</td></tr></table>"
    assert (
        read_bytes("a.html", f"<body>{page}</body>".encode()).text == "| High | 4 m |\n| --- | --- |\n| Low | 1 m |\n"
    )


def test_what_a_page_hides_is_not_read(read_bytes: ReadBytes) -> None:
    page = '<html><body><p>shown words</p><div style="color:red; display: none">secret</div><p hidden>more</p></body>'
    assert read_bytes("a.html", page.encode()).text == "shown words\n"
    hides_all = "<html><body><div style='display:none'><p>words</p></div></body>"
    assert read_bytes("b.html", hides_all.encode()).text == "words\n"


def test_the_declared_encoding_of_a_page_is_used(read_bytes: ReadBytes) -> None:
    page = '<html><head><meta charset="windows-1251"></head><body><p>Привет, мир</p></body></html>'
    assert "Привет, мир" in read_bytes("a.html", page.encode("cp1251")).text


def test_a_feed_is_read_as_prose_and_settings_as_they_are(read_bytes: ReadBytes) -> None:
    item = "<item><title>Rain</title><description>It &lt;b&gt;rains&lt;/b&gt;.</description></item>"
    content = read_bytes("a.xml", f"<rss><channel><title>News</title>{item}</channel></rss>".encode())
    assert content.title == "News"
    assert "It rains ." in content.text
    settings = b"<?xml version='1.0'?>\n<settings>\n  <port number='8'/>\n</settings>\n"
    assert read_bytes("b.xml", settings).text.encode() == settings
    assert read_bytes("b.xml", settings).lines_match


def test_an_xml_bomb_is_one_sentence(read_bytes: ReadBytes) -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a0 "ha">{entities}]><rss><title>&a11;</title></rss>'
    with pytest.raises(UnreadableFile, match="damaged"):
        read_bytes("a.xml", bomb.encode())


def test_pages_bear_their_own_labels_where_these_differ(read: Read) -> None:
    labels = [mark.label for mark in read(SAMPLES / "radio-manual.pdf").pages]
    assert labels[0] == "i"
    assert "1" in labels[1:]


def _pdf_with_blank_pages(at: tuple[int, ...]) -> bytes:
    import pypdfium2

    document = pypdfium2.PdfDocument(SAMPLES / "radio-manual.pdf")
    for index in at:
        document.new_page(200, 200, index)
    return _saved(document)


def _saved(document: object) -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    document.close()  # type: ignore[attr-defined]
    return buffer.getvalue()
