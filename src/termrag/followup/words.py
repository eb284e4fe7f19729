"""The words by which a question shows that it leans on what was said before it, for each language.

Regular expressions read a question's plain form: lower case, accents folded, one space for all that is no word.
"""

from __future__ import annotations

from dataclasses import dataclass


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


@dataclass(frozen=True, slots=True)
class Words:
    """One language's.

    `ands` and `abouts` join a fragment to what was asked, `ifs` a condition; `corrections` put it right. `pronouns` are
    spelled with their accents: "él" stands for something, "el" does not. `pointers` stand for something said where no
    noun follows, `determiners` where one does; `times` are what "this year" points at: the calendar. `verbs` make a
    whole question of a few words, `joins` begin a clause whose pronoun may mean what stands before it. `leaning` are
    words that need something to lean on ("later"). `idle` is where a pronoun stands for nothing ("is it allowed to").
    """

    ands: frozenset[str]
    abouts: str
    ifs: str
    corrections: str
    again: str  # the same for something else
    more: str
    pronouns: frozenset[str]
    pointers: frozenset[str]
    determiners: frozenset[str]
    times: frozenset[str]
    verbs: frozenset[str]
    joins: frozenset[str]
    whys: str
    leaning: frozenset[str]
    idle: str
    prepositions: frozenset[str]
    articles: frozenset[str]
    ordinals: tuple[frozenset[str], ...]  # first, second … tenth
    last: frozenset[str]
    things: frozenset[str]  # what "the second" may be one of
    sources: frozenset[str]  # the same, where it is a document
    in_language: str  # "in German"


