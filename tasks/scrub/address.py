"""Street addresses, units, post boxes and postal codes, in the forms of many countries."""

import regex
from presidio_analyzer import Pattern, PatternRecognizer

_WORD = r"[\p{Lu}\p{Lo}][\p{L}\p{M}'’.-]*"
_ANY = r"[\p{L}\p{M}][\p{L}\p{M}'’.-]*"
_NUMBER = r"\d{1,5}(?:[-/ ]?[a-zA-Z](?![\p{L}])|[/-]\d{1,4})?"

_ENGLISH = (
    r"(?:street|st|road|rd|avenue|ave|boulevard|blvd|lane|ln|drive|dr|court|ct|place|pl|square|sq|terrace|ter|way|"
    r"parkway|pkwy|highway|hwy|circle|cir|crescent|cres|close|alley|row|walk|mews|grove|gardens|hill|rise|trail|trl|"
    r"loop|plaza|pike|turnpike|expressway|freeway|bypass|crossing|point|ridge|view|vista|landing|heights|quay|wharf)"
)
_ROMANCE = (
    r"(?:rua|r\.|avenida|avda?\.?|av\.?|travessa|praça|praca|alameda|calle|c/|plaza|paseo|camino|camiño|carretera|ctra\.?|"
    r"ronda|rúa|via|viale|vicolo|piazza|piazzale|corso|largo|strada|contrada|rue|boulevard|bd|chemin|impasse|allée|allee|"
    r"place|quai|route|cours|passage|ulica|ul\.|ulitsa|улица|ул\.|проспект|carrer|passeig|urb\.|strada|bulevardul|calea)"
)
_COMPOUND = (
    r"(?:stra(?:ß|ss)e|str\.?|gasse|weg|platz|allee|ring|damm|ufer|steig|chaussee|straat|laan|plein|steenweg|dreef|kade|"
    r"singel|gracht|plaats|lei|gata|gatan|gatu|vägen|vegur|veien|vegen|vei|vej|gade|allé|stræde|torv|plads|gränd|"
    r"stígur|holt|braut|katu|tie|kuja|polku|puiestee|mnt|tänav|maantee|iela|gatvė)"
)
_FINAL = (
    r"(?:utca|u\.|út|útja|tér|körút|köz|sétány|caddesi|cad\.|sokak|sok\.|street|ulice|ulica|trg|nám\.|náměstí|straße)"
)
_UNIT = (
    r"(?:suite|ste\.?|apt\.?|apartment|unit|flat|floor|fl\.?|room|rm\.?|building|bldg\.?|box|dept\.?|piso|puerta|"
    r"escalier|bâtiment|etage|wohnung|whg\.?|top|stiege|interno|int\.?|scala|lakás|byt|kat)"
)
_ORDINAL = r"\d{1,3}(?:st|nd|rd|th)"
_GAP = r"[ \t]*,?[ \t]*"
_LINE_GAP = r"[ \t]*,?[ \t]*\n?[ \t>?*|#-]{0,6}"

STREET = (
    rf"(?:(?<![\w.]){_NUMBER}{_GAP}(?:{_ANY}[ ]){{0,4}}?{_COMPOUND}\b"  # 12 something straat
    rf"|(?<![\w.,$€£]){_NUMBER}[ ,]+(?:(?:{_WORD}|{_ORDINAL})[ ]){{1,4}}{_ENGLISH}\b\.?"  # 12 North Main Street
    rf"|(?<![\w.,$€£]){_NUMBER}[ ,]+{_ROMANCE}[ ](?:{_ANY}[ ]?){{1,5}}"  # 12 rue de la Paix
    rf"|(?<!\p{{L}}){_ROMANCE}[ ](?:{_ANY}[ ]){{0,5}}{_ANY},?[ ]"  # Calle Mayor 12
    rf"(?:n[°ºo.]{{1,2}}[ ]?)?{_NUMBER}(?![\w%])"
    rf"|(?<!\p{{L}})(?:{_ANY}[ -]){{0,3}}\p{{L}}*{_COMPOUND}[ ]{_NUMBER}(?![\w%])"  # Hauptstraße 12
    rf"|(?<!\p{{L}})(?:{_WORD}[ ]){{1,3}}{_FINAL}[ ]{_NUMBER}(?![\w%])\.?)"  # Kossuth utca 12.
)
_TAIL = rf"(?:{_LINE_GAP}{_UNIT}[ ]?#?\d{{1,5}}[A-Za-z]?\b)"
_CITY = rf"(?:{_LINE_GAP}(?:{_WORD}[ ]?){{1,4}},?[ ](?:[A-Z]{{2}})[ ]\d{{5}}(?:-\d{{4}})?\b)"
_CODE_CITY = rf"(?:{_LINE_GAP}(?:[A-Z]{{1,2}}-)?\d{{4,6}}(?:[ ]?[A-Z]{{2}})?[ ]{_WORD}(?:[ -]{_WORD}){{0,2}})"

