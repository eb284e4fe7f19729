"""Numbers and dates in their many notations."""

from __future__ import annotations

import pytest

from termrag.grounding.dates import dates
from termrag.grounding.numbers import codes, numbers


@pytest.mark.parametrize(
    ("stated", "held"),
    [
        ("1,234.5", "1234.5"),
        ("1.234,50 €", "1234.5 euros"),
        ("12 000 km", "12,000 km"),
        ("twelve", "12"),
        ("two hundred and ten", "210"),
        ("twenty-five", "25"),
        ("3 million", "3,000,000"),
        ("about 3.5 million", "3,512,000"),
        ("50 percent", "50%"),
        ("$5", "5 dollars"),
        ("1.5 km", "1500 m"),
        ("90 minutes", "1.5 hours"),
        ("3万", "30000"),
        ("三百二十", "320"),
        ("١٢", "12"),
        ("zwölf Stunden", "12 h"),
        ("5:30 pm", "17:30"),
        ("1990s", "1990"),
        ("33-year", "33"),
    ],
)
def test_equal_quantities_agree(stated: str, held: str) -> None:
    assert any(numbers(stated)[0].agrees(other) for other in numbers(held))


@pytest.mark.parametrize(
    ("stated", "held"),
    [
        ("12 hours", "12 minutes"),
        ("5%", "5 kg"),
        ("3.5 million", "3.5 billion"),
        ("1.5", "15"),
        ("$5", "5 €"),
        ("12", "21"),
    ],
)
def test_different_quantities_do_not(stated: str, held: str) -> None:
    assert not any(numbers(stated)[0].agrees(other) for other in numbers(held))


@pytest.mark.parametrize(
    "held",
    ["12 March 2024", "March 12, 2024", "2024-03-12", "12.03.2024", "3/12/2024", "12 mars 2024", "2024年3月12日"],
)
def test_a_date_is_the_same_in_every_notation(held: str) -> None:
    assert dates("12th of March 2024")[0].is_within(dates(held))
    assert dates("in March 2024")[0].is_within(dates(held))
    assert not dates("13 March 2024")[0].is_within(dates(held))


def test_a_vaguer_date_does_not_carry_a_sharper_one() -> None:
    assert not dates("12 March 2024")[0].is_within(dates("in March 2024"))


def test_names_made_with_digits_are_codes_not_numbers() -> None:
    text = "The IP68 pump AB-1234 runs firmware v3.11.7."
    assert set(codes(text)) == {"ip68", "ab1234", "v3.11.7"}
    assert numbers(text) == []
