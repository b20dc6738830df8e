"""People by the words around their names: titles, greetings, closings and introductions of several languages.

It adds to the name engines, which miss short texts and small letters most.
"""

import regex
from presidio_analyzer import Pattern, PatternRecognizer

_CAPITAL = r"(?-i:\p{Lu}[\p{L}\p{M}'’-]+|\p{Lu}\.)"
_FULL = rf"{_CAPITAL}(?:[ ](?:(?:van|von|der?|den|di|da|dos?|del|la|le|bin|al|ter)[ ])*{_CAPITAL}){{0,3}}"
_SMALL = r"[\p{L}\p{M}'’-]{2,20}"
_NO_NAME = (
    r"(?!(?:the|a|an|not|no|so|very|really|just|all|also|it|this|that|there|here|my|your|our|sir|madam|customer|team|"
    r"support|user|friend|friends|everyone|everybody|guys|folks|reader|colleagues?|you|i|we|he|she|they|and|or|but|in|on|at|"
    r"to|for|of|is|are|was|be|what|who|how|why|when|where|correct|listed|required|called|missing|wrong|unknown|sorry|sure|"
    r"fine|going|trying|looking|having|using|from|with|by|as|if|do|does|did|can|will|again|back|world|hiring|manager|"
    r"assistant|chatgpt|siri|alexa|bot|claude|bard|gemini|please|thanks|thank|help|hello|hi|hey|santa|diary|god|lord)\b)"
)
_TITLE = (
    r"(?:mr|mrs|ms|mx|dr|prof|professor|miss|mister|sir|lady|herrn?|frau|señora?|senhora?|sra?|dña?|don|doña|monsieur|"
    r"madame|mme|mlle|signora?|sig|dott|meneer|mevrouw|dhr|mevr)"
)
_DEGREE = r"(?:,?[ ](?:M\.?D|Ph\.?D|DVM|DDS|Esq|Jr|Sr|MBA|CPA|RN|II|III|IV)\b\.?)"
_CLOSING = (
    r"(?:(?:best|kind|warm|many)?[ ]?(?:regards|wishes|thanks)|sincerely(?: yours)?|yours (?:truly|sincerely)|"
    r"cheers|best|love|take care|see you(?: soon)?|all the best|mit (?:freundlichen|besten|lieben) grüßen|"
    r"(?:(?:viele|liebe|beste|herzliche|schöne) )?grüße|gruß|"
    r"bis bald|lg|vg|(?:bien )?cordialement|bien à vous|à bientôt|amicalement|bises|bisous|"
    r"saludos(?: cordiales)?|atentamente|un (?:cordial )?saludo|"
    r"(?:un )?abrazos?|besos|hasta pronto|cordiali saluti|distinti saluti|atenciosamente|abraços|"
    r"met vriendelijke groet)"
)
_STRONG_INTRODUCTION = (
    r"(?:my (?:(?:first|last|full|middle|maiden|family) )?name(?:'s| is)|maiden name is|calls? me|named (?:him|her)|"
    r"ich heiße|mein name ist|je m'appelle|me llamo|mi nombre es|mi chiamo|meu nome é|mijn naam is|ik heet)"
)
_INTRODUCTION = (
    rf"(?:{_STRONG_INTRODUCTION}|(?:my|his|her|their|first|last|full|middle|maiden|family|legal|real)[ ]?names?"
    r"(?:'s| is| was| are)|name is|name'?s|called me|i(?:'m| am) called|named (?:it|them)|this is|ich bin|mon nom est|"
    r"je suis|soy|sono|il mio nome è|(?:eu )?me chamo|ik ben)"
)
_FAMILY = (
    r"daughter|son|wife|husband|mother|father|mom|dad|brother|sister|uncle|aunt|cousin|nephew|niece|boyfriend|"
    r"girlfriend|fiancée?|partner|grandmother|grandfather"
)
_OWNED = rf"(?:{_FAMILY}|address|phone|email|birthday|passport|social security)"
_SAID = r"(?:says|said|asks|asked|replies|replied|shouts|shouted|whispered|answered|wrote|added|explained)"