_ENGLISH = Words(
    ands=_set("and or but also plus"),
    abouts=r"(?:what|how) about",
    ifs=r"what if",
    corrections=r"(?:no |sorry )*i mean(?:t)?|rather|or rather",
    again=r"(?:the )?same(?: again| question| thing)? (?:for|with|about)|ditto (?:for|with)",
    more=r"(?:(?:please )?tell me |show me |say |some |a (?:little|bit) |any(?:thing)? )?more"
    r"(?: (?:about|on) (?:it|that|this|them))?(?: details?)?(?: please)?|go on|continue|(?:in )?(?:more )?details?|"
    r"elaborate|(?:please )?explain(?: (?:it|that|this))?(?: please)?|really|are you sure|(?:what|anything) else",
    pronouns=_set("it its they them their theirs he him his she her hers"),
    pointers=_set("this that these those"),
    determiners=_set("this that these those"),
    verbs=_set("is are was were be do does did has have had can could will would may might must should shall"),
    joins=_set("if when because while and or that which who after before until than where whether as"),
    times=_set("year month week day morning afternoon evening night season summer winter spring autumn time today"),
    whys=r"why",
    leaning=_set("later earlier afterwards instead otherwise there then latter former others both none"),
    idle=r"\bit (?:takes?|costs?|true|possible|allowed|permitted|forbidden|safe|necessary|better|easy|hard|worth)\b"
    r".* (?:to|that|if|for|from|before)\b|\bwhat time is it\b|\bit (?:rains?|snows?)\b|"
    r"\b(?:is|are|was|were|be) there (?=\w)|\bthere (?:is|are|was|were|will)\b|\b(?:later|earlier) than (?!that)",
    prepositions=_set(
        "in on at for from to since until till before after during by with without of about between "
        "near above below under over per as"
    ),
    articles=_set("the a an"),
    ordinals=tuple(
        map(
            _set,
            (
                "first 1st",
                "second 2nd",
                "third 3rd",
                "fourth 4th",
                "fifth 5th",
                "sixth 6th",
                "seventh 7th",
                "eighth 8th",
                "ninth 9th",
                "tenth 10th",
            ),
        )
    ),
    last=_set("last final"),
    things=_set(
        "one ones item items point points step steps option options reason reasons thing things part parts "
        "of them these those"
    ),
    sources=_set("source sources document documents file files passage passages result results text texts"),
    in_language=r"(?:and )?(?:now )?(?:(?:please )?(?:say|answer|repeat|translate) (?:it|that|this) )?(?:in|into) "
    r"(english|german|french|spanish|italian|dutch|portuguese|polish|swedish|danish|chinese|japanese|russian|arabic)"
    r"(?: please)?",
)
_GERMAN = Words(
    ands=_set("und oder aber auch sowie"),
    abouts=r"was ist(?: denn)? mit|wie (?:ist|steht|sieht) es (?:denn )?(?:mit|bei|in|im|am)",
    ifs=r"was (?:ist|passiert) wenn",
    corrections=r"(?:nein |entschuldigung )*ich mein(?:t)?e|nein|vielmehr|besser gesagt",
    again=r"(?:und )?(?:die|das) ?(?:selbe|gleiche)(?: frage)? (?:fur|mit|bei)",
    more=r"(?:erzahl mir |sag mir |noch |etwas )?mehr(?: dazu| daruber| davon)?(?: bitte)?|weiter|genauer|"
    r"(?:mehr )?(?:details|einzelheiten)|erklar(?:e)? (?:das|es)|wirklich|bist du sicher|(?:und )?was noch|"
    r"und weiter|sonst noch etwas",
    pronouns=_set("er sie es ihn ihm ihr ihre ihrer ihren ihrem ihnen sein seine seiner seinen seinem deren dessen"),
    pointers=_set("das dies"),
    determiners=_set("diese dieser dieses diesem diesen jene jener jenes"),
    verbs=_set(
        "ist sind war waren wird werden wurde wurden hat haben hatte hatten kann konnen gibt gab soll muss darf"
    ),
    joins=_set("wenn weil wahrend und oder dass ob bevor nachdem bis obwohl falls sobald als"),
    times=_set("jahr monat woche tag morgen abend nacht jahres monats mal sommer winter zeit"),
    whys=r"warum|wieso|weshalb",
    leaning=_set(
        "spater fruher davor danach vorher nachher stattdessen sonst dort da dann davon dafur darin daran "
        "dazu damit darauf daruber dabei dadurch beide beiden"
    ),
    idle=r"\b(?:davor|danach|spater) als\b|"
    r"\b(?:gibt|gab) es\b|\bes (?:gibt|gab)\b|\bes\b.* zu \w+|\bes\b.* (?:dass|ob|wenn)\b|\bwie spat ist es\b",
    prepositions=_set(
        "in im an am auf fur von vom aus seit bis vor nach wahrend bei beim mit ohne uber zwischen "
        "unter um pro zu zum zur"
    ),
    articles=_set("der die das den dem des ein eine einen einem einer eines"),
    ordinals=tuple(
        _set(" ".join(stem + end for end in ("e", "er", "es", "en", "em")))
        for stem in ("erst", "zweit", "dritt", "viert", "funft", "sechst", "siebt", "acht", "neunt", "zehnt")
    ),
    last=_set("letzte letzter letztes letzten letztem"),
    things=_set("punkt punkte schritt schritte grund grunde moglichkeit ding teil von ihnen davon"),
    sources=_set("quelle quellen dokument dokumente dokuments datei textstelle stelle text"),
    in_language=r"(?:und )?(?:bitte )?(?:jetzt )?(?:noch einmal )?auf (deutsch|englisch|franzosisch|spanisch|"
    r"italienisch|niederlandisch|portugiesisch|polnisch|chinesisch|japanisch|russisch|arabisch)(?: bitte)?",
)
_FRENCH = Words(
    ands=_set("et ou mais aussi"),
    abouts=r"(?:et )?(?:qu en est il|quid) (?:de|du|des|d)",
    ifs=r"(?:et )?si|qu est ce qui se passe si",
    corrections=r"(?:non |pardon )*je voulais dire|non|plutot",
    again=r"(?:et )?(?:la )?meme (?:chose|question) (?:pour|avec)|pareil (?:pour|avec)",
    more=r"(?:dis m en |dites m en |dis moi |un peu |encore )?plus(?: de details)?|continue|(?:plus de |des )details|"
    r"explique(?:z)?(?: cela| ca)?|vraiment|quoi d autre|et quoi encore",
    pronouns=_set("il elle ils elles lui leur leurs son sa ses"),
    pointers=_set("cela ca ceci celui celle ceux celles"),
    determiners=_set("cet cette ces"),
    verbs=_set("est sont etait etaient a ont avait avaient peut peuvent fait faut doit sera"),
    joins=_set("si quand parce que qui et ou lorsque pendant apres avant puisque"),
    times=_set("annee mois semaine jour matin soir nuit fois ete hiver"),
    whys=r"pourquoi",
    leaning=_set("ensuite autrement alors y"),
    idle=r"\b(?:il y a|y a t il|n y a|y avait il|il faut|faut il|il fait|il est \w+ de|est il \w+ de)\b|"
    r"\bquelle heure est il\b",
    prepositions=_set(
        "en a au aux dans pour de du des depuis jusqu avant apres pendant chez avec sans sur entre sous par vers"
    ),
    articles=_set("le la les l un une des"),
    ordinals=tuple(
        map(
            _set,
            (
                "premier premiere",
                "deuxieme second seconde",
                "troisieme",
                "quatrieme",
                "cinquieme",
                "sixieme",
                "septieme",
                "huitieme",
                "neuvieme",
                "dixieme",
            ),
        )
    ),
    last=_set("dernier derniere derniers dernieres"),
    things=_set("point points etape etapes raison raisons chose choses partie d entre eux elles"),
    sources=_set("source sources document documents fichier fichiers passage passages texte"),
    in_language=r"(?:et )?(?:maintenant )?en (francais|anglais|allemand|espagnol|italien|neerlandais|portugais|"
    r"polonais|chinois|japonais|russe|arabe)(?: s il (?:te|vous) plait)?",
)
_SPANISH = Words(
    ands=_set("y e o pero tambien"),
    abouts=r"(?:y )?que (?:tal|hay de|pasa con)",
    ifs=r"(?:y )?si|(?:y )?que (?:pasa|ocurre) si",
    corrections=r"(?:no |perdon )*(?:quise|queria|quiero) decir|no|mejor dicho",
    again=r"(?:y )?lo mismo (?:para|con)",
    more=r"(?:dime |cuentame |un poco |algo )?mas(?: detalles| sobre (?:eso|esto|ello))?|continua|sigue|detalles|"
    r"explica(?: eso)?|de verdad|que mas",
    pronouns=_set("él ella ello ellos ellas"),
    pointers=_set("eso esto aquello"),
    determiners=_set("ese esa este esta esos esas estos estas"),
    verbs=_set("es son era eran esta estan fue fueron ha han hay tiene tienen puede pueden debe"),
    joins=_set("si cuando porque que y o donde aunque mientras"),
    times=_set("ano mes semana dia manana tarde noche vez verano invierno"),
    whys=r"por que|porque",
    leaning=_set("despues luego entonces alli ahi ambos lo le les su sus suyo"),
    idle=r"\blo (?:que|mas|menos)\b|\b(?:antes|despues) de\b",
    prepositions=_set("en a al para por de del desde hasta antes despues durante con sin sobre entre bajo segun"),
    articles=_set("el la los las un una unos unas"),
    ordinals=tuple(
        map(
            _set,
            (
                "primero primera primer",
                "segundo segunda",
                "tercero tercera tercer",
                "cuarto cuarta",
                "quinto quinta",
                "sexto sexta",
                "septimo septima",
                "octavo octava",
                "noveno novena",
                "decimo decima",
            ),
        )
    ),
    last=_set("ultimo ultima ultimos ultimas"),
    things=_set("punto puntos paso pasos razon razones cosa cosas parte de ellos ellas"),
    sources=_set("fuente fuentes documento documentos archivo archivos fichero pasaje pasajes texto"),
    in_language=r"(?:y )?(?:ahora )?en (espanol|ingles|aleman|frances|italiano|neerlandes|portugues|polaco|chino|"
    r"japones|ruso|arabe)(?: por favor)?",
)
_TABLES = {"en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH}

# Chinese and Japanese: a question that begins or ends so, or is so short, leans on the last one.
UNSPACED_LEANING = (
    r"\A(?:那么|那|还有|另外|它|他|她|这|为什么|为何|怎么|然后|それ|その|では|なぜ|じゃあ|彼)|(?:呢)[？?]?\Z"
)

_MONTHS = (
    "january jan januar janvier enero",
    "february feb februar fevrier febrero",
    "march mar marz mars marzo",
    "april apr avril abril",
    "may mai mayo",
    "june jun juni juin junio",
    "july jul juli juillet julio",
    "august aug aout agosto",
    "september sep sept septembre septiembre setiembre",
    "october oct okt oktober octobre octubre",
    "november nov novembre noviembre",
    "december dec dez dezember decembre diciembre",
)
MONTHS = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
WEEKDAYS = _set(
    "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays "
    "sundays weekdays weekends montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag montags dienstags "
    "mittwochs donnerstags freitags samstags sonntags lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes "
    "miercoles jueves viernes sabado sabados domingo domingos"
)
SEASONS = _set(
    "spring summer autumn fall winter fruhling fruhjahr sommer herbst printemps ete automne hiver primavera verano "
    "otono invierno"
)
# The day or year beside the one that was spoken of: the words, and how far.
BESIDE = (
    (
        r"(?:the )?(?:next|following) (day|year)|(?:the )?(day|year) after(?: that)?|(?:am )?(?:nachsten|folgenden) "
        r"(tag)|(?:im )?(?:nachsten|folgenden) (jahr)|(?:le )?(jour) suivant|l (annee) suivante|"
        r"(?:el )?(dia) siguiente|(?:el )?(ano) siguiente",
        1,
    ),
    (
        r"(?:the )?(?:previous|preceding) (day|year)|(?:the )?(day|year) before(?: that)?|(?:am )?(tag) davor|"
        r"(?:im )?(jahr) davor|(?:le )?(jour) precedent|l (annee) precedente|(?:el )?(dia) anterior|(?:el )?(ano) "
        r"anterior",
        -1,
    ),
)
YEARS = frozenset({"year", "jahr", "annee", "ano"})


def tables() -> tuple[Words, ...]:
    return tuple(_TABLES.values())


def words_of(language: str) -> Words:
    """The table of a language; English where there is none."""
    return _TABLES.get(language, _ENGLISH)
