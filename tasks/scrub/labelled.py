"""Values that a label says what they are: lines of forms (`City: Ulm`), rows of tables, columns under a heading.

Words around a value tell the other recognizers what it is; in a table the word stands lines above, and in a form there
is no sentence for a name engine to read.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import regex
from presidio_analyzer import EntityRecognizer, RecognizerResult

SCORE = 0.6
DELIMITERS = ",;\t|"
MOST_LABEL, MOST_VALUE = 40, 160  # characters


@dataclass(frozen=True)
class Kind:
    """What a label announces, and the form that a value must have: `name: my-package` is no person's."""

    entity: str
    labels: str
    value: "regex.Pattern[str]"


_CAPITALS = r"\p{Lu}[\p{L}\p{M}'’.-]*"
_NAMES = regex.compile(
    rf"(?:{_CAPITALS}|\p{{Lu}}\.)(?:,? (?:(?:van|von|der?|den|di|da|dos?|del|la|le|y|bin|al) )*{_CAPITALS}){{0,4}}"
)
_PLACE = regex.compile(rf"{_CAPITALS}(?:[ -](?:\p{{Ll}}{{1,4}}[ -])?{_CAPITALS}){{0,4}}")
KINDS = (
    Kind(
        "PERSON",
        r"(?:(?:full|first|last|given|family|middle|maiden|customer|client|patient|employee|contact|recipient|"
        r"card ?holder|account|user|owner|sender|guest|your|billing|shipping)[ _]?)?names?|surname|"
        r"customer|client|patient|employee|"
        r"recipient|card ?holder|policy ?holder|insured|emergency contact|contact(?: person)?|"
        r"(?:vor|nach|familien|kunden|geburts)name|kundin|kunde|versicherte[rn]?|patientin|ansprechpartner(?:in)?|"
        r"nom(?: complet| de famille)?|prénom|client|cliente|assurée?|patiente?|titulaire|"
        r"nombre(?: completo| y apellidos)?|apellidos?|asegurad[oa]|paciente|titular|"
        r"nome(?: completo)?|cognome|sobrenome|naam|voornaam|achternaam|姓名|名字",
        _NAMES,
    ),
    Kind(
        "LOCATION",
        r"city|town|(?:place of )?birth ?place|place of birth|home ?town|ort|stadt|wohnort|geburtsort|ville|"
        r"lieu de naissance|ciudad|localidad|población|municipio|lugar de nacimiento|città|cidade|plaats|woonplaats",
        _PLACE,
    ),
    Kind(
        "ADDRESS",
        r"(?:(?:home|street|postal|mailing|shipping|delivery|billing|work)[ _]?)?address|street|ship[ _]to|bill[ _]to|"
        r"deliver[ _]to|(?:liefer|rechnungs|wohn)?adresse|(?:liefer|wohn)?anschrift|stra(?:ß|ss)e|"
        r"adresse(?: postale| de livraison)?|rue|domicile|dirección(?: postal| de envío)?|domicilio|calle|"
        r"indirizzo|endereço|adres|地址|住址",
        regex.compile(r"(?=.*\b\d)(?=.*\p{L}{3}.*[ ,]|.*[ ,].*\p{L}{3}|.*\p{Han})(?!.*(?:\b\p{Ll}+ ){4}).{5,120}"),
    ),
    Kind(
        "PHONE_NUMBER",
        r"(?:(?:home|work|cell|mobile|contact|customer|office|daytime)[ _]?)?"
        r"(?:phone|telephone|tel|fax)(?:[ _.]?(?:number|no\.?|#))?|"
        r"tel\.|mobile|cell|telefon(?:nummer)?|handy(?:nummer)?|mobil|téléphone|tél\.?|portable|teléfono|móvil|telefono|"
        r"cellulare|telefone|celular|telefoon|电话|手机",
        regex.compile(r"(?:\D{0,3}\d){6,15}(?:\s?(?:x|ext\.?)\s?\d{1,6})?"),
    ),
    Kind(
        "DATE_OF_BIRTH",
        r"birth ?day|birth[ _]?date|date[ _]of[ _]birth|dob|born|geburtsdatum|geburtstag|date de naissance|"
        r"fecha de nacimiento|data di nascita|data de nascimento|geboortedatum|出生日期|生日",
        regex.compile(
            r"\d{1,4}[-./ ]\d{1,2}[-./ ]\d{1,4}|\d{1,2}\.? \p{L}{3,12}\.?,? \d{4}|\p{L}{3,12} \d{1,2},? \d{4}"
        ),
    ),
)
_LABELS = [regex.compile(kind.labels, regex.IGNORECASE) for kind in KINDS]
_LINE = regex.compile(
    rf"(?m)(?:^|[,;|{{(])[ \t>*#-]*[\"']?(?P<label>\p{{L}}[^\n:=|,;\"'{{(]{{1,{MOST_LABEL}}})[\"'*]*[ \t]*[:=|][ \t*]*"
    rf"(?P<quote>[\"'])?(?P<value>(?(quote)(?:(?!(?P=quote))[^\n])|[^\n|;\"]){{2,{MOST_VALUE}}})"
)
GATE = rf"(?i)(?:{'|'.join(kind.labels for kind in KINDS)})[\"'*]*[ \t]*[:=|,;\t\r\n]"
"""For Polars: a label, and what can follow one."""


