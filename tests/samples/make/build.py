"""Makes the samples that no editor can write by hand: two PDFs, a DOCX, an ODT and an XLSX.

    python -m venv .venv && .venv/bin/pip install -r tests/samples/make/requirements.txt
    .venv/bin/python tests/samples/make/build.py

The same text gives the same bytes: dates are fixed, and archives are packed again with one time for every member.
"""

from __future__ import annotations

from pathlib import Path

import agreement
import budget
import minutes
import petrel_paper
import radio_manual

SAMPLES = Path(__file__).parents[1]


def main() -> None:
    radio_manual.write(SAMPLES / "radio-manual.pdf")
    petrel_paper.write(SAMPLES / "petrel-count.pdf")
    agreement.write(SAMPLES / "boat-hire.docx")
    minutes.write(SAMPLES / "council-minutes.odt")
    budget.write(SAMPLES / "budget-2025.xlsx")


if __name__ == "__main__":
    main()
