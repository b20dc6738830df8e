"""Street addresses, units, post boxes and postal codes, in the forms of many countries.

An address is a street line, or a line before "Apt. 5", or what follows "my address is"; a unit, places and a postal
code that follow belong to it.
"""

import regex
from presidio_analyzer import Pattern, PatternRecognizer

_WORD = r"(?-i:[\p{Lu}\p{Lo}][\p{L}\p{M}'’.-]*)"
_ANY = r"[\p{L}\p{M}][\p{L}\p{M}'’.-]*"
_PARTICLE = r"(?:d[aeiou]|d[ao]s|del|dell[ae]|des|l[ae]s?|los|el|van|von|der?|den|het|ter|aan|of|the|på|og|och|y|e|i)"
_NAME = rf"(?:(?:{_PARTICLE}|{_WORD})[ ]){{0,4}}{_WORD}"
_NUMBER = r"\d{1,5}(?:[-/ ]?[a-zA-Z](?!\p{L})|[/-]\d{1,4})?"
_ORDINAL = r"\d{1,3}(?:st|nd|rd|th)"
_START, _END = r"(?<![\w.,$€£-])", r"(?![\w%])"

_SUFFIX = (  # the street suffixes of the US Postal Service's Publication 28 that are common words too
    r"(?:bend|bluffs?|branch|bridge|brooks?|canyon|cape|causeway|centers?|centre|cliffs?|club|common|corners?|course|cove|"
    r"creek|crest|curve|dale|dam|divide|estates?|extension|falls?|ferry|fields?|flats?|fords?|forest|forges?|forks?|fort|"
    r"gateway|glens?|greens?|groves?|harbors?|haven|hills|hollow|inlet|islands?|isle|junctions?|keys?|knolls?|lakes?|"
    r"lights?|lodge|mall|manors?|meadows?|mills?|mission|motorway|mount|mountains?|neck|orchard|oval|overpass|parks?|pass|"
    r"passage|path|pines?|plains?|port|prairie|ramp|ranch|rapids?|rest|river|route|run|shoals?|shores?|skyway|springs?|"
    r"spur|station|stravenue|stream|summit|throughway|trace|track|trafficway|tunnel|underpass|union|valleys?|viaduct|"
    r"villages?|ville|walks|wall|wells?)"
)
_ENGLISH = (
    r"(?:street|st|road|rd|avenue|ave|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq|terrace|ter|way|"
    r"parkway|pkwy|highway|hwy|circle|cir|crescent|cres|close|alley|row|walk|mews|grove|gardens|hill|rise|trail|trl|"
    r"loop|plaza|pike|turnpike|expressway|freeway|bypass|crossing|point|ridge|view|vista|landing|heights|quay|wharf)"
)
_ROMANCE = (
    r"(?:rua|r\.|avenida|avda?\.?|av\.?|travessa|praça|praca|alameda|calle|c/|plaza|paseo|camino|camiño|carretera|"
    r"ctra\.?|ronda|rúa|via|viale|vicolo|piazza|piazzale|corso|largo|strada|contrada|rue|avenue|boulevard|bd|chemin|impasse|"
    r"allée|allee|place|quai|route|cours|passage|ulica|ul\.|ulitsa|улица|ул\.|проспект|carrer|passeig|urb\.|"
    r"bulevardul|calea|colonia|pasaje|pasadizo|rambla|cuesta|cañada|glorieta|callejón|acceso|vial|urbanización|barrio|"
    r"travesía|vía|c\.|quartier|square|sentier|esplanade|promenade|villa|lotissement|faubourg)"
)
_COMPOUND = (
    r"(?:stra(?:ß|ss)e|str\.|gasse|weg|platz|allee|damm|ufer|steig|chaussee|straat|laan|plein|steenweg|dreef|kade|"
    r"singel|gracht|plaats|gata|gatan|gatu|vägen|vegur|veien|vegen|gade|allé|allén|alléen|stræde|torv|plads|gränd|"
    r"stígur|bakken|braut|katu|kuja|polku|puiestee|tänav|maantee|stræti|straeti)"
)
_FINAL = (
    r"(?:utca|u\.|út|útja|tér|körút|köz|sétány|rakpart|caddesi|cad\.|sokak|sok\.|ulice|ulica|trg|nám\.|náměstí|iela|"
    r"gatvė|enparantza|kalea|tie|ring|vej|vei|väg)"
)
_STRONG_UNIT = r"(?:suite|studio|ste\.?|apt\.?|apartment|flat|wohnung|whg\.?|piso|lakás)"
_WEAK_UNIT = (
    r"(?:unit|floor|fl\.?|room|rm\.?|building|bldg\.?|dept\.?|puerta|escalier|bâtiment|etage|top|stiege|interno|int\.?|"
    r"scala|byt|kat)"
)
_UNIT_NUMBER = r"[ ]?#?\d{1,5}[A-Za-z]?(?!\w)"
_BREAK = r"[ \t]*,?[ \t]*\n?[ \t>?*|#,-]{0,6}"  # a comma, or a new line, which quoting may begin
_UNIT = rf"(?:{_BREAK}(?:{_STRONG_UNIT}|{_WEAK_UNIT}){_UNIT_NUMBER})"
_CODE = r"(?:(?-i:[A-Z]{2})[ ,]+)?(?:[A-Z]{1,2}-)?\d{4,6}(?:-\d{4}|[ ]?(?-i:[A-Z]{2})\b)?(?![\d-])"
_PLACES = (
    rf"(?:{_BREAK}\d{{4,6}}(?:[ ]?(?-i:[A-Z]{{2}})\b)?[ ]{_NAME}"  # 10115 Berlin
    rf"|(?:{_BREAK}{_NAME}){{0,3}}?(?:{_BREAK}nan)?{_BREAK}{_CODE})"  # Springfield, IL 62704
)
_REST = rf"{_UNIT}?{_PLACES}?"
_BRITISH = r"(?-i:[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}\b)"
_HOUSE = rf"(?:{_STRONG_UNIT}{_UNIT_NUMBER}[ ,]+(?:{_NUMBER}[ ,]+)?|{_START}{_NUMBER}[ ,]+)"

