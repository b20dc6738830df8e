"""Invented people with addresses, cards and keys that look real and belong to nobody.

Numbers come from ranges that are set aside for fiction and documentation; what looks like a secret is put together
here from random parts, so that no such text stands in the code.
"""

import base64
import json
import string
from dataclasses import dataclass
from random import Random
from typing import Any

LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True)
class People:
    """Draws persons and their data.

    Args:
        random: where chance comes from.
        bank: `banks/people.yaml`.
    """

    random: Random
    bank: dict[str, Any]

    def person(self) -> dict[str, str]:
        """Everything that a sentence of the bank may ask for."""
        r = self.random
        given, family = r.choice(self.bank["given"]), r.choice(self.bank["family"])
        handle = r.choice([f"{given}.{family}", f"{given[0]}{family}", f"{family}{r.randint(1, 99)}"]).lower()
        street, city = r.choice(self.bank["streets"]), r.choice(self.bank["cities"])
        phones = [f"+1 {r.randint(201, 989)} 555 01{r.randint(10, 99)}", f"07700 900{r.randint(100, 999)}"]
        return {
            "given": given,
            "name": f"{given} {family}",
            "email": f"{handle}@{r.choice(['example.com', 'example.org', 'mail.example.net'])}",
            "phone": r.choice(phones),
            "city": city,
            "address": f"{r.randint(1, 240)} {street}, {city} {r.randint(10000, 99999)}",
            "birthday": f"{r.randint(1, 28)} {r.choice(['March', 'June', 'October'])} {r.randint(1955, 2004)}",
            "card": self.card(),
            "iban": self.iban(),
            "ssn": f"9{r.randint(10, 65)}-{r.randint(11, 89)}-{r.randint(1000, 9999)}",
            "ip": f"{r.choice(['203.0.113', '198.51.100'])}.{r.randint(1, 254)}",
            "api_key": "sk-" + self.letters(40),
            "aws_key": "AKIA" + "".join(r.choices(string.ascii_uppercase + "234567", k=9)) + "EXAMPLE",
            "jwt": self.jwt(handle),
            "database_url": f"postgresql://{handle.replace('.', '_')}:{self.letters(12)}@db.example.org:5432/notes",
            "private_key": self.private_key(),
        }

    def letters(self, count: int) -> str:
        """Random letters and digits."""
        return "".join(self.random.choices(LETTERS, k=count))

    def card(self) -> str:
        """A card number whose check digit is right (Luhn, ISO/IEC 7812-1)."""
        digits = [int(digit) for digit in f"4000{self.random.randint(0, 10**11 - 1):011d}"]
        doubled = [sum(divmod(2 * digit, 10)) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
        number = "".join(map(str, [*digits, -sum(doubled) % 10]))
        return self.random.choice([" ", "-", ""]).join(number[start : start + 4] for start in range(0, 16, 4))

    def iban(self) -> str:
        """A German account number whose check digits are right (ISO 13616)."""
        account = f"{self.random.randint(0, 10**18 - 1):018d}"
        check = 98 - int(account + "131400") % 97  # D is 13, E is 14
        number = f"DE{check:02d}{account}"
        return " ".join(number[start : start + 4] for start in range(0, len(number), 4))

    def jwt(self, subject: str) -> str:
        """A signed token, with nothing behind the signature."""
        parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps({"sub": subject, "iat": 1772000000})]
        encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
        return ".".join([*encoded, self.letters(43)])

    def private_key(self) -> str:
        """The look of a PEM key; it opens nothing."""
        body = "\n".join(self.letters(64) for _ in range(3))
        return f"-----BEGIN {'PRIVATE'} KEY-----\n{body}\n-----END {'PRIVATE'} KEY-----"
