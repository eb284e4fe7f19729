"""What is known of languages: their scripts, stemmers and function words, and the guess which one a text is in."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_SAMPLE_CHARS = 2_000
_NO_LANGUAGE = "zxx"
_SURE = 0.5  # probability below which no language is named

# ISO 639-1 code → Snowball algorithm.
STEMMERS = {
    "ar": "arabic",
    "ca": "catalan",
    "cs": "czech",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fa": "persian",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "nb": "norwegian",
    "ne": "nepali",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}

# Written as in "1.234,50". All others write "1,234.50".
# fmt: off
DECIMAL_COMMA = frozenset((
    "ca", "cs", "da", "de", "el", "es", "et", "eu", "fi", "fr", "hr", "hu", "id", "it", "lt", "lv", "nb", "nl", "nn",
    "no", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "tr", "uk",
))
# fmt: on

# The language of a script where only one is common, else the likeliest one.
SCRIPT_LANGUAGE = {
    "arabic": "ar",
    "armenian": "hy",
    "bengali": "bn",
    "cyrillic": "ru",
    "devanagari": "hi",
    "greek": "el",
    "han": "zh",
    "hangul": "ko",
    "hebrew": "he",
    "kana": "ja",
    "khmer": "km",
    "lao": "lo",
    "latin": "en",
    "myanmar": "my",
    "tamil": "ta",
    "thai": "th",
}
_SHARED_SCRIPTS = frozenset({"arabic", "cyrillic", "devanagari", "latin"})
_LANGUAGE_SCRIPT = {code: script for script, code in SCRIPT_LANGUAGE.items()} | {
    **dict.fromkeys(("be", "bg", "kk", "ky", "mk", "mn", "ru", "sr", "tg", "tt", "uk"), "cyrillic"),
    **dict.fromkeys(("ar", "fa", "ps", "ug", "ur"), "arabic"),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), "devanagari"),
    "yi": "hebrew",
}
_BLOCKS = (
    (0x0041, 0x024F, "latin"),
    (0x0370, 0x03FF, "greek"),
    (0x0400, 0x052F, "cyrillic"),
    (0x0530, 0x058F, "armenian"),
    (0x0590, 0x05FF, "hebrew"),
    (0x0600, 0x077F, "arabic"),
    (0x08A0, 0x08FF, "arabic"),
    (0x0900, 0x097F, "devanagari"),
    (0x0980, 0x09FF, "bengali"),
    (0x0B80, 0x0BFF, "tamil"),
    (0x0E00, 0x0E7F, "thai"),
    (0x0E80, 0x0EFF, "lao"),
    (0x1000, 0x109F, "myanmar"),
    (0x1100, 0x11FF, "hangul"),
    (0x1780, 0x17FF, "khmer"),
    (0x1E00, 0x1EFF, "latin"),
    (0x1F00, 0x1FFF, "greek"),
    (0x3040, 0x30FF, "kana"),
    (0x3400, 0x4DBF, "han"),
    (0x4E00, 0x9FFF, "han"),
    (0xAC00, 0xD7AF, "hangul"),
    (0xF900, 0xFAFF, "han"),
    (0xFB50, 0xFEFC, "arabic"),
    (0x20000, 0x3FFFF, "han"),
)

# Words that carry the shape of a question, not its matter. Accents are folded as in the index.
_FUNCTION_WORDS = {
    "en": "a about all also am an and any are as at be been being between but by can could did do does doing done for "
    "from don doesn didn isn aren wasn won couldn had has have having he her him his how i if in into is it its let "
    "many may me might much my no nor not of often on or our shall she should so some such than that the their them "
    "then there these they this those to upon us was we were what when where whether which while "
    "who whom whose why will with would you your please tell",
    "de": "aber als am an auch auf aus bei beim bin bis bist da dann das dass dem den denn der des die dies diese "
    "diesem diesen dieser dieses durch ein eine einem einen einer eines er es fur gab gibt habe haben hat hatte ich "
    "ihr ihre ihrem ihren im in ist kann man mein meine mich mir mit nach nicht noch nur ob oder sein seine seinem "
    "seinen seiner sich sie sind so soll sollte uber um und uns unser unsere unter vom von vor wann war waren warum "
    "was welche welchem welchen welcher welches wem wen wenn wer werden wie wieviel wir wird wo wodurch wofur woher "
    "wohin womit wurde wurden zu zum zur zwischen bitte",
    "fr": "a ai au aux avec ce ces cet cette comment d dans de des du elle elles en est et etait etre eu fut il ils "
    "j je l la le les leur leurs lequel laquelle lesquels lesquelles lui m ma mais me mes moi mon n ne nos notre nous "
    "on ont ou par pas plus pour pourquoi qu quand que quel quelle quelles quels qui quoi s sa sans se ses son sont "
    "sous sur t ta te tes toi ton tu un une vos votre vous y combien",
    "es": "a al algo ante como con cual cuales cuando cuanta cuantas cuanto cuantos de del desde donde e el ella "
    "ellas ellos en entre era eran es esa ese eso esta estaba estan este esto fue fueron ha han hasta hay la las le "
    "les lo los mas me mi mis muy no nos o para pero por porque que quien quienes se ser si sin sobre son su sus te "
    "tiene tu un una unas uno unos y ya",
    "it": "a ad agli ai al alla alle allo anche che chi ci come con cosa cui da dagli dai dal dalla dalle de degli dei "
    "del della delle dello di dove e ed era erano fu gli ha hanno i il in io la le lo loro ma mi nei nel nella nelle "
    "non o per perche piu quale quali quando quanta quante quanti quanto qual si sia sono stata stato su sua sue sul "
    "sulla suo suoi tra un una uno",
    "pt": "a ao aos as com como da das de do dos e ela ele eles em entre era eram essa esse esta este eu foi foram ha "
    "isso isto ja la lhe mais mas me na nao nas no nos o onde os ou para pela pelas pelo pelos por porque qual quais "
    "quando quanta quantas quanto quantos que quem se ser seu seus sao sem sua suas tem um uma umas uns voce",
    "nl": "aan al als bij dan dat de den der deze die dit door dus een en er had heb hebben heeft het hij hoe hoeveel "
    "hun ik in is je kan kon maar me meer met mijn na naar niet nog nu of om onder ons ook op over te tegen tot uit "
    "van veel voor waar waarom wanneer waren was wat we welk welke werd werden wie wij worden wordt zal ze zich zij "
    "zijn zo zou",
    "sv": "alla att av blev bli blir da de dem den denna deras dess det detta dig din du efter ej eller en er ett fran "
    "for ha hade han hans har hon hur i icke ingen inte jag kan man med mellan men mig min mot nar ni nu och om oss "
    "pa sa sig sin sina ska som till under upp ut vad vem var varfor vara vi vid vilka vilken vilket",
    "da": "af alle at blev bliver da de dem den denne der deres det dette dig din dog du efter eller en end er et for "
    "fra ham han hans har havde hende hendes her hun hvad hvem hvilke hvilken hvilket hvis hvor hvordan hvorfor "
    "hvornar i ikke ind jeg kan man med meget men mig min mod nar ned nu og om op os over pa sig sin skal som til ud "
    "under var ved vi vil",
    "nb": "alle at av ble bli blir da de dem den denne der deres det dette din du eller en er et etter for fra ha "
    "hadde han hans har hun hva hvem hvilke hvilken hvilket hvor hvordan hvorfor i ikke jeg kan med meg men mot nar "
    "na og om opp oss over pa seg sin skal som til under ut var ved vi vil",
    "fi": "ei ella en eri han he ja jo joka jos jotka kanssa ketka kuin kuinka kuka kun me mika mikä mikka milloin "
    "minka minne missa mista mita mitka miksi miten mutta myos ne niin ole oli olivat olla on ovat se sen siina sita "
    "tai tama tassa",
    "pl": "a aby ale by byl byla bylo byly byc co czy dla do gdy gdzie go i ich ile im ja jak jaka jaki jakie jako "
    "jego jej jest kiedy kim kto ktora ktore ktory lub ma mi na nad nie o od on ona one oni po pod przez przy sa sie "
    "ta tak te tego tej to tym u w we z za ze dlaczego",
    "cs": "a aby ale ani byl byla bylo byt co do h i jak jaka jake jaky je jeho jej jejich jsou k kde kdo kdy ktera "
    "ktere ktery na nebo o od po pod podle pro proc pri s se si tak ten to u v ve z za ze kolik",
    "hu": "a az egy es hogy hogyan hol ki kik mennyi mi miert mikor milyen mit nem van volt vagy ez azt ezt meg is",
    "ro": "a al ale am ar are au ca care cand cat cate cati ce cine cu cum de din este fi fost in isi la mai nu o pe "
    "pentru prin sa sau se si sunt un una unde unei unui",
    "tr": "ama ancak bir bu cok da daha de den dir en gibi hangi hangisi icin ile ise kac kadar kim kimdir mi mu nasil "
    "ne neden nedir nerede neresi niye o olan olarak ve veya ya",
    "id": "ada adalah apa apakah atau bagaimana berapa bisa dalam dan dapat dari dengan di dimana ini itu kapan ke "
    "mana mengapa oleh pada sebagai siapa tidak untuk yang",
    "ru": "а без бы был была были было быть в вас во вот все вы где для до его ее если есть еще же за и из или им их "
    "к как какая какие какими каким каких какое какой каком какую ко когда кого кому который которая которое которые "
    "кто ли мне мы на над не него нее нет ни но о об он она они оно от по под почему при с сколько со так также там "
    "то того только том ты у уже чего чем что чтобы эта эти это этот я",
    "uk": "а або без був була були було бути в вона вони він від де для до його з за і із їх її й к коли кого котрий "
    "ми на над не ні о про під по при скільки та так також те ти то у хто це цей чи чому що щоб я як яка яке який які "
    "якого якій",
    "bg": "а в във да е за и или из как какво какъв каква как кога кой която което които къде ли на не от по при с "
    "са се си след със това той тя че що колко защо",
    "el": "α αν απο για δεν ειναι εχει η ηταν θα και κατα με να ο οι οπως ο που πως ποια ποιες ποιο ποιοι ποιος ποσα "
    "ποσες ποση ποσο ποσοι ποτε σε στη στην στις στο στον στους τα τη την της τι τις το τον του τους των γιατι",
    "ar": "ما ماذا متى من أين كيف كم لماذا هل هو هي هم في على إلى عن مع أي التي الذي الذين هذا هذه ذلك تلك أن إن كان "
    "كانت و أو ثم قد لم لن لا بين عند بعد قبل كل منذ حتى بها به فيها فيه عليها عليه لها له منها منه بماذا لمن",
    "fa": "از است این آن با بر برای به تا چه چرا چگونه چند چیست در را که کجا کدام کی کیست کسی و یا هر هم می بود شد شده",
    "he": "את של על עם אל אם או גם הוא היא הם כי לא מה מי מתי איפה היכן איך כמה למה מדוע זה זו אשר היה הייתה",
    "hi": "का के की को में से है हैं था थे थी और या पर यह वह क्या कौन कब कहाँ कैसे क्यों कितने कितना कितनी किस किसने जो तो ने भी एक",
    "zh": "什么 甚么 哪个 哪些 哪里 哪儿 哪年 哪一 多少 怎么 怎样 如何 "
    "为什么 为何 是否 请问 以及 什麼 哪個 哪裡 怎麼 為什麼 為何",
    "ja": "です ます ました とは には では どこ いつ なぜ だれ どの どれ どう なに ください でしょう",
    "ko": "무엇 무엇을 무엇인가 어디 언제 누구 누가 어떤 어떻게 왜 몇",
}


# --- scripts ---------------------------------------------------------------------------------------------------


def script_of(text: str) -> str:
    """Return the script that most letters of `text` are in ("latin", "han", "kana" …), "" without letters.

    A text with a tenth of kana is Japanese whatever the rest.
    """
    counts = Counter(filter(None, map(_script_of_char, text)))
    if not counts:
        return ""
    if counts["kana"] * 10 >= sum(counts.values()) and counts["kana"] + counts["han"] > counts["latin"]:
        return "kana"
    return counts.most_common(1)[0][0]


def script_of_language(code: str) -> str:
    """Return the script a language is written in; Latin where nothing else is known."""
    return _LANGUAGE_SCRIPT.get(code, "latin")


@cache
def _script_of_char(char: str) -> str:
    if not char.isalpha():
        return ""
    point = ord(char)
    return next((script for first, last, script in _BLOCKS if first <= point <= last), "other")


# --- languages -------------------------------------------------------------------------------------------------


def detect_language(text: str) -> str:
    """Return the ISO 639-1 code of the language that the beginning of `text` is written in, "" when unsure."""
    sample = text[:_SAMPLE_CHARS]
    script = script_of(sample)
    if not script:
        return ""
    if script in SCRIPT_LANGUAGE and script not in _SHARED_SCRIPTS:
        return SCRIPT_LANGUAGE[script]
    code, probability = _identifier().classify(sample)
    return str(code) if probability >= _SURE and code != _NO_LANGUAGE else ""


def question_languages(words: Sequence[str], library: Sequence[str] = ()) -> tuple[str, ...]:
    """Return one or two languages that a question may be in, likeliest first.

    `words` are folded words in lower case; `library` names the languages of the documents, most frequent first.
    Function words decide where they can, then what the documents are in, then the identifier.
    """
    text = " ".join(words)
    script = script_of(text)
    if script in SCRIPT_LANGUAGE and script not in _SHARED_SCRIPTS:
        return (SCRIPT_LANGUAGE[script],)
    known = [code for code in library if code and script_of_language(code) == script]
    hits = _function_word_hits(words, script)
    if hits:
        best = max(hits.values())
        leaders = sorted((c for c in hits if hits[c] == best), key=lambda c: (c not in known, c != "en", c))
        sure = best >= 2 and len(leaders) == 1
        return _first_two(leaders[:1] + known[:1] if sure else leaders[:1] + known + leaders[1:])
    if known:
        return _first_two(known)
    guess = detect_language(text)
    return _first_two([guess, SCRIPT_LANGUAGE.get(script, "en")])


def is_function_word(word: str, languages: Sequence[str]) -> bool:
    """Whether a folded word in lower case only shapes a question in one of the languages."""
    return any(word in function_words(code) for code in languages)


@cache
def function_words(language: str) -> frozenset[str]:
    """Return the function words of a language, folded; empty where none are known."""
    return frozenset(fold(word) for word in _FUNCTION_WORDS.get(language, "").split())


def _first_two(codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(code for code in codes if code))[:2]


def _function_word_hits(words: Sequence[str], script: str) -> dict[str, int]:
    codes = [code for code in _FUNCTION_WORDS if script_of_language(code) == script]
    counts = {code: sum(word in function_words(code) for word in words) for code in codes}
    return {code: count for code, count in counts.items() if count}


@cache
def _identifier() -> LanguageIdentifier:
    """The identifier with probabilities. Loading takes about a second, so nothing loads it that can do without."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # The rest are dialects and small sisters that draw short texts away from the languages with stemmers.
    identifier.set_languages([code for code in identifier.labels if len(code) == 2 or code == _NO_LANGUAGE])
    return identifier


# --- letters ---------------------------------------------------------------------------------------------------


def fold(word: str) -> str:
    """Take the accents off Latin, Greek and Cyrillic letters, and the vowel points off Arabic and Hebrew ones."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _MARKS.sub(r"\1", unicodedata.normalize("NFD", word))).translate(_FOLDED)


# Combining marks after these scripts only; in others (Hangul, kana, Devanagari) they are letters.
_MARKS = re.compile("([a-z\u0370-\u03ffеi])[\u0300-\u036f]+|[\u0610-\u061a\u064b-\u065f\u0670\u0591-\u05c7]")
_FOLDED = {
    **str.maketrans("ıøđłŀħŧßð", "iodllhtsd"),
    **{ord(a): b for a, b in (("œ", "oe"), ("æ", "ae"), ("þ", "th"))},
    **{ord(a): "ا" for a in "أإآٱ"},
    **{ord(a): "ي" for a in "ىیئ"},
    ord("ک"): "ك",
    ord("ة"): "ه",
    ord("ؤ"): "و",
    ord("ς"): "σ",
}