STREETS = (
    rf"{_START}{_NUMBER}[ ,]+(?:(?:{_WORD}|{_ORDINAL})[ ]){{1,4}}{_ENGLISH}\b\.?",  # 12 North Main Street
    rf"{_START}{_NUMBER}[ ,]+{_ROMANCE}[ ]{_NAME}(?:[ ]{_NUMBER}{_END})?",  # 12 rue de la Paix
    rf"(?<!\p{{L}})(?-i:(?=\p{{Lu}}|ul\.|c/)){_ROMANCE}[ ]{_NAME},?[ ](?:n[°ºo.]{{1,2}}[ ]?)?{_NUMBER}{_END}",
    rf"(?:{_START}{_NUMBER}[ ])?(?<!\p{{L}})(?:{_WORD}[ ]){{0,2}}[\p{{L}}-]{{2,30}}{_COMPOUND}[ ]{_NUMBER}{_END}",
    rf"(?<!\p{{L}}){_WORD}(?:[ ]{_WORD})?-(?:ring|markt|hof|berg|graben|anger|wall)[ ]{_NUMBER}{_END}",
    rf"{_START}{_NUMBER}[ ](?:{_WORD}[ ]){{0,3}}\p{{L}}{{2,30}}{_COMPOUND}\b",  # 12 Lange Dorpsstraat
    rf"(?<!\p{{L}})(?:{_WORD}[ ]){{1,3}}{_FINAL}[ ]{_NUMBER}{_END}\.?",  # Kossuth utca 12.
    rf"{_START}{_NUMBER}[ ](?:{_ANY}[ ]){{0,5}}{_ANY}(?:[ ]{_NUMBER})?(?={_BREAK}{_STRONG_UNIT}{_UNIT_NUMBER})",
    rf"(?<!\p{{L}}){_STRONG_UNIT}{_UNIT_NUMBER}[ ,]+{_NUMBER}[ ]{_NAME}(?:[ ]{_NUMBER}{_END})?",  # Apt. 5, 12 Rincon 9
)
_CUE_WORDS = (
    r"(?:address(?:es)?(?:[ ](?:is|to|at|are))?:?|liv(?:es?|ing) at|located at|(?:office|home|house) is at|"
    r"mov(?:ed|ing) to|(?:ship|deliver|send|sent|mail|forward|one)(?:p?ed)? to|meet (?:me|us|you)?[ ]?at|arrived at|"
    r"wohn(?:e|t|en|haft) in(?: der)?|vivo en(?: la)?|j'habite(?: au)?|abito in)"
)
_CUE = rf"(?<!\p{{L}}){_CUE_WORDS}\s{{1,6}}"
_STATE = (
    r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|T[NX]|UT|V[AIT]|"
    r"W[AIVY])"
)
_STATE_CODE = rf"(?-i:(?<!\p{{L}}){_STATE})[ ]\d{{5}}(?:-\d{{4}})?(?!\d)"
_MILITARY_CODE = r"[afd]po[ ]a[aep][ ]\d{5}"