_RELATIVE = (
    rf"(?:{_FAMILY}|friend|boss|colleague|neighbou?r|doctor|"
    r"(?:mein|dein|sein|ihr|unser|eure?)(?:e[mnrs]?)? (?:nachbar|kolleg|freund|chef|mann|frau|sohn|tochter|bruder|"
    r"schwester|mutter|vater|partner|tante|onkel|arzt|ärzt)(?:e|en|n|in)?|"
    r"(?:mon|ma|ton|ta|son|sa|notre|votre) (?:voisine?|collègue|amie?|chef|mari|femme|fils|fille|frère|sœur|mère|père|"
    r"cousine?|médecin)|"
    r"(?:mi|tu|su|nuestr[oa]) (?:vecin[oa]|compañer[oa]|amig[oa]|jef[ea]|marido|mujer|hij[oa]|herman[oa]|madre|padre|"
    r"prim[oa]|médic[oa]|novi[oa]))"
)
_GREETING = (
    r"(?:hi|hello|hey|dear|hola|hallo|lieber?|sehr geehrter?|bonjour|cher|chère|ciao|caro|cara|estimad[oa]|querid[oa]|"
    r"olá|beste|geachte)"
)
_ALONE = r"(?=[ ]*(?:[.,!?\n]|$))"
_NAMED, _SMALL_NAME = rf"{_NO_NAME}\K{_FULL}", rf"{_NO_NAME}{_SMALL}"

PATTERNS: tuple[tuple[str, str, float, str], ...] = (
    ("title", rf"(?<!\p{{L}}){_TITLE}\.?[ ]{_FULL}{_DEGREE}?", 0.7, rf"\b{_TITLE}\b"),
    (
        "title, small",
        rf"(?<!\p{{L}})(?:mr|mrs|ms|dr|prof)\.[ ]{_SMALL_NAME}(?:[ ]{_SMALL_NAME})?",
        0.45,
        r"\b(?:mr|mrs|ms|dr|prof)\.",
    ),
    ("degree", rf"(?<!\p{{L}}){_FULL}(?-i:{_DEGREE})", 0.45, rf"{_DEGREE}"),
    ("introduction", rf"(?<!\p{{L}}){_INTRODUCTION}:?[ ]{_NAMED}{_DEGREE}?", 0.6, rf"\b{_INTRODUCTION}:?[ ]"),
    (
        "introduction, small",
        rf"(?<!\p{{L}}){_STRONG_INTRODUCTION}:?[ ]\K{_SMALL_NAME}(?:(?:[ ]{_SMALL_NAME})?{_ALONE}|(?= and| but))",
        0.5,
        rf"\b{_STRONG_INTRODUCTION}:?[ ]",
    ),
    ("relative", rf"(?<!\p{{L}}){_RELATIVE}(?:'s name)?(?:[ ]is|,|:)?[ ]{_NAMED}", 0.5, rf"\b{_RELATIVE}\b"),
    ("in a comment", r"\b(?-i:TODO|FIXME|XXX|HACK)\(\K[^\W\d][\w .@-]{1,30}(?=\))", 0.6, r"(?:todo|fixme|xxx|hack)\("),
    ("greeting", rf"(?<!\p{{L}}){_GREETING}[ ]{_NAMED}(?=[ ]*[,!:.\n])", 0.5, rf"\b{_GREETING}[ ]"),
    (
        "closing",
        rf"(?:^|[\n.!?])[ \t]*{_CLOSING}[ \t]*[,.!]?[ \t]*\n\s*{_NAMED}(?=\s*(?:\n|$))",
        0.6,
        rf"\b{_CLOSING}[ \t]*[,.!]?[ \t]*\n",
    ),
    ("owner", rf"(?<!\p{{L}}){_NAMED}(?=\\?['’]s[ ]{_OWNED}\b)", 0.5, rf"['’]s[ ]{_OWNED}\b"),
    ("speaker", rf"[\"”'][ ]{_SAID}[ ]{_NAMED}", 0.5, rf"[\"”'][ ]{_SAID}[ ]"),
    (
        "spoken to",
        rf"(?:^|\n){_NAMED}(?=, (?:can|could|would|will|please|do|did|are|is) )",
        0.45,
        r", (?:can|could|would|will|please|do|did|are|is) ",
    ),
)
"""Name, pattern and score of each, and what a paragraph must hold for Polars to open its gate."""


def recognizers() -> list[tuple[PatternRecognizer, str]]:
    """A recognizer of each pattern, and its gate."""
    return [
        (
            PatternRecognizer(
                "PERSON",
                name=f"PersonRecognizer, {name}",
                patterns=[Pattern(name, pattern, score)],
                global_regex_flags=regex.IGNORECASE,
            ),
            f"(?i){gate}",
        )
        for name, pattern, score, gate in PATTERNS
    ]
