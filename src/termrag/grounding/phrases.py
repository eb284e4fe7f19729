"""What an answer says about itself rather than about the documents: greetings, introductions, admissions; by rule."""

from __future__ import annotations

import re

_NOUN = (
    r"(?:(?:given|provided|above|following|supplied|available|retrieved)\s+)?(?:passages?|documents?|texts?|contexts?|"
    r"excerpts?|sources?|information|materials?|files?|articles?|manuals?|reports?|guides?|snippets?)"
)
_NUMBERED = r"(?:\s*[\[(]?\s*\d{1,2}\s*[\])]?(?:\s*(?:,|and|&)\s*[\[(]?\d{1,2}[\])]?)*)?"
_META = re.compile(
    rf"\s*(?:"
    rf"(?:according to|based on|as (?:stated|mentioned|described|noted|shown) in|as per|per|from|"
    rf"in)\s+(?:the\s+|your\s+)?"
    rf"{_NOUN}{_NUMBERED}(?:\s+(?:provided|given|above))?\s*[,:]\s*"
    rf"|(?:the\s+|your\s+){_NOUN}{_NUMBERED}\s+(?:also\s+)?(?:states?|says?|mentions?|notes?|explains?|"
    rf"indicates?|shows?|"
    rf"describes?|reports?)(?:\s+that|:)\s+"
    rf"|(?:passage|source|document){_NUMBERED}\s+(?:states?|says?|mentions?|notes?|explains?|"
    rf"indicates?)(?:\s+that|:)\s+"
    rf"|(?:laut|gemäß|nach)\s+(?:dem|der|den)\s+(?:\w+\s+)?(?:text\w*|dokument\w*|passagen?|auszug|unterlagen|"
    rf"quellen?)\s*,?\s*"
    rf"|(?:selon|d['’]après)\s+(?:le|la|les|ce)\s+(?:\w+\s+)?(?:passages?|documents?|textes?|extraits?|sources?)\s*,\s*"
    rf"|según\s+(?:el|la|los|las)\s+(?:\w+\s+)?(?:pasajes?|documentos?|textos?|fuentes?)\s*,\s*"
    rf"|secondo\s+(?:il|la|i|le)\s+(?:\w+\s+)?(?:passagg\w|document\w|test\w|font\w)\s*,\s*"
    rf"|(?:根据|根據)[^，,]{{0,8}}(?:文件|文档|文檔|段落|资料|資料|内容|文本|材料)[^，,]{{0,4}}[，,]\s*"
    rf"|(?:وفقا|وفقًا|بحسب|حسب)\s+\S{{0,10}}\s*(?:النص|الوثيقة|المستند|المقطع|الوثائق|النصوص)\s*[،,]\s*"
    rf"|(?:yes|no|ja|nein|oui|sí|si|sì|non|sure|certainly|of course|是的?|不是?|对|نعم|لا)\s*[,，،.:]\s+"
    rf"|(?:the answer is|answer|antwort|réponse|respuesta|risposta)\s*[:]\s*"
    rf"|(?:是的|不是|对)[，,。]\s*"
    rf")+",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"^\s*(?:>\s*)*(?:[-*•+–]\s+(?:\[[ xX]\]\s+)?|\d{1,3}[.)]\s+|[a-zA-Z][.)]\s+|#{1,6}\s+)?")