PATTERNS = (
    *(Pattern(f"street {n}", street + _REST, 0.6) for n, street in enumerate(STREETS)),
    Pattern(
        "cued",
        rf"{_CUE}\K{_NUMBER}[ ,]+(?:(?:{_ANY}[ ]){{0,4}}?{_ANY}[ ]{_NUMBER}{_END}{_REST}|{_NAME}{_REST})",
        0.6,
    ),
    Pattern(
        "to its code", rf"{_HOUSE}{_NAME}{_UNIT}?(?:{_BREAK}{_NAME}){{1,3}}{_BREAK}(?:{_BRITISH}|{_STATE_CODE})", 0.7
    ),
    Pattern("common word", rf"{_START}{_NUMBER}[ ](?:{_WORD}[ ]){{1,2}}(?-i:\p{{Lu}}){_SUFFIX}\b", 0.2),
    Pattern(
        "without a number",
        rf"(?<![\p{{L}}]){_ROMANCE}[ ](?:(?:d[eu]s?|la|l[’'])[ ])*{_NAME},?[ \n]+\d{{5}}[ ]{_NAME}",
        0.6,
    ),
    Pattern("corner", rf"(?<!\p{{L}})(?:the[ ])?corner of[ ]{_NAME}(?:[ ]\d+\.?)? and[ ]{_NAME}", 0.6),
    Pattern("street without a number", rf"(?<!\p{{L}})(?:{_WORD}[ ]){{1,3}}(?-i:Street|Road|Avenue|Boulevard)\b", 0.45),
    Pattern("street in small letters", rf"{_START}\d{{1,5}} \p{{L}}{{4,20}}[ ](?:street|road|avenue|boulevard)\b", 0.3),
    Pattern("unit", rf"(?<!\p{{L}}){_STRONG_UNIT}{_UNIT_NUMBER}", 0.45),
    Pattern("weak unit", rf"(?<!\p{{L}}){_WEAK_UNIT}{_UNIT_NUMBER}", 0.1),
    Pattern(
        "post box",
        r"(?:(?<!\w)\d{1,4}[ ])?(?<!\p{L})(?:p\.?\s?o\.?\s?box|post(?:al)? ?box|postfach|postboks|apartado(?: postal)?|"
        rf"casella postale)[ ]#?\d{{1,8}}{_REST}",
        0.7,
    ),
    Pattern("military", rf"(?<!\p{{L}})(?:psc|cmr|unit)[ ]\d{{3,5}},?[ ]box[ ]\d{{1,5}}(?:\s+{_MILITARY_CODE})?", 0.8),
    Pattern(
        "military code", rf"(?<!\p{{L}})(?:us[nsc]{{1,3}}[nvs]?[ ]\p{{L}}{{2,30}}\s{{1,3}})?{_MILITARY_CODE}\b", 0.8
    ),
    Pattern("state and code", _STATE_CODE, 0.6),
    Pattern("british code", rf"\b{_BRITISH}", 0.3),
    Pattern("canadian code", r"(?-i:\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d\b)", 0.5),
    Pattern("code", r"(?<![\w.,$€£-])\d{5}(?:-\d{4})?(?![\w-]|[.,]\d)", 0.05),
)
GATE = (
    r"\d",
    rf"(?i)\b{_ENGLISH}\b|\b{_ROMANCE}[ ]|{_COMPOUND}(?:\b|[ ])|-(?:ring|markt|hof|berg|graben|anger|wall) |"
    rf"\b{_FINAL}[ ]|\b(?:{_STRONG_UNIT}|{_WEAK_UNIT})[ ]?#?\d|box|"
    rf"[afd]po |apartado|casella|corner of|{_CUE_WORDS}|"
    r"\d{5}|[A-Za-z]\d[A-Za-z\d]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d",
)
"""For Polars: a digit, and a word or a code that an address has."""

CONTEXT = [
    *("address", "zip", "postal", "postcode", "post code", "mail to", "ship to", "deliver", "shipping", "billing"),
    *("plz", "postleitzahl", "anschrift", "adresse", "wohn", "código postal", "dirección", "code postal", "indirizzo"),
    *("suite", "apt", "apartment", "street", "avenue", "road", "lives at", "live at", "located at", "my house"),
]


class AddressRecognizer(PatternRecognizer):
    """Addresses by the words for streets, units and boxes that they are written with."""

    def __init__(self) -> None:
        super().__init__(
            "ADDRESS",
            name="AddressRecognizer",
            patterns=list(PATTERNS),
            context=CONTEXT,
            global_regex_flags=regex.IGNORECASE,
        )
