"""Numbers, quantities and codes as a text states them, in any common notation; knows nothing of sentences or passages.

Every stated number is read into the set of values it may mean: `1.234` is 1234 to a German and 1.234 to an American,
so two statements agree when their readings meet.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from termrag.grounding.number_words import SCALES, spoken


@dataclass(frozen=True, slots=True)
class Number:
    """One stated number: its possible values, the dimension its unit measures ("" for none), and where it stands.

    `values` are in the dimension's base unit (seconds, metres, grams, bytes, percent), `plain` as written. `digits`
    says how many leading digits were stated, for rounding. `is_rough` marks "about 3 million".
    """

    text: str
    values: frozenset[float]
    plain: frozenset[float]
    dimension: str
    start: int
    end: int
    digits: int = 15
    is_rough: bool = False

    def agrees(self, other: Number) -> bool:
        """The same quantity, within rounding where this one is rough; a missing unit on either side is forgiven."""
        if self.dimension and other.dimension and self.dimension != other.dimension:
            return False
        same = self.dimension == other.dimension
        ours, others = (self.values, other.values) if same else (self.plain, other.plain)
        return any(_equal(mine, theirs, self.digits, self.is_rough) for mine in ours for theirs in others)

    def rivals(self, other: Number) -> bool:
        """Another quantity of the same kind: 2 years where this says 5 years."""
        return bool(self.dimension) and self.dimension == other.dimension and not self.agrees(other)


# unit -> (dimension, factor to the base unit)
_UNITS: dict[str, tuple[str, float]] = {}


def _unit(dimension: str, factor: float, names: str) -> None:
    for name in names.split():
        _UNITS[name] = (dimension, factor)


_unit("time", 1e-3, "ms millisecond milliseconds millisekunde millisekunden milliseconde millisecondes 毫秒")
_unit("time", 1, "s sec secs second seconds sekunde sekunden seconde secondes segundo segundos 秒 ثانية ثوان")
_unit("time", 60, "min mins minute minutes minuten minuto minutos minuti 分钟 دقيقة دقائق")
_unit("time", 3600, "h hr hrs hour hours stunde stunden heure heures hora horas ora ore 小时 小時 時間 ساعة ساعات")
_unit("time", 86400, "day days tag tage tagen jour jours día días giorno giorni 天 يوم أيام")
_unit("time", 604800, "week weeks woche wochen semaine semaines semana semanas settimana settimane 周 أسبوع أسابيع")
_unit("time", 2629746, "month months monat monate monaten mois mes meses mese mesi 个月 شهر أشهر شهور")
_unit(
    "time", 31556952, "year years yr yrs jahr jahre jahren an ans année années año años anno anni سنة سنوات عام أعوام"
)
_unit("length", 1e-3, "mm millimetre millimetres millimeter millimeters 毫米")
_unit("length", 1e-2, "cm centimetre centimetres centimeter centimeters zentimeter centimètres 厘米")
_unit("length", 1, "m metre metres meter meters metern mètre mètres metro metros 米 متر أمتار")
_unit(
    "length",
    1e3,
    "km kilometre kilometres kilometer kilometers kilometern kilomètres kilómetros 公里 كيلومتر كيلومترات",
)
_unit("length", 0.0254, "inch inches zoll pouces")
_unit("length", 0.3048, "ft foot feet fuß pied pieds")
_unit("length", 1609.344, "mile miles meile meilen")
_unit("mass", 1e-3, "mg milligram milligrams milligramm 毫克")
_unit("mass", 1, "g gram grams gramm gramme grammes gramos 克 غرام")
_unit("mass", 1e3, "kg kilo kilos kilogram kilograms kilogramm kilogrammes kilogramos 公斤 千克 كيلوغرام")
_unit("mass", 1e6, "t ton tons tonne tonnes tonnen 吨")
_unit("mass", 453.59237, "lb lbs pound-mass")
_unit("volume", 1e-3, "ml millilitre millilitres milliliter milliliters 毫升")
_unit("volume", 1, "l litre litres liter liters litern litro litros 升 لتر")
_unit("bytes", 1, "byte bytes")
_unit("bytes", 1e3, "kb kilobyte kilobytes")
_unit("bytes", 1e6, "mb megabyte megabytes")
_unit("bytes", 1e9, "gb gigabyte gigabytes")
_unit("bytes", 1e12, "tb terabyte terabytes")
_unit("percent", 1, "% ％ ٪ percent prozent pct procent pourcent porcentaje percento")
_unit("temperature C", 1, "°c celsius")
_unit("temperature F", 1, "°f fahrenheit")
_unit("voltage", 1, "v volt volts")
_unit("power", 1, "w watt watts")
_unit("power", 1e3, "kw kilowatt kilowatts")
_unit("power", 1e6, "mw megawatt megawatts")
_unit("energy", 1, "wh")
_unit("energy", 1e3, "kwh")
_unit("current", 1, "amp amps ampere amperes")
_unit("frequency", 1, "hz hertz")
_unit("frequency", 1e6, "mhz")
_unit("frequency", 1e9, "ghz")
_unit("pressure", 1, "bar bars")
_unit("USD", 1, "$ usd us$ dollar dollars dólares 美元 دولار")
_unit("EUR", 1, "€ eur euro euros 欧元 يورو")
_unit("GBP", 1, "£ gbp pound pounds pfund 英镑")
_unit("JPY", 1, "¥ jpy yen 日元")
_unit("CNY", 1, "cny rmb yuan 元 人民币")
_unit("CHF", 1, "chf franken francs")

_CURRENCY = "$€£¥"
_CJK_UNITS = sorted(
    (u for u in _UNITS if unicodedata.category(u[0]) == "Lo" and ord(u[0]) > 0x2E00), key=len, reverse=True
)
_HEDGES = re.compile(
    r"(?:about|around|approximately|approx\.?|roughly|nearly|almost|over|more than|some|circa|ca\.?|etwa|rund|ungefähr|"
    r"fast|über|mehr als|environ|près de|plus de|presque|unos|casi|cerca de|más de|circa|quasi|约|大约|超过|"
    r"حوالي|نحو)\s*\Z",
    re.I,
)
_SPACE = " \u00a0\u202f\u2009'’"
_DIGIT = re.compile(r"[0-9]")
_TORN = re.compile(r"(?<=\d)\s?([.,])\s(?=\d)")
_CODE = re.compile(r"(?<![\w.])(?:\d+(?:\.\d+){2,}|v\d+(?:\.\d+)+)(?![\w])", re.I)
_TIME = re.compile(r"(?<![\d:.,])([01]?\d|2[0-4])[:h]([0-5]\d)(?::[0-5]\d)?(?!\d)(?:\s*([ap])\.?\s?m\b)?", re.I)
_NUMBER = re.compile(
    rf"(?P<currency>[{_CURRENCY}])?\s?(?P<sign>(?<![\w\d)])[-−])?"
    rf"(?P<digits>\d{{1,3}}(?:[{_SPACE}]\d{{3}})+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)*)"
)
_SCALE = re.compile(
    rf"[\s\u00a0-]?({'|'.join(sorted(map(re.escape, SCALES), key=len, reverse=True))})(?![^\W\d_])", re.I
)
_CJK_SCALE = re.compile(r"\s?(千万|百万|万亿|亿|億|万|萬|千|百)")
_CJK_SCALES = {"千万": 1e7, "百万": 1e6, "万亿": 1e12, "亿": 1e8, "億": 1e8, "万": 1e4, "萬": 1e4, "千": 1e3, "百": 1e2}
_UNIT = re.compile(r"(?:[\s\u00a0\u202f-]|\s-\s)?(°\s?[cf]\b|us\$|[%％٪$€£¥]|[^\W\d_]+)", re.I)
_SUFFIX = re.compile(r"(?:st|nd|rd|th|s|er|ère|e|ème|º|ª|°)(?![^\W_])", re.I)


def ascii_digits(text: str) -> str:
    """The text with every decimal digit of any script as 0-9; the length stays."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() and not c.isascii() else c for c in text)