class LabelledRecognizer(EntityRecognizer):
    """Values of forms and tables, under the type that their label or heading announces."""

    def __init__(self) -> None:
        super().__init__([kind.entity for kind in KINDS], name="LabelledRecognizer")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, *_: object) -> list[RecognizerResult]:
        """Values with the types of their labels; see `EntityRecognizer.analyze`."""
        return [*_lines(text), *_tables(text)]


def _lines(text: str) -> Iterator[RecognizerResult]:
    for match in _LINE.finditer(text, timeout=5):
        kind = _kind(match["label"])
        if kind:
            yield from _result(kind, match["value"], match.start("value"))


def _tables(text: str) -> Iterator[RecognizerResult]:
    """Cells under a heading; a table ends with the first line that has another number of cells."""
    lines = deque(_with_starts(text))
    while lines:
        _, heading = lines.popleft()
        delimiter = max(DELIMITERS, key=heading.count)
        kinds = [_kind(cell) for _, cell in _cells(heading, delimiter)]
        if len(kinds) < 2 or not any(kinds):
            continue
        while lines and len(cells := _cells(lines[0][1], delimiter)) == len(kinds):
            start, _ = lines.popleft()
            for kind, (offset, cell) in zip(kinds, cells, strict=True):
                if kind:
                    yield from _result(kind, cell, start + offset)


def _with_starts(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, line.rstrip("\r\n")
        start += len(line)


def _cells(line: str, delimiter: str) -> list[tuple[int, str]]:
    """Where each cell of a line begins, and the cell; a quoted one may hold the delimiter."""
    cells, start, quoted = [], 0, False
    for at, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif character == delimiter and not quoted:
            cells.append((start, line[start:at]))
            start = at + 1
    return [*cells, (start, line[start:])]


def _kind(label: str) -> Kind | None:
    bare = label.strip(" \t\"'*_").replace("_", " ")
    found = (kind for kind, labels in zip(KINDS, _LABELS, strict=True) if labels.fullmatch(bare))
    return next(found, None)


def _result(kind: Kind, value: str, start: int) -> Iterator[RecognizerResult]:
    for whole in (value, value.partition(",")[0]):
        bare = whole.strip(" \t\"'*,")
        if kind.value.fullmatch(bare, timeout=5):
            at = start + value.find(bare)
            yield RecognizerResult(kind.entity, at, at + len(bare), SCORE)
            return
