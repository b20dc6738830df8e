"""A second annotated set: six layouts in four languages, filled in by Faker. Nothing here imports the scrubber.

The templates were written before their first measurement and are not to be changed to suit the scrubber.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from faker import Faker

LOCALES = {"en": ("en_US", "en_GB"), "de": ("de_DE",), "fr": ("fr_FR",), "es": ("es_ES",)}
GAP = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Annotated:
    """A text and what in it is personal: type, start and end of each."""

    text: str
    spans: tuple[tuple[str, int, int], ...]
    language: str
    layout: str


MAKERS: dict[str, tuple[str, Callable[[Faker], str]]] = {
    "person": ("PERSON", lambda f: f"{f.first_name()} {f.last_name()}"),
    "first": ("PERSON", lambda f: f.first_name()),
    "last": ("PERSON", lambda f: f.last_name()),
    "email": ("EMAIL_ADDRESS", lambda f: f.email()),
    "phone": ("PHONE_NUMBER", lambda f: f.phone_number()),
    "address": ("ADDRESS", lambda f: f.address().replace("\n", ", ")),
    "street": ("ADDRESS", lambda f: f.street_address().replace("\n", ", ")),
    "city": ("LOCATION", lambda f: f.city()),
    "card": ("CREDIT_CARD", lambda f: f.credit_card_number()),
    "iban": ("IBAN_CODE", lambda f: f.iban()),
    "ip": ("IP_ADDRESS", lambda f: f.ipv4_public()),
    "ipv6": ("IP_ADDRESS", lambda f: f.ipv6()),
    "mac": ("MAC_ADDRESS", lambda f: f.mac_address()),
    "birth": ("DATE_OF_BIRTH", lambda f: f.date_of_birth().strftime(f.random_element(("%Y-%m-%d", "%d/%m/%Y")))),
    "ssn": ("US_SSN", lambda f: f.numerify("%##-%#-%###").replace("9", "4", 1).replace("666", "665")),
}

TEMPLATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("en", "mail"): (
        "From: {person} <{email}>\nTo: support@shop.test\nSubject: Order never arrived\n\nHello,\n\nI ordered a lamp "
        "two weeks ago and it should have gone to {address}. Nobody rang. You can reach me on {phone} in the "
        "evening.\n\nKind regards,\n{person}",
        "Hi {first},\n\nthanks for lunch yesterday! Could you forward the slides to {person} as well? The address is "
        "{email}.\n\nBest,\n{first}",
        "Dear Sir or Madam,\n\nmy father, {person}, passed away in March. Please close his account {iban} and send the "
        "papers to {address}.\n\nYours sincerely,\n{person}\nTel: {phone}",
    ),
    ("en", "chat"): (
        "hey can you help me write a birthday poem for my colleague {first}? she moved here from {city}",
        "my neighbour {person} keeps parking in front of {street}. what are my rights?",
        "I was charged twice on card {card}. I'm {person}, call me on {phone} pls",
        "Write a reference letter for {person}, who worked for us until May.",
        "so {first} told {first} that {person} will not come to {city} after all",
        "is it normal that {person} from your hotline asks me for my social? its {ssn}",
    ),
    ("en", "form"): (
        "Full name: {person}\nDate of birth: {birth}\nAddress: {address}\nPhone: {phone}\nE-mail: {email}\nSSN: {ssn}",
        "| Field | Value |\n|---|---|\n| Customer | {person} |\n| Born | {birth} |\n| IBAN | {iban} |\n"
        "| City | {city} |",
        "Patient {person}, DOB {birth}, lives at {street}. Emergency contact: {person}, {phone}.",
    ),
    ("en", "csv"): (
        "id,name,email,phone,card\n1,{person},{email},{phone},{card}\n2,{person},{email},{phone},{card}",
        "name;street;city;birthday\n{person};{street};{city};{birth}\n{person};{street};{city};{birth}",
    ),
    ("en", "log"): (
        "2026-03-04T10:11:12Z INFO auth user={email} ip={ip} login ok\n"
        "2026-03-04T10:11:19Z WARN auth user={email} ip={ipv6} bad password",
        "dhcpd: DHCPACK on {ip} to {mac} via eth0\nsshd[811]: Accepted publickey for root from {ip} port 52114",
        '{{"event": "order", "customer": "{person}", "phone": "{phone}", "ship_to": "{address}"}}',
    ),
    ("en", "code"): (
        "# TODO({first}): ask {person} <{email}> whether 0.25 is right\nrate = 0.25",
        "/**\n * @author {person}\n * Contact {email} or {phone}\n */\nclass Invoice {{}}",
        'TEST_USER = {{"name": "{person}", "card": "{card}", "iban": "{iban}"}}  # the account of {person}',
    ),
    ("de", "mail"): (
        "Sehr geehrte Damen und Herren,\n\nich warte seit zwei Wochen auf meine Lieferung an {address}. Bitte rufen "
        "Sie mich unter {phone} an.\n\nMit freundlichen Grüßen\n{person}",
        "Hallo {first},\n\nkannst du die Unterlagen bitte auch an {person} schicken? Die Adresse ist {email}.\n\nViele "
        "Grüße\n{first}",
    ),
    ("de", "chat"): (
        "Schreibe ein Gedicht zum Geburtstag meiner Kollegin {first}, sie kommt aus {city}.",
        "Mein Nachbar {person} parkt ständig vor der {street}. Was kann ich tun?",
        "Gestern hat {person} angerufen und wollte {person} sprechen.",
        "Laut {person} ist die Rechnung längst bezahlt, aber {first} findet sie nicht.",
    ),
    ("de", "form"): (
        "Name: {person}\nGeburtsdatum: {birth}\nAnschrift: {address}\nTelefon: {phone}\nIBAN: {iban}",
        "Versicherter: {person}, geboren am {birth}, wohnhaft in {address}.",
    ),
    ("fr", "mail"): (
        "Bonjour,\n\nj'attends mon colis depuis deux semaines au {address}. Vous pouvez me joindre au {phone}.\n\n"
        "Cordialement,\n{person}",
        "Salut {first},\n\npeux-tu envoyer le dossier à {person} ? Son adresse est {email}.\n\nÀ bientôt,\n{first}",
    ),
    ("fr", "chat"): (
        "Écris un poème pour l'anniversaire de ma collègue {first}, elle vient de {city}.",
        "Mon voisin {person} se gare toujours devant le {street}. Que faire ?",
        "Hier, {person} a téléphoné et voulait parler à {person}.",
        "D'après {person}, la facture est payée depuis longtemps, mais {first} ne la trouve pas.",
    ),
    ("fr", "form"): (
        "Nom : {person}\nDate de naissance : {birth}\nAdresse : {address}\nTéléphone : {phone}\nIBAN : {iban}",
        "Assuré : {person}, né le {birth}, domicilié au {address}.",
    ),
    ("es", "mail"): (
        "Hola:\n\nllevo dos semanas esperando mi pedido en {address}. Pueden llamarme al {phone}.\n\n"
        "Un saludo,\n{person}",
        "Hola {first}:\n\n¿puedes enviar los papeles también a {person}? Su correo es {email}.\n\nUn abrazo,\n{first}",
    ),
    ("es", "chat"): (
        "Escribe un poema para el cumpleaños de mi compañera {first}, que es de {city}.",
        "Mi vecino {person} aparca siempre delante de {street}. ¿Qué puedo hacer?",
        "Ayer llamó {person} y quería hablar con {person}.",
        "Según {person}, la factura está pagada desde hace tiempo, pero {first} no la encuentra.",
    ),
    ("es", "form"): (
        "Nombre: {person}\nFecha de nacimiento: {birth}\nDirección: {address}\nTeléfono: {phone}\nIBAN: {iban}",
        "Asegurado: {person}, nacido el {birth}, con domicilio en {address}.",
    ),
}
"""Language and layout -> texts; `{{` is a brace."""


def annotated(each: int, seed: int) -> list[Annotated]:
    """Every template `each` times, with other people in it each time."""
    rng = random.Random(seed)
    fakers = {locale: Faker(locale) for locales in LOCALES.values() for locale in locales}
    for faker in fakers.values():
        faker.seed_instance(seed)
    return [
        _filled(template, language, layout, fakers[rng.choice(LOCALES[language])])
        for (language, layout), templates in TEMPLATES.items()
        for template in templates
        for _ in range(each)
    ]


def _filled(template: str, language: str, layout: str, faker: Faker) -> Annotated:
    parts: list[str] = []
    spans: list[tuple[str, int, int]] = []
    at = end = 0
    template = template.replace("{{", "\x01").replace("}}", "\x02")
    for gap in GAP.finditer(template):
        kind, make = MAKERS[gap[1]]
        parts += [template[at : gap.start()], value := make(faker)]
        start = end + gap.start() - at
        end = start + len(value)
        spans.append((kind, start, end))
        at = gap.end()
    text = "".join([*parts, template[at:]]).replace("\x01", "{").replace("\x02", "}")
    return Annotated(text, tuple(spans), language, layout)