_SMALL_TALK = re.compile(
    r"(?:hello|hi|hey|greetings|good (?:morning|day|evening)|thanks?(?: you)?|you'?re welcome|great question|"
    r"understood|i (?:hope|trust) (?:this|that|it)|hope (?:this|that|it)|let me know|feel free|"
    r"please (?:let me|feel free)|"
    r"if you (?:have|need|want|would like) (?:any|more|further|to know)|is there anything|i(?:'m|"
    r" am) (?:happy|glad|here)|"
    r"i(?:'d| would) be (?:happy|glad)|i can help|i(?:'ll| will)|as an ai|here (?:is|are)|here's|hallo|"
    r"guten (?:tag|morgen|abend)|"
    r"vielen dank|danke|gerne|hier (?:ist|sind)|ich hoffe|bonjour|merci|voici|j'espère|hola|gracias|"
    r"espero que|ciao|grazie|spero che|"
    r"你好|您好|好的|谢谢|希望|以下是|مرحبا|شكرا|آمل)(?![^\W_](?<![^\x00-\x7f]))",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(r"[:：]\s*[*_]*\s*\Z")

_WHOSE = (
    r"(?:the|your|these|those|any of the|none of the|this)?\s*(?:(?:given|provided|above|supplied|available|"
    r"retrieved|numbered)\s+)?"
    r"(?:passages?|documents?|texts?|contexts?|excerpts?|sources?|information|materials?|files?|snippets?)"
    r"(?:\s+(?:provided|given|above|supplied))?"
)
_SAYS = (
    r"(?:say|state|mention|contain|provide|include|specify|give|answer|discuss|address|indicate|tell|explain|describe|"
    r"have|offer|cover|list|name)s?"
)
_REFUSALS = re.compile(
    rf"\b{_WHOSE}\s+(?:do(?:es)?\s*n[o'’]t|do(?:es)?\s+not|did\s+not|didn['’]t|cannot|can['’]t)\s+"
    rf"(?:(?:explicitly|directly|specifically|clearly|seem to|appear to|actually)\s+)*{_SAYS}\b"
    rf"|\bnone of the (?:given |provided |supplied )?(?:passages|documents|texts|sources|excerpts)\s+{_SAYS}\b"
    rf"|\bi\s+(?:do\s*n[o'’]t|do not|cannot|can['’]t|could\s*n[o'’]t|could not|was unable|am unable|"
    rf"am not able|was not able|'m unable|am not sure)\s*"
    rf"(?:to\s+)?(?:know|find|answer|determine|provide|say|tell|locate|see|give|confirm|have (?:enough |any |"
    rf"that |the |this )?(?:\w+ )?information|$)"
    rf"|\bi['’]m (?:sorry|unable|not (?:sure|able))\b|\bunable to (?:find|answer|determine|provide)\b"
    rf"|\bthere (?:is|was) (?:no|not enough|not any|insufficient) (?:\w+ ){{0,2}}(?:information|mention|answer|"
    rf"detail|details|evidence|reference|data)\b"
    rf"|\b(?:no|not enough|insufficient) (?:\w+ )?information (?:is |was )?(?:given|provided|available|found|"
    rf"to answer)\b"
    rf"|\b(?:is|are|was|were)(?:\s+not|n['’]t)\s+(?:\w+\s+)?(?:mentioned|stated|specified|provided|given|found|"
    rf"answered|"
    rf"included|available|contained|discussed|addressed|present|known|clear)\s+(?:in|by|from|within)\s+{_WHOSE}"
    rf"|\bnot (?:mentioned|stated|specified|provided|found|given|answered|available) in {_WHOSE}"
    rf"|\A\s*(?:(?:it|this|that) (?:is|was)(?: not|n['’]t) (?:mentioned|stated|specified|provided|known|given|clear)|"
    rf"not (?:mentioned|stated|specified|provided|found|given|known)|unknown|n/a|no answer|not in (?:your|"
    rf"the) documents)[.!]?\s*\Z"
    r"|\b(?:die|den|der|in den)\s+(?:\w+\s+)?(?:textstellen|dokumente\w*|texte\w*|passagen|quellen|auszüge\w*|"
    r"unterlagen)\b.{0,60}\b"
    r"(?:nicht|keine?n?)\b.{0,60}\b(?:erwähn\w*|enthalten|angegeben|genannt|hervor|beantwort\w*|angaben?|"
    r"information\w*|antwort)\b"
    r"|\b(?:ich weiß (?:es )?nicht|das weiß ich nicht|keine (?:angaben?|informationen?|"
    r"antwort)\b.{0,40}\b(?:gefunden|enthalten|vorhanden|dokument\w*|text\w*))"
    r"|\b(?:text|dokument|passage)\s+(?:enthält|nennt|erwähnt|sagt)\b.{0,40}\b(?:nicht|keine?n?)\b"
    r"|\bles?\s+(?:passages?|documents?|textes?|extraits?|sources?)\b.{0,30}\bne\s+\w+\s+(?:pas|aucune?)\b|"
    r"\bje ne (?:sais|peux) pas\b"
    r"|\b(?:n['’]est|ne sont) pas (?:mentionnée?s?|indiquée?s?|précisée?s?)\b|\baucune information\b"
    r"|\bno (?:lo )?sé\b|\b(?:los|el) (?:pasajes?|documentos?|textos?) no\b|\bno se (?:menciona|indica|especifica)\b"
    r"|\bnon (?:lo )?so\b|\b(?:i|il) (?:passagg\w|document\w|test\w) non\b"
    r"|(?:没有|未|沒有|并未|並未)(?:\w{0,4})(?:提到|提及|说明|說明|提供|包含|指出)|(?:不知道|无法回答|"
    r"無法回答|无法确定|找不到)"
    r"|(?:لا|لم)\s+(?:ت|ي)(?:ذكر|حتوي|شر|تضمن)|لا أعرف|لا توجد معلومات|لا أستطيع",
    re.IGNORECASE,
)
_HOWEVER = re.compile(
    r"[,;]?\s*\b(?:but|however|although|though|nevertheless|aber|jedoch|allerdings|mais|cependant|pero|"
    r"sin embargo|ma|tuttavia)\b[,:]?\s+|但(?:是)?[，,]?",
    re.IGNORECASE,
)
# As many content words after "but" make a claim of their own.
_CLAIM_CHARS = 12


def claim_of(sentence: str) -> str:
    """The part of a sentence that claims something: without list marks, "According to the document," and "Yes,"."""
    text = _MARKUP.sub("", sentence, count=1).strip()
    meta = _META.match(text)
    return text[meta.end() :] if meta and meta.end() < len(text) else text


def says_not_found(sentence: str) -> bool:
    """Whether a sentence admits that the passages hold no answer."""
    return bool(_REFUSALS.search(_plain(sentence)))


def beyond_admission(sentence: str) -> str:
    """What an admission goes on to claim after "but"; empty if nothing."""
    match = _REFUSALS.search(sentence)
    turn = _HOWEVER.search(sentence, match.end()) if match else None
    rest = sentence[turn.end() :].strip() if turn else ""
    return rest if len(rest) >= _CLAIM_CHARS and not says_not_found(rest) else ""


def is_introduction(sentence: str) -> bool:
    """A heading, a rule, or words that only announce what follows: "Here is a list:"."""
    text = sentence.strip()
    is_heading = bool(re.match(r"#{1,6}\s", text)) or bool(re.fullmatch(r"(?:\*\*|__)[^*_]{1,60}(?:\*\*|__):?", text))
    is_rule = bool(re.fullmatch(r"[\W_]*", text))
    return is_heading or is_rule or bool(_INTRODUCTION.search(text))


def names_columns(sentence: str, before: str) -> bool:
    """The first row of a table, if it states no figure; `before` is the sentence before it."""
    row = sentence.strip()
    is_first = row.startswith("|") and row.endswith("|") and not before.strip().startswith("|")
    return is_first and not any(char.isdigit() for char in row)


def is_small_talk(sentence: str) -> bool:
    """Whether a sentence opens as a greeting or a courtesy does."""
    return bool(_SMALL_TALK.match(_MARKUP.sub("", sentence, count=1).strip()))


def is_question(sentence: str) -> bool:
    return sentence.rstrip().rstrip("\"'”’»)*_").endswith(("?", "？", "؟"))


def _plain(sentence: str) -> str:
    return sentence.replace("\u2019", "'").strip()
