"""What full-text search sees of texts and questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from termrag.analysis import coverage, detect_language, indexable, keywords, query_terms, question_languages, terms
from termrag.analysis.languages import STEMMERS, fold, function_words, script_of


@pytest.mark.parametrize(
    ("written", "asked", "language"),
    [
        ("The ferries were running late", "ferry run", "en"),
        ("Apple's revenues", "revenue of Apple", "en"),
        ("Die Häuser der Müller", "Haus Müller", "de"),
        ("Die Häuser der Müller", "haus muller", "de"),
        ("Straßen", "strasse", "de"),
        ("les élèves étudiaient", "élève étudier", "fr"),
        ("le café fermé", "cafe ferme", "fr"),
        ("l'eau de l’école", "eau école", "fr"),
        ("las canciones españolas", "cancion espanola", "es"),
        ("Все книги были прочитаны", "книга", "ru"),
        ("زرت المكتبة في المدينة", "مكتبة مدينة", "ar"),
        ("إدارة الأرقام", "ادارة ارقام", "ar"),
        ("کتاب‌های فارسی", "كتابهاي فارسي", "fa"),
        ("हिन्दी किताबें", "हिन्दी किताब", "hi"),
        ("黑豹队的防守只丢了分", "防守", "zh"),
        ("我家有一只黑猫", "猫", "zh"),
        ("東京タワーの高さ", "東京タワー", "ja"),
        ("서울특별시에서", "특별시", "ko"),
        ("ภาษาไทยไม่มีช่องว่าง", "ภาษาไทย", "th"),
        ("ｆｕｌｌ ｗｉｄｔｈ ① ﬁne", "full width 1 fine", "en"),
        ("soft\u00adhyphen and zero\u200bwidth", "softhyphen zerowidth", "en"),
    ],
)
def test_a_question_finds_the_words_of_a_text(written: str, asked: str, language: str) -> None:
    wanted = keywords(asked, [language])
    assert coverage(wanted, set(terms(written, language).split())) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("parseHttpRequest", "parsehttprequest pars http request"),
        ("HTTPServer", "httpserver http server"),
        ("snake_case_name", "snakecasename snake case name"),
        ("foo.bar", "foobar foo bar"),
        ("v1.2.3", "v1.2.3 v 1.2.3"),
        ("IL-6 IL6", "il6 il 6 il6 il 6"),
        ("10-K 10K", "10k 10 k 10k 10 k"),
        ("FY2018", "fy2018 fy 2018"),
        ("U.S. USA", "us usa"),
        ("C++ and C#", "c++ and c#"),
        ("10.0.0.1", "10.0.0.1"),
        ("2025-01-31", "20250131 2025 01 31"),
        ("3f2a9bc1d4e5f6a7b8c9", "3f2a9bc1d4e5f6a7b8c9"),
        ("don't", "don"),
    ],
)
def test_identifiers_give_their_whole_form_and_their_parts(text: str, expected: str) -> None:
    assert terms(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("1,234.50", "en", "1234.50"),
        ("1,234,567", "en", "1234567"),
        ("1.234,50", "de", "1234.50"),
        ("1.234", "de", "1234"),
        ("1.234", "en", "1.234"),
        ("3,5", "de", "3.5"),
        ("$1,577.00", "en", "usd 1577"),
        ("15 %", "en", "15 percent"),
        ("€ 20", "de", "eur 20"),
        ("١٢٣", "ar", "123"),
        ("1999", "en", "1999"),
    ],
)
def test_numbers_are_written_one_way(text: str, language: str, expected: str) -> None:
    assert terms(text, language) == expected


def test_han_gives_single_characters_and_pairs() -> None:
    assert terms("防守队", "zh").split() == ["防", "守", "队", "防守", "守队"]


def test_a_question_in_han_asks_for_pairs_alone_and_without_question_words() -> None:
    assert query_terms("防守丢了多少分").split() == ["防守", "守丢", "丢了", "分"]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is the director of the WHO?", "director who"),
        ("what is it", "what is it"),
        ("Wie viele Punkte gab die Verteidigung ab?", "viel punkt verteid"),
        ("Quelle est la capitale de la France ?", "capital franc"),
        ("¿Cuál es la capital de Francia?", "capital franci"),
        ("", ""),
        ("?!", ""),
    ],
)
def test_function_words_are_dropped_unless_nothing_else_remains(question: str, expected: str) -> None:
    found = query_terms(question).split()
    assert set(expected.split()) <= set(found)
    assert not {"is", "the", "die", "la", "es", "est"} & set(found) or expected == "what is it"


def test_a_pasted_log_is_asked_by_its_beginning() -> None:
    found = query_terms(" ".join(f"word{n}" for n in range(10_000))).split()
    assert "word0" in found
    assert len(found) < 1_000


def test_a_word_counts_as_often_as_it_is_asked() -> None:
    assert query_terms("time sharing and sharing of files").split().count("share") == 2


def test_where_the_language_is_unsure_the_stems_of_both_are_sought() -> None:
    found = query_terms("Kündigungsfristen", ["de", "en"]).split()
    assert {"kundigungsfrist", "kundigungsfristen"} <= set(found)


@pytest.mark.parametrize(
    ("question", "library", "expected"),
    [
        ("What does the lease say about pets", [], ("en",)),
        ("Was sagt der Vertrag über Haustiere", ["en"], ("de", "en")),
        ("invoice total", ["de", "en"], ("de", "en")),
        ("防守丢了多少分", ["en"], ("zh",)),
        ("どこで買えますか", [], ("ja",)),
    ],
)
def test_function_words_and_the_library_tell_the_language(
    question: str, library: list[str], expected: tuple[str, ...]
) -> None:
    assert question_languages(fold(question.casefold()).split(), library) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The harbour office is open every day of the week except on public holidays.", "en"),
        ("Das Hafenamt ist an allen Tagen der Woche außer an Feiertagen geöffnet.", "de"),
        ("Le bureau du port est ouvert tous les jours de la semaine sauf les jours fériés.", "fr"),
        ("港口办公室除公众假期外每天开放。", "zh"),
        ("港の事務所は祝日を除いて毎日開いています。", "ja"),
        ("항구 사무소는 공휴일을 제외하고 매일 문을 엽니다.", "ko"),
        ("Контора порта открыта каждый день недели, кроме праздничных дней.", "ru"),
        ("مكتب الميناء مفتوح كل أيام الأسبوع ما عدا أيام العطل الرسمية في المدينة.", "ar"),
        ("12345 67.8 %", ""),
        ("", ""),
    ],
)
def test_the_language_of_a_text(text: str, expected: str) -> None:
    assert detect_language(text) == expected


def test_keywords_weigh_names_and_numbers_more_and_sum_to_one() -> None:
    wanted = {word.word: word.weight for word in keywords("when did Apple report 2018 sales in general")}
    assert sum(wanted.values()) == pytest.approx(1.0)
    assert wanted["Apple"] > wanted["sales"]
    assert wanted["2018"] > wanted["sales"]


def test_a_keyword_is_found_by_its_whole_form_or_by_all_its_parts() -> None:
    (wanted,) = keywords("parseHttpRequest")
    assert wanted.is_in(terms("parse_http_request", "en").split())
    assert wanted.is_in(terms("parse the http request", "en").split())
    assert not wanted.is_in(terms("parse the request", "en").split())


def test_a_chunk_is_indexed_with_its_place() -> None:
    assert indexable("Lease", "Pets › Dogs", "Not allowed.") == "Lease › Pets › Dogs\n\nNot allowed."
    assert indexable("", "", "Not allowed.") == "Not allowed."


WRITTEN = (
    "harbour",
    "ferries",
    "running",
    "v1.2.3",
    "parseHttp",
    "IL-6",
    "1,000",
    "Müller",
    "黑豹队",
    "الكتب",
    "книги",
)


@given(st.text(max_size=200), st.sampled_from(["", "zh", *STEMMERS]))
def test_terms_are_short_stable_and_without_spaces_inside(text: str, language: str) -> None:
    found = terms(text, language)
    assert found == terms(text, language)
    assert found == " ".join(found.split())
    assert all(len(term) <= 40 for term in found.split())


@given(st.text(max_size=120), st.lists(st.sampled_from(["en", "de", "zh", "ar"]), max_size=2))
def test_weights_of_keywords_sum_to_one_or_there_are_none(question: str, library: list[str]) -> None:
    wanted = keywords(question, library)
    assert not wanted or sum(each.weight for each in wanted) == pytest.approx(1.0)
    assert bool(wanted) == bool(query_terms(question, library))


@given(
    st.lists(
        st.sampled_from(
            [
                "harbour",
                "ferries",
                "running",
                "v1.2.3",
                "parseHttp",
                "IL-6",
                "1,000",
                "Müller",
                "黑豹队",
                "الكتب",
                "книги",
            ]
        )
    )
)
def test_a_text_covers_itself(words: list[str]) -> None:
    text = " ".join(words)
    found = {term for code in ("en", "de", "zh", "ar", "ru") for term in terms(text, code).split()}
    assert coverage(keywords(text), found) == pytest.approx(1.0 if words else 0.0)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzäöüéèñçå ", max_size=60))
def test_words_without_accents_find_words_with_them(text: str) -> None:
    for language in ("de", "fr", "es", "en"):
        for word in text.split():
            assert set(terms(fold(word), language).split()) <= set(terms(word, language).split())


def test_function_words_are_folded_and_every_list_has_its_script() -> None:
    for code in ("en", "de", "fr", "ru", "ar", "el"):
        assert function_words(code)
        assert all(fold(word) == word for word in function_words(code))
        assert {script_of(word) for word in function_words(code)} <= {script_of(max(function_words(code), key=len))}
