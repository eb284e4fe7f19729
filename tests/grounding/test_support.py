"""What the support check says of sentences as small models write them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from termrag.grounding import check, remembering, unchecked
from termrag.records import Passage, Support


def passage(number: int, text: str, *, heading: str = "", start_line: int = 10, lines_match: bool = True) -> Passage:
    return Passage(
        number=number,
        document_id=f"d{number}",
        path=f"/docs/file{number}.md",
        title="",
        heading=heading,
        page=None,
        page_label="",
        start_line=start_line,
        end_line=start_line + text.count("\n"),
        lines_match=lines_match,
        text=text,
        content_hash="hash",
        media_type="text/markdown",
        score=1.0,
    )


PUMP = passage(
    1,
    "The X200 pump is waterproof to IP68.\nIt runs for 12 hours on one battery charge and weighs 3.5 kg.\n"
    "The warranty covers two years. Write to service@example.com for repairs.",
    heading="X200 pump",
)
FIRM = passage(
    2,
    "Acme introduced the X200 on 12 March 2019. Alice Meyer hired Bob Stone as chief engineer in 2017.\n"
    "The charger does not work below 0 °C. Sales rose by 14 % to 1,234,500 euros, about 3.2 million dollars less than "
    "those of Globex. The factory in Lyon employs 310 people.",
)
TABLE = passage(
    3,
    "| Model | Price | Range |\n| --- | --- | --- |\n| X200 | 129 € | 400 m |\n| X300 | 249 € | 900 m |\n",
    heading="Prices",
)
ENGLISH = [PUMP, FIRM, TABLE]
GERMAN = [
    passage(
        1,
        "Die Pumpe X200 ist wasserdicht. Der Akku hält 12 Stunden und wiegt 3,5 kg. Die Firma wurde am 3. Oktober 1990 "
        "in Köln gegründet. Der Umsatz betrug 1.234,50 Euro. Das Ladegerät funktioniert nicht bei Frost.",
    )
]
FRENCH = [
    passage(
        1,
        "La pompe X200 est étanche. La batterie tient douze heures et coûte 1 250 euros. La société a été fondée à "
        "Lyon le 14 juillet 1998. Le chargeur ne fonctionne pas en dessous de zéro degré.",
    )
]
CHINESE = [
    passage(
        1,
        "X200水泵是防水的。电池可以使用12小时，重量为3.5公斤。公司于1998年7月14日在上海成立。充电器在零度以下不能工作。",
    )
]
ARABIC = [passage(1, "المضخة مقاومة للماء. تعمل البطارية لمدة ١٢ ساعة. تأسست الشركة في القاهرة عام 1998.")]

SUPPORTED = [
    (ENGLISH, "The X200 pump is waterproof."),
    (ENGLISH, "It runs for 12 hours on one battery charge."),
    (ENGLISH, "The pump runs for twelve hours on one charge."),
    (ENGLISH, "12 hours."),
    (ENGLISH, "Yes, it is waterproof."),
    (ENGLISH, "According to the document, the pump weighs 3.5 kg."),
    (ENGLISH, "According to passage [1], the warranty covers 2 years."),
    (ENGLISH, "The pump weighs 3500 g."),
    (ENGLISH, "- It weighs 3.5 kg\n"),
    (ENGLISH, "1. The warranty covers two years.\n"),
    (ENGLISH, "Acme introduced the X200 in March 2019."),
    (ENGLISH, "The X200 was introduced by Acme on 2019-03-12."),
    (ENGLISH, "Bob Stone was hired by Alice Meyer in 2017."),
    (ENGLISH, "Alice Meyer hired Bob Stone."),
    (ENGLISH, "Sales rose by 14 percent to 1.2 million euros."),
    (ENGLISH, "The X200 weighs 3.5 kg and was introduced in March 2019."),
    (ENGLISH, "The charger doesn't work below 0 °C."),
    (ENGLISH, "The X300 has a range of 900 m."),
    (ENGLISH, "The factory in Lyon employs 310 people."),
    (ENGLISH, "The documents do not name a price in dollars, but the warranty covers two years."),
    (GERMAN, "Der Akku hält zwölf Stunden."),
    (GERMAN, "Die Firma wurde im Oktober 1990 in Köln gegründet."),
    (GERMAN, "Laut dem Dokument ist die Pumpe wasserdicht."),
    (FRENCH, "La batterie tient 12 heures."),
    (FRENCH, "Selon le document, la société a été fondée à Lyon en juillet 1998."),
    (CHINESE, "电池可以使用12小时。"),
    (CHINESE, "根据文件，公司于1998年在上海成立。"),
    (ARABIC, "تعمل البطارية لمدة 12 ساعة."),
]
UNSUPPORTED = [
    (ENGLISH, "The battery lasts 15 hours.", "15 hours"),
    (ENGLISH, "It runs for 12 minutes on one battery charge.", "12 minutes"),
    (ENGLISH, "The warranty covers 5 years.", "5 years"),
    (ENGLISH, "The warranty covers 12 hours.", "2"),
    (ENGLISH, "Acme introduced the X200 in March 2031.", "2031"),
    (ENGLISH, "Acme introduced the X200 on 13 March 2019.", "13 March 2019"),
    (ENGLISH, "Bob Stone hired Alice Meyer.", "other way round"),
    (ENGLISH, "Carol Jones hired Bob Stone.", "Carol"),
    (ENGLISH, "The X200 pump is not waterproof.", "waterproof"),
    (ENGLISH, "The charger works below 0 °C.", "disagree"),
    (ENGLISH, "The X400 pump is waterproof to IP68.", "x400"),
    (ENGLISH, "The pump is certified to IP67.", "ip67"),
    (ENGLISH, "Sales rose by 41 %.", "41 %"),
    (ENGLISH, "The factory in Paris employs 310 people.", "Paris"),
    (ENGLISH, "Bananas grow best in warm and humid countries.", "Bananas"),
    (ENGLISH, "- It weighs 5.3 kg\n", "5.3 kg"),
    (ENGLISH, "20 hours.", "20 hours"),
    (GERMAN, "Der Akku hält 15 Stunden.", "15 Stunden"),
    (GERMAN, "Die Pumpe X200 ist nicht wasserdicht.", "wasserdicht"),
    (GERMAN, "Der Mond besteht aus grünem Käse.", "Mond"),
    (FRENCH, "La batterie coûte 1 350 euros.", "1 350 euros"),
    (FRENCH, "La pompe X200 n'est pas étanche.", "étanche"),
    (CHINESE, "电池可以使用20小时。", "20"),
    (CHINESE, "X200水泵不是防水的。", "disagree"),
    (ARABIC, "تعمل البطارية لمدة 20 ساعة.", "20"),
]
NEUTRAL = [
    "Hello!",
    "Sure!",
    "I hope this helps.",
    "Let me know if you have any questions.",
    "Here are the main features:",
    "## Battery\n",
    "---\n",
    "Would you like to know more?",
    "The passages do not mention the price.",
    "I don't know.",
    "Yes.",
    "\n\n",
]


@pytest.mark.parametrize(("passages", "sentence"), SUPPORTED, ids=[s for _, s in SUPPORTED])
def test_a_faithful_sentence_is_supported_and_cited(passages: list[Passage], sentence: str) -> None:
    found = check(sentence, passages)
    assert found.support is Support.SUPPORTED, (found.score, found.reason)
    assert 1 <= len(found.citations) <= 2
    for citation in found.citations:
        source = next(p for p in passages if p.number == citation.number)
        assert citation.quote in source.text


@pytest.mark.parametrize(("passages", "sentence", "why"), UNSUPPORTED, ids=[s for _, s, _ in UNSUPPORTED])
def test_a_sentence_that_strays_is_unsupported_and_says_why(passages: list[Passage], sentence: str, why: str) -> None:
    found = check(sentence, passages)
    assert found.support is Support.UNSUPPORTED, (found.score, found.citations)
    assert found.citations == ()
    assert why in found.reason


@pytest.mark.parametrize("sentence", NEUTRAL)
def test_what_claims_nothing_is_neutral(sentence: str) -> None:
    assert check(sentence, ENGLISH).support is Support.NEUTRAL


def test_the_text_is_kept_as_generated() -> None:
    assert check("  - It weighs 3.5 kg \n", ENGLISH).text == "  - It weighs 3.5 kg \n"


def test_a_citation_names_the_lines_of_its_quote() -> None:
    citation = check("It runs for 12 hours on one battery charge.", ENGLISH).citations[0]
    assert (citation.number, citation.start_line, citation.end_line) == (1, 11, 11)
    assert citation.place == "file1.md:11"


def test_lines_that_are_not_those_of_the_file_are_left_alone() -> None:
    found = check("The pump is waterproof.", [passage(4, "Intro.\nThe pump is waterproof.", lines_match=False)])
    assert (found.citations[0].start_line, found.citations[0].end_line) == (10, 11)


def test_a_second_passage_is_cited_only_for_facts_that_the_first_lacks() -> None:
    joint = check("The X200 weighs 3.5 kg and was introduced in March 2019.", ENGLISH)
    single = check("The X200 pump is waterproof.", [PUMP, passage(5, "The X200 pump is waterproof.")])
    assert {c.number for c in joint.citations} == {1, 2}
    assert len(single.citations) == 1


def test_a_number_borrowed_from_another_sentence_is_refused() -> None:
    text = "The warranty lasts 2 years. The battery lasts 5 years."
    assert check("The warranty lasts 5 years.", [passage(1, text)]).support is Support.UNSUPPORTED
    assert check("The battery lasts 5 years.", [passage(1, text)]).support is Support.SUPPORTED


def test_without_passages_nothing_is_supported() -> None:
    assert check("The pump weighs 3.5 kg.", []).support is Support.UNSUPPORTED


def test_the_embedder_is_asked_only_where_words_leave_it_open() -> None:
    asked: list[int] = []

    def embed(texts: list[str]) -> np.ndarray:
        asked.append(len(texts))
        return np.tile(np.eye(1, 4, dtype=np.float32), (len(texts), 1))

    assert check("It runs for 12 hours on one battery charge.", ENGLISH, embed=embed).support is Support.SUPPORTED
    assert check("The warranty covers 5 years.", ENGLISH, embed=embed).support is Support.UNSUPPORTED
    assert asked == []
    open_case = "The device is resistant to water."
    alone = check(open_case, [passage(1, "The device is resistant to moisture.")])
    helped = check(open_case, [passage(1, "The device is resistant to moisture.")], embed=embed)
    assert len(asked) == 1
    assert helped.score > alone.score


def test_an_answer_without_documents_is_not_checked() -> None:
    assert unchecked("The moon is far.").support is Support.NEUTRAL


def test_a_text_is_embedded_once_for_all_sentences_of_an_answer() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], np.float32)

    remembered = remembering(embed)

    assert remembered(["one", "three"]).tolist() == [[3.0, 1.0], [5.0, 1.0]]
    assert remembered(["three", "four", "one"]).tolist() == [[5.0, 1.0], [4.0, 1.0], [3.0, 1.0]]
    assert asked == ["one", "three", "four"]


def test_the_head_of_a_table_is_no_claim_and_its_rows_are():
    rows = ["| feature | how long |\n", "|---|---|\n", "| battery charge | 12 hours |\n", "| warranty | nine years |\n"]
    verdicts = [
        check(row, [PUMP], before=before).support for before, row in zip(["Here it is.\n\n", *rows], rows, strict=False)
    ]
    assert verdicts == [Support.NEUTRAL, Support.NEUTRAL, Support.SUPPORTED, Support.UNSUPPORTED]


def test_a_lone_row_that_states_a_figure_is_checked():
    assert check("| battery charge | 90 hours |", [PUMP]).support is Support.UNSUPPORTED
