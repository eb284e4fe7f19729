"""Records that cost little: frozen for the type checker, plain ones when they run.

A frozen dataclass sets each field through `object.__setattr__`: 4.3 µs for a record of 17 fields, against 0.3 µs of a
plain one, and a search makes hundreds before it keeps ten. `dataclasses` also compiles six methods for each class, a
third of a command's start for the seventy that it imports; here only `__init__` is, the others are shared.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool, slots: bool):
        """The same as `dataclasses.dataclass` of a frozen record, shown, equal and hashed by its fields, but for who
        sets a field: nothing stops it here, the type checker does."""

        def made(cls):
            cls.__repr__, cls.__eq__, cls.__hash__ = _shown, _equal, _hashed
            cls.__doc__ = cls.__doc__ or cls.__name__  # else one is made of its signature
            cls = dataclasses.dataclass(repr=False, eq=False, slots=slots)(cls)
            cls._values = _values_of([each.name for each in dataclasses.fields(cls)])
            return cls

        return made

    def _values_of(names):
        """All of an object's fields at once, as what is equal for equal ones."""
        return attrgetter(*names) if names else lambda _: ()

    def _shown(self):
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__qualname__}({fields})"

    def _equal(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        return self.__class__._values(self) == self.__class__._values(other)

    def _hashed(self):
        return hash(self.__class__._values(self))