def numbers(text: str) -> list[Number]:
    """The numbers of a text in order, digits and words alike. Codes such as 3.11.7 are not numbers: see `codes`."""
    return sorted(_stated(text), key=lambda n: n.start)


def torn_numbers(text: str) -> list[Number]:
    """The numbers that a reader of the page has torn apart: "1, 234. 5". Their places are those of no text."""
    mended = _TORN.sub(r"\1", text)
    return [] if mended == text else _stated(mended)


def _stated(text: str) -> list[Number]:
    text = ascii_digits(text).replace("٫", ".").replace("٬", ",")
    if not _DIGIT.search(text):
        return _spoken(text)
    taken = [m.span() for m in _CODE.finditer(text)]
    found: list[Number] = []
    for match in _TIME.finditer(text):
        if not _overlaps(match.span(), taken):
            found.append(_time(match))
            taken.append(match.span())
    for match in _NUMBER.finditer(text):
        if _overlaps(match.span("digits"), taken) or _inside_word(text, match):
            continue
        found.append(_quantity(text, match))
    found.extend(_spoken(text))
    return found


def codes(text: str) -> dict[str, tuple[int, int]]:
    """Names made with digits (IP68, v3.11.7, AB-1234), in lower case without hyphens, with their places."""
    text = ascii_digits(text)
    if not _DIGIT.search(text):
        return {}
    found = {m.group().lower(): m.span() for m in _CODE.finditer(text)}
    for match in re.finditer(
        r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[^\W\d_])[A-Za-z0-9]+(?:[-_/][A-Za-z0-9]+)*(?![\w])", text
    ):
        word = match.group()
        if re.fullmatch(r"\d+(?:st|nd|rd|th|s|h\d+)|\d+-.*", word, re.I) or _is_quantity(word):
            continue
        if not _overlaps(match.span(), list(found.values())):
            found[re.sub(r"[-_/]", "", word).lower()] = match.span()
    return found


