"""The minutes of one council meeting as an OpenDocument text."""

from __future__ import annotations

from pathlib import Path

import archive
from odf import dc, meta
from odf.opendocument import OpenDocumentText
from odf.style import ParagraphProperties, Style, TextProperties
from odf.text import H, P

_TITLE = "Minutes of the island council"

_OPENING = (
    "Thursday, 6 March 2025, 19:30 to 21:45, in the school house. Present: Agnes Tully (chair), Ruth Halden, "
    "Joss Penhale, Pia Lund, Daniel Okoro, Noor Baptiste and Tom Arden, seven of nine members. Absent with apologies: "
    "Hanna Quill and Carl Moss. Clerk: Peter Wren. Twelve islanders listened."
)

_ITEMS = [
    (
        "1. The lens of the lighthouse",
        "Ines Calloway reported on the damage of 17 January. Fourteen prisms are loose. The glass workshop Brandt in "
        "Stralsund can do the work on the spot in the middle of May. The council grants up to 8,500 euros. "
        "Seven in favour, none against.",
    ),
    (
        "2. The causeway",
        "The storm took nine metres of the parapet and 31 coping stones. The stonemasons Dunmore of Korrin offer the "
        "repair for 22,750 euros, of which the storm relief fund pays 12,500. They work from 2 to 27 June; on working "
        "days the causeway is then closed to visitors. Seven in favour.",
    ),
    (
        "3. Harbour lights",
        "Daniel Okoro proposed to change the eighteen lamps on the quay to LED for 14,200 euros. They will use 3,100 "
        "kilowatt hours a year less. Ruth Halden asked for a warm colour, because white light draws the young petrels "
        "down. Agreed with that condition. Five in favour, two against (Lund, Arden).",
    ),
    (
        "4. The nurse",
        "Hanna Quill has come on Mondays only. From 1 April she will come on Thursdays too. This costs 5,600 euros "
        "more a year. Seven in favour.",
    ),
    (
        "5. The quay wall",
        "Noor Baptiste showed the readings of the tide gauge and advised to raise the wall by half a metre. Joss "
        "Penhale fears that the gangway of the Petrel would then be too steep at low water. The matter was put off "
        "until an engineer has looked at it. The clerk asks for two offers.",
    ),
    (
        "6. Other matters",
        "The lost-property cupboard of the hostel is full and will be emptied at the summer fair on 12 July. The "
        "library will open on Saturdays from 15:00 to 17:00 as well, with volunteers. Carl Moss has resigned as keeper "
        "of the duck pond; nobody has come forward.",
    ),
]

_CLOSING = (
    "The next meeting is on Thursday, 8 May 2025, at 19:30, in the school house. Signed: Agnes Tully, Peter Wren."
)


def write(path: Path) -> None:
    document = OpenDocumentText()
    # The library's own generator line names the machine's kernel; the document should not.
    document.meta.childNodes.clear()
    document.meta.addElement(dc.Title(text=_TITLE))
    document.meta.addElement(dc.Creator(text="Peter Wren"))
    document.meta.addElement(meta.CreationDate(text="2025-03-09T10:00:00"))
    body, title, heading = _styles(document)
    document.text.addElement(H(outlinelevel=1, stylename=title, text=_TITLE))
    document.text.addElement(P(stylename=body, text=_OPENING))
    for name, text in _ITEMS:
        document.text.addElement(H(outlinelevel=2, stylename=heading, text=name))
        document.text.addElement(P(stylename=body, text=text))
    document.text.addElement(P(stylename=body, text=_CLOSING))
    document.save(str(path))
    archive.settle(path, "2025-03-09")


def _styles(document: OpenDocumentText) -> tuple[Style, Style, Style]:
    styles = []
    for name, size, weight, above in (
        ("Body", "11pt", "normal", "0cm"),
        ("Title line", "18pt", "bold", "0cm"),
        ("Item", "12pt", "bold", "0.4cm"),
    ):
        style = Style(name=name, family="paragraph")
        style.addElement(TextProperties(fontsize=size, fontweight=weight, fontfamily="Georgia"))
        style.addElement(ParagraphProperties(margintop=above, marginbottom="0.2cm", lineheight="130%"))
        document.styles.addElement(style)
        styles.append(style)
    return styles[0], styles[1], styles[2]