PATTERNS = (
    Pattern("street", rf"{STREET}{_TAIL}?(?:{_CITY}|{_CODE_CITY})?", 0.6),
    Pattern("unit", rf"(?<!\p{{L}}){_UNIT}[ ]\d{{1,5}}[A-Za-z]?(?!\w)", 0.15),
    Pattern(
        "post box",
        r"(?<!\p{L})(?:p\.?\s?o\.?\s?box|post(?:al)? box|postfach|apartado(?: postal)?|casella postale)[ ]#?\d{1,8}",
        0.7,
    ),
    Pattern(
        "military",
        r"(?<!\p{L})(?:psc|cmr|unit)[ ]\d{3,5},?[ ]box[ ]\d{1,5}(?:\s{1,3}(?:apo|fpo|dpo)[ ]a[aep][ ]\d{5})?",
        0.8,
    ),
    Pattern("ship", r"(?<!\p{L})us[nsc]{1,3}[nvs]?[ ]\p{L}{2,30}\s{1,3}(?:apo|fpo|dpo)[ ]a[aep][ ]\d{5}", 0.8),
    Pattern("military code", r"(?<!\p{L})(?:apo|fpo|dpo)[ ]a[aep][ ]\d{5}\b", 0.8),
    Pattern(
        "state and code",
        r"(?-i:(?<![\p{L}])(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|P[AR]|RI|S[CD]|"
        r"T[NX]|UT|V[AIT]|W[AIVY]))[ ]\d{5}(?:-\d{4})?(?!\d)",
        0.6,
    ),
    Pattern("british code", r"(?-i:\b(?:[A-Z]{1,2}\d[A-Z\d]?) ?\d[ABD-HJLNP-UW-Z]{2})\b", 0.3),
    Pattern("canadian code", r"(?-i:\b[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d)\b", 0.5),
    Pattern("code", r"(?<![\w.,-])\d{5}(?:-\d{4})?(?![\w-]|[.,]\d)", 0.05),
)
GATE = (
    r"\d",
    rf"(?i)\b{_ENGLISH}\b|\b{_ROMANCE}[ ]|{_COMPOUND}\b|\b{_FINAL}[ ]|\b{_UNIT}[ ]#?\d|box|apo|fpo|dpo|apartado|casella"
    r"|\d{5}|[A-Za-z]\d[A-Za-z\d]? ?\d[A-Za-z]{2}|[A-Za-z]\d[A-Za-z] ?\d[A-Za-z]\d",
)
"""For Polars: a digit, and a word or a code that an address has."""

CONTEXT = [
    *("address", "zip", "postal", "postcode", "post code", "mail to", "ship to", "deliver", "shipping", "billing"),
    *("plz", "postleitzahl", "anschrift", "adresse", "wohn", "código postal", "dirección", "code postal", "indirizzo"),
    *(
        "suite",
        "apt",
        "apartment",
        "street",
        "avenue",
        "road",
        "lives at",
        "live at",
        "located at",
        "my house",
        "moved",
    ),
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