def _is_quantity(word: str) -> bool:
    parts = re.fullmatch(r"(\d+)-?([^\W\d_]+)", word)
    return bool(parts) and (
        parts is not None and (parts.group(2).lower() in _UNITS or parts.group(2).lower() in SCALES)
    )


def _overlaps(span: tuple[int, int], taken: list[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in taken)


def _inside_word(text: str, match: re.Match[str]) -> bool:
    """Digits glued to Latin letters are part of a code, except for a known unit, scale or ordinal ending after them."""
    start, end = match.span("digits")
    if re.search(r"[A-Za-z_]-?\Z", text[max(0, start - 2) : start]):
        return True
    if end >= len(text) or not text[end].isalpha() or not text[end].isascii():
        return False
    word = re.match(r"[^\W\d_]+", text[end:])
    tail = word.group().lower() if word else ""
    return not (tail in _UNITS or tail in SCALES or _SUFFIX.match(text, end))


def _time(match: re.Match[str]) -> Number:
    hour, minute, half = int(match.group(1)), int(match.group(2)), (match.group(3) or "").lower()
    hours = {hour % 12 + (12 if half == "p" else 0)} if half else {hour, hour % 24}
    minutes = frozenset(h * 60.0 + minute for h in hours)
    return Number(match.group(), minutes, minutes, "clock", *match.span())


def _quantity(text: str, match: re.Match[str]) -> Number:
    digits = match.group("digits")
    values = _readings(digits)
    sign = -1.0 if match.group("sign") else 1.0
    end = match.end()
    end, scale = _scale(text, end)
    dimension, factor = "", 1.0
    if match.group("currency"):
        dimension = _UNITS[match.group("currency")][0]
    else:
        end, dimension, factor = _unit_after(text, end)
    if suffix := _SUFFIX.match(text, match.end("digits")):
        end = max(end, suffix.end())
    significant = len(re.sub(r"\D", "", digits).strip("0")) or 1
    rough = bool(_HEDGES.search(text[max(0, match.start() - 20) : match.start()])) or scale > 1
    plain = frozenset(sign * v * scale for v in values)
    values = frozenset(v * factor for v in plain)
    stated = text[match.start() : end].strip()
    return Number(stated, values, plain, dimension, match.start("digits"), end, significant, rough)


def _scale(text: str, end: int) -> tuple[int, float]:
    if cjk := _CJK_SCALE.match(text, end):
        return cjk.end(), _CJK_SCALES[cjk.group(1)]
    if scale := _SCALE.match(text, end):
        return scale.end(), SCALES[scale.group(1).lower()]
    return end, 1.0


def _unit_after(text: str, end: int) -> tuple[int, str, float]:
    match = _UNIT.match(text, end)
    if not match:
        return end, "", 1.0
    word = match.group(1).lower().replace(" ", "")
    if word == "s" and match.start(1) == end and text[end - 1] == "0":  # the 1990s
        return end, "", 1.0
    if (
        word in ("m", "t", "s", "h", "l", "g", "v", "w", "an")
        and match.group(1) != word
        and word not in ("v", "w", "l")
    ):
        return end, "", 1.0
    if word not in _UNITS:
        cjk = next((u for u in _CJK_UNITS if word.startswith(u)), "")
        if not cjk:
            return end, "", 1.0
        return match.start(1) + len(cjk), *_UNITS[cjk]
    return match.end(), *_UNITS[word]


def _readings(digits: str) -> frozenset[float]:
    """What a written number may mean in the notations in use: separators for thousands or for decimals."""
    plain = re.sub(rf"[{_SPACE}]", "", digits)
    commas, stops = plain.count(","), plain.count(".")
    if not commas and not stops:
        return frozenset({float(plain)})
    if commas and stops:
        decimal = "," if plain.rfind(",") > plain.rfind(".") else "."
        thousands = "." if decimal == "," else ","
        return _float(plain.replace(thousands, "").replace(decimal, "."))
    mark = "," if commas else "."
    groups = plain.split(mark)
    is_grouped = all(len(g) == 3 for g in groups[1:]) and 0 < len(groups[0]) <= 3 and groups[0] != "0"
    as_thousands = _float("".join(groups)) if is_grouped else frozenset()
    as_decimal = _float(".".join(groups)) if len(groups) == 2 else frozenset()
    return as_thousands | as_decimal or frozenset(float(g) for g in groups if g)


def _float(text: str) -> frozenset[float]:
    try:
        return frozenset({float(text)})
    except ValueError:
        return frozenset()


def _spoken(text: str) -> list[Number]:
    found = []
    for start, end, value in spoken(text):
        unit_end, dimension, factor = _unit_after(text, end)
        values, plain = frozenset({value * factor}), frozenset({value})
        found.append(Number(text[start:unit_end], values, plain, dimension, start, unit_end))
    return found


def _equal(mine: float, theirs: float, digits: int, is_rough: bool) -> bool:
    if abs(mine - theirs) <= 1e-6 * max(abs(mine), abs(theirs)):
        return True
    if not is_rough or theirs == 0:
        return False
    # "about 3.5 million" for 3,512,000: equal when rounded to the digits that were stated, or cut to them.
    step = 10.0 ** (_magnitude(mine) - digits + 1)
    return abs(mine - theirs) <= step / 2 or 0 <= theirs - mine < step


def _magnitude(value: float) -> int:
    return len(str(int(abs(value)))) - 1 if abs(value) >= 1 else 0
