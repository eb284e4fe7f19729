"""The main job through the real command line: add, ask, search, get, rm over the sample documents."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

pytestmark = pytest.mark.model

SAMPLES = Path(__file__).parents[1] / "samples"
QUESTION = "How long is the causeway to the Calf?"
TRUE = "The causeway to the Calf is 420 metres long."
SCRIPTED = {"TERMRAG_MODELS_ENGINE": "scripted", "TERMRAG_MODELS_SCRIPT": TRUE}


@pytest.fixture(scope="module")
def library(tmp_path_factory, shelf, repo_root) -> Path:
    """A home whose models are the fetched ones and whose library holds the samples."""
    import subprocess
    import sys

    root = tmp_path_factory.mktemp("main-job")
    (root / "home" / "cache").mkdir(parents=True)
    (root / "home" / "cache" / "models").symlink_to(shelf.folder)
    shutil.copytree(SAMPLES, root / "island", ignore=shutil.ignore_patterns("make", "questions.toml"))
    done = subprocess.run(
        [sys.executable, "-m", "termrag", "add", "--json", str(root / "island")],
        env={**os.environ, "TERMRAG_HOME": str(root / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["failed"] == 0, done.stderr
    return root


@pytest.fixture
def home(library: Path) -> Path:
    return library / "home"


def test_adding_again_reads_nothing(termrag, library):
    ran = termrag("add", "--json", str(library / "island"))
    counts = json.loads(ran.out)
    assert ran.code == 0
    assert counts["indexed"] == 0
    assert counts["embedded"] == 0
    assert counts["unchanged"] > 10


def test_an_answer_is_cited_on_stdout_and_its_sources_named_on_stderr(termrag):
    ran = termrag("ask", QUESTION, **SCRIPTED)
    assert ran.code == 0, ran.err
    assert re.fullmatch(re.escape(TRUE) + r" \[\d\]\n", ran.out)
    assert "welcome.md:" in ran.err


def test_the_same_answer_as_json_names_lines_and_quote(termrag):
    ran = termrag("ask", "--json", QUESTION, **SCRIPTED)
    data = json.loads(ran.out)
    assert data["verdict"] == "grounded"
    assert data["exit_code"] == ran.code == 0
    (citation, *_) = data["citations"]
    assert citation["path"].endswith("welcome.md")
    assert "420 metres" in citation["quote"]
    lines = (SAMPLES / "welcome.md").read_text().splitlines()
    assert "420 metres" in "\n".join(lines[citation["start_line"] - 1 : citation["end_line"]])
    assert data["usage"]["prompt_tokens"] == data["budget"]["total"]
    assert data["usage"]["generated_tokens"] > 0


def test_what_is_not_in_the_documents_is_refused_without_a_word_on_stdout(termrag):
    ran = termrag("ask", "Who won the football world cup in 1998?")
    assert (ran.code, ran.out) == (3, "")
    assert "not in your documents" in ran.err


def test_events_come_as_json_lines_and_end_with_the_answer(termrag):
    ran = termrag("ask", "--jsonl", QUESTION, **SCRIPTED)
    events = [json.loads(line) for line in ran.out.splitlines()]
    types = [each["type"] for each in events]
    assert types[:2] == ["started", "searching"]
    assert types[-1] == "answered"
    assert "token" in types and "checked" in types
    streamed = "".join(each["text"] for each in events if each["type"] == "token")
    assert streamed.split() == events[-1]["answer"]["text"].split()


def test_piped_text_is_the_context(termrag):
    log = "\n".join(f"2026-03-0{day} INFO backup finished" for day in range(1, 9))
    log += "\n2026-03-09 ERROR backup failed: disk sda1 is full\n"
    said = {**SCRIPTED, "TERMRAG_MODELS_SCRIPT": "On 2026-03-09 the backup failed: disk sda1 is full."}
    data = json.loads(termrag("ask", "--json", "Why did the backup fail?", stdin=log, **said).out)
    assert data["verdict"] == "grounded"
    assert {each["path"] for each in data["passages"]} == {"stdin"}
    assert data["citations"][0]["start_line"] == data["citations"][0]["end_line"] == 9


def test_long_piped_text_is_searched_for_what_the_question_asks(termrag):
    log = [f"2026-03-01 10:{line % 60:02d} INFO request {line} served" for line in range(3000)]
    log[1234] = "2026-03-01 10:34 ERROR the mail queue is stuck: relay refused"
    said = {**SCRIPTED, "TERMRAG_MODELS_SCRIPT": "The relay refused."}
    data = json.loads(termrag("ask", "--json", "Why is the mail queue stuck?", stdin="\n".join(log), **said).out)
    assert data["verdict"] == "grounded"
    assert data["citations"][0]["start_line"] <= 1235 <= data["citations"][0]["end_line"]


def test_the_starter_model_streams_a_correct_cited_answer(termrag):
    ran = termrag("ask", "How many birds were collected at the lighthouse in 2024?")
    assert ran.code == 0, ran.err
    assert re.fullmatch(r".*\b37 birds\b.* \[\d\]\n", ran.out)
    assert "petrel-count.pdf p. 42" in ran.err
    assert "smollm2-135m answers instead" in ran.err


def test_text_from_a_pipe_is_indexed_under_its_name_and_replaced(termrag):
    assert termrag("add", "-", "--name", "pump.log", stdin="The bilge pump failed at 03:12 on Sunday.").code == 0
    found = json.loads(termrag("search", "--json", "bilge pump failed").out)
    assert any("03:12" in hit["text"] for hit in found)
    assert termrag("add", "-", "--name", "pump.log", stdin="The bilge pump was mended at 09:40.").code == 0
    found = json.loads(termrag("search", "--json", "bilge pump").out)
    assert not any("03:12" in hit["text"] for hit in found)
    assert any("09:40" in hit["text"] for hit in found)
    assert termrag("rm", "pump.log").code == 0


def test_search_explains_every_score(termrag):
    ran = termrag("search", "--explain", "causeway length")
    assert ran.code == 0
    assert "cosine" in ran.out and "bm25" in ran.out


def test_search_respects_its_filters(termrag):
    hits = json.loads(termrag("search", "--json", "type:pdf radio").out)
    assert hits
    assert all(hit["path"].endswith(".pdf") for hit in hits)


def test_get_shows_the_lines_that_were_asked_for(termrag):
    ran = termrag("get", "welcome.md:29-30")
    assert ran.code == 0
    expected = (SAMPLES / "welcome.md").read_text().splitlines()[28:30]
    assert "\n".join(expected) in ran.out


def test_get_shows_a_page_of_a_pdf(termrag):
    ran = termrag("get", "radio-manual.pdf#2")
    assert ran.code == 0
    assert len(ran.out) > 100


def test_a_removed_document_no_longer_answers(termrag, library):
    path = str(library / "island" / "rye-bread.md")
    assert termrag("rm", path).code == 0
    assert path not in termrag("ls").out
    assert json.loads(termrag("search", "--json", "--mode", "text", "in:" + path + " rye").out or "[]") == []
    assert termrag("add", path).code == 0
    assert path in termrag("ls").out


def test_the_scripted_engine_shows_an_unsupported_sentence(termrag):
    script = "The causeway is 420 metres long. It was built by Martians in 1742."
    ran = termrag("ask", "--engine", "scripted", QUESTION, TERMRAG_MODELS_SCRIPT=script)
    assert ran.code == 4
    assert ran.out.startswith("The causeway is 420 metres long. [")
    assert ran.out.endswith("It was built by Martians in 1742. [?]\n")


def test_the_trace_names_every_stage(termrag):
    ran = termrag("ask", "--trace", QUESTION, **SCRIPTED)
    for stage in ("search", "gate", "model", "pack", "generate", "check"):
        assert stage in ran.err


def test_the_log_holds_timings_and_no_words_of_the_question(termrag, home):
    termrag("ask", QUESTION, **SCRIPTED)
    log = (home / "state" / "termrag.log").read_text()
    assert "stages_ms" in log
    assert "causeway" not in log.lower()
    assert "420" not in log.split("stages_ms")[0]


def test_status_and_doctor_agree_that_all_is_well_but_for_the_missing_default_model(termrag):
    status = json.loads(termrag("status", "--json").out)
    assert status["documents"] > 10
    assert status["engine_reason"]
    findings = json.loads(termrag("doctor", "--json").out)
    broken = [each for each in findings if not each["ok"]]
    assert [each["subject"] for each in broken] == ["chat model"]
    assert all(each["remedy"] for each in broken)
