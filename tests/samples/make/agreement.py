"""The boat-hire agreement: headings, numbered terms and a table of boats."""

from __future__ import annotations

from pathlib import Path

import archive
from docx import Document
from docx.oxml import OxmlElement
from docx.shared import Cm, Pt

_BOATS = [
    ("Boat", "Kind", "Persons", "Per hour", "Per day", "Deposit"),
    ("Tern", "rowing boat", "4", "12 euros", "45 euros", "50 euros"),
    ("Fulmar", "sailing dinghy", "3", "22 euros", "80 euros", "50 euros"),
    ("Gannet", "motor boat, 15 hp", "6", "35 euros", "140 euros", "150 euros"),
]

_TERMS = [
    (
        "1. Who may hire",
        "The hirer must be at least 18 years old and stay with the boat. For the Gannet the hirer shows a boat "
        "licence; for the Fulmar a short trial sail in the harbour is enough. Tern needs neither.",
    ),
    (
        "2. Season and hours",
        "Boats are hired out from 1 May to 30 September, every day from 09:00 to 18:00. A day means those nine "
        "hours. Boats are not hired out overnight.",
    ),
    (
        "3. Where you may go",
        "Stay within one nautical mile of the coast of Vessa. Do not land on the Calf between 1 April and 31 July, "
        "because of the terns that breed there. Do not pass Gull Gate when the tide is running out: the current "
        "there reaches five knots.",
    ),
    (
        "4. Weather",
        "No boat leaves the harbour when the wind at Skell is above force 4. If the wind rises while you are out, "
        "come back. If we call you back, you pay only for the hours you had.",
    ),
    (
        "5. Payment and deposit",
        "The price and the deposit are paid in cash before the trip. The deposit is given back when the boat is "
        "returned clean and undamaged. Pia Lund decides about damage on the day; a scratch that polishing removes "
        "is not damage.",
    ),
    (
        "6. Fuel",
        "The Gannet is handed over with a full tank of 25 litres. Missing fuel is charged at 2.80 euros a litre.",
    ),
    (
        "7. Coming back late",
        "Each started quarter of an hour after the agreed time costs 10 euros. After one hour without word from you "
        "we call the harbour office, and a search begins.",
    ),
    (
        "8. Cancelling",
        "You may cancel free of charge up to 48 hours before the start. Later than that, half the price is due. If "
        "you do not come at all, the whole price is due. If we cancel because of the weather, you pay nothing.",
    ),
    (
        "9. Safety on board",
        "Everyone wears a life jacket from the pontoon on; jackets for children from 10 kilograms upwards are in the "
        "blue chest. Each boat carries a hand-held radio set to channel 12, two flares, a bailer and an anchor with "
        "30 metres of line.",
    ),
]


def write(path: Path) -> None:
    document = Document()
    _set_up(document)
    document.add_heading("Boat-hire agreement", level=0)
    document.add_paragraph(
        "between Vessa Boats, owner Pia Lund, Pontoon 2, Northhaven, and the hirer named below. In force from "
        "1 May 2025."
    )
    document.add_heading("Boats and prices", level=1)
    _add_boats(document)
    document.add_heading("Terms", level=1)
    for heading, text in _TERMS:
        document.add_heading(heading, level=2)
        document.add_paragraph(text)
    document.add_heading("Signatures", level=1)
    for label in ("Hirer, name and address", "Boat, date, from and until", "For Vessa Boats"):
        document.add_paragraph(f"{label}: ______________________________________")
    document.save(path)
    archive.settle(path, "2025-04-14")


def _set_up(document: Document) -> None:
    document.core_properties.title = "Boat-hire agreement"
    document.core_properties.author = "Pia Lund"
    document.core_properties.comments = ""
    document.styles["Normal"].font.name = "Georgia"
    document.styles["Normal"].font.size = Pt(10.5)
    section = document.sections[0]
    section.page_width, section.page_height = Cm(21), Cm(29.7)
    section.left_margin = section.right_margin = Cm(2.6)


def _add_boats(document: Document) -> None:
    table = document.add_table(rows=0, cols=len(_BOATS[0]), style="Light List Accent 1")
    for row in _BOATS:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    # Says that the first row is a head, to word processors and readers alike.
    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))
    document.add_paragraph()
