"""Records that are made by the hundred: frozen for the type checker, plain ones when they run.

A frozen dataclass sets each field through `object.__setattr__`: 4.3 µs for a record of 17 fields, against 0.3 µs of a
plain one. A search makes hundreds of them before it keeps ten.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, slots: bool):
        """The same as `dataclasses.dataclass`, equal and hashed by its fields, but for who sets a field: nothing stops
        it here, the type checker does."""
        return dataclasses.dataclass(slots=slots, unsafe_hash=frozen)
