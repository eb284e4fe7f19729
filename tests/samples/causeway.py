"""When the causeway to the Calf may be crossed. The harbour office runs this each morning for its board."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

HALF_WINDOW = timedelta(hours=2)
"""How long before and after low water the stones are dry in calm weather."""

HALF_WINDOW_IN_WIND = timedelta(minutes=90)
"""The same when the mean wind is above WINDY_KN: the swell runs up the western side."""

WINDY_KN = 30
CLOSED_KN = 40
HIGHEST_LOW_WATER_M = 1.4
"""Above this height of low water the middle of the causeway does not fall dry at all."""


@dataclass(frozen=True)
class LowWater:
    """One low water of the tide table: local time and height above chart datum in metres."""

    at: datetime
    height_m: float


@dataclass(frozen=True)
class Window:
    """A time in which the causeway is open."""

    opens: datetime
    closes: datetime

    def allows_return(self, start: datetime, stay: timedelta) -> bool:
        """Can a walker who starts now, stays and comes back still be dry? Each way takes ten minutes."""
        walk = timedelta(minutes=10)
        return self.opens <= start and start + walk + stay + walk <= self.closes


def crossing_window(low_water: LowWater, wind_kn: float) -> Window | None:
    """Return when the causeway is open around one low water, or None for a red disc on the board."""
    if wind_kn > CLOSED_KN or low_water.height_m > HIGHEST_LOW_WATER_M:
        return None
    half = HALF_WINDOW_IN_WIND if wind_kn > WINDY_KN else HALF_WINDOW
    return Window(low_water.at - half, low_water.at + half)


def board_line(low_water: LowWater, wind_kn: float) -> str:
    """The line to chalk on the board.

    >>> board_line(LowWater(datetime.fromisoformat("2025-01-18 12:46"), height_m=0.7), wind_kn=26)
    'open 10:46 to 14:46'
    >>> board_line(LowWater(datetime.fromisoformat("2025-01-17 12:03"), height_m=0.6), wind_kn=47)
    'RED DISC, do not cross'
    """
    window = crossing_window(low_water, wind_kn)
    if window is None:
        return "RED DISC, do not cross"
    return f"open {window.opens:%H:%M} to {window.closes:%H:%M}"
