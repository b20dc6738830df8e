"""Made-up numbers that are valid, and texts of five kinds to plant them in. Nothing here imports the scrubber."""

import hashlib
import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
Maker = Callable[[random.Random], str]


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def day(rng: random.Random) -> tuple[int, int, int]:
    return rng.randint(1950, 1999), rng.randint(1, 12), rng.randint(1, 28)


def until(rng: random.Random, draw: Maker, valid: Callable[[str], bool]) -> str:
    """Draw until it is valid: slower than computing check digits, and another way than the scrubber's."""
    while not valid(text := draw(rng)):
        pass
    return text


def luhn(text: str) -> bool:
    doubled = ["0246813579"[int(d)] if n % 2 else d for n, d in enumerate(reversed(text))]
    return sum(map(int, doubled)) % 10 == 0


def dot(text: str, weights: list[int]) -> int:
    return sum(int(d) * w for d, w in zip(text, weights, strict=True))


def card(rng: random.Random) -> str:
    prefix, length = rng.choice([("4", 16), ("51", 16), ("55", 16), ("34", 15), ("37", 15), ("6011", 16), ("36", 14)])
    number = until(rng, lambda r: prefix + digits(r, length - len(prefix)), luhn)
    return " ".join(number[n : n + 4] for n in range(0, 16, 4)) if length == 16 and rng.random() < 0.4 else number


def iban(rng: random.Random) -> str:
    country, bank, length = rng.choice(
        [("DE", "", 18), ("GB", "NWBK", 14), ("FR", "", 23), ("NL", "ABNA", 10), ("ES", "", 20)]
    )
    account = bank + digits(rng, length)
    number = int("".join(str(int(c, 36)) for c in f"{account}{country}00"))
    text = f"{country}{98 - number % 97:02}{account}"
    return " ".join(text[n : n + 4] for n in range(0, len(text), 4)) if rng.random() < 0.3 else text


def bitcoin(rng: random.Random) -> str:
    payload = b"\x00" + rng.randbytes(20)
    payload += hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(payload, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = BASE58[rest] + text
    return "1" * (len(payload) - len(payload.lstrip(b"\0"))) + text


def ipv6(rng: random.Random) -> str:
    return ":".join(f"{rng.randrange(4096, 65536):x}" for _ in range(8))


def resident_id(rng: random.Random) -> str:
    year, month, date = day(rng)
    body = f"{rng.choice(['110105', '310115', '440305'])}{year}{month:02}{date:02}{digits(rng, 3)}"
    remainder = sum(int(d) * 2 ** (17 - n) for n, d in enumerate(body)) % 11
    return body + "10X98765432"[remainder]


def social_security(rng: random.Random) -> str:
    return f"{rng.choice([n for n in range(100, 899) if n != 666])}-{rng.randint(10, 99)}-{rng.randint(1000, 9999)}"


def nif(rng: random.Random) -> str:
    number = digits(rng, 8)
    return number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23]


def pesel(rng: random.Random) -> str:
    year, month, date = day(rng)
    body = f"{year % 100:02}{month:02}{date:02}{digits(rng, 4)}"
    return body + str(-dot(body, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)


def nir(rng: random.Random) -> str:
    year, month, _ = day(rng)
    body = f"{rng.randint(1, 2)}{year % 100:02}{month:02}{rng.randint(10, 95)}{digits(rng, 6)}"
    return f"{body}{97 - int(body) % 97:02}"


def cpf(rng: random.Random) -> str:
    body = digits(rng, 9)
    for length in (9, 10):
        body += str(dot(body, list(range(length + 1, 1, -1))) * 10 % 11 % 10)
    return f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"


def bsn(rng: random.Random) -> str:
    return until(rng, lambda r: digits(r, 9), lambda t: t[0] != "0" and dot(t, [9, 8, 7, 6, 5, 4, 3, 2, -1]) % 11 == 0)


def nhs(rng: random.Random) -> str:
    number = until(rng, lambda r: digits(r, 10), lambda t: t[0] != "0" and dot(t, list(range(10, 0, -1))) % 11 == 0)
    return f"{number[:3]} {number[3:6]} {number[6:]}"


def verhoeff(rng: random.Random) -> str:
    """Twelve digits of an Aadhaar number, by the group D5 and its permutation (Verhoeff, 1969)."""

    def multiply(a: int, b: int) -> int:
        turned = b if a < 5 else -b
        return (a + turned) % 5 + (5 if (a >= 5) != (b >= 5) else 0)

    def permuted(digit: int, times: int) -> int:
        for _ in range(times % 8):
            digit = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[digit]
        return digit

    def valid(text: str) -> bool:
        check = 0
        for place, digit in enumerate(reversed(text)):
            check = multiply(check, permuted(int(digit), place))
        return text[0] not in "01" and check == 0

    return until(rng, lambda r: digits(r, 12), valid)


def fiscal_code(rng: random.Random) -> str:
    odd = dict(zip(string.digits + string.ascii_uppercase, [1, 0, 5, 7, 9, 13, 15, 17, 19, 21] * 2, strict=False))
    odd |= dict(
        zip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23],
            strict=True,
        )
    )
    year, _, date = day(rng)
    name, month = "".join(rng.choices("BCDFGLMNPRSTV", k=6)), rng.choice("ABCDEHLMPRST")
    body = f"{name}{year % 100:02}{month}{date:02}H{rng.randint(100, 999)}"
    total = sum(odd[c] if n % 2 == 0 else int(c, 36) - (10 if c.isalpha() else 0) for n, c in enumerate(body))
    return body + string.ascii_uppercase[total % 26]


def turkish(rng: random.Random) -> str:
    body = str(rng.randint(1, 9)) + digits(rng, 8)
    tenth = (sum(map(int, body[::2])) * 7 - sum(map(int, body[1::2]))) % 10
    return f"{body}{tenth}{(sum(map(int, body)) + tenth) % 10}"


def swiss(rng: random.Random) -> str:
    body = "756" + digits(rng, 9)
    check = -sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(body)) % 10
    return f"756.{body[3:7]}.{body[7:11]}.{body[11]}{check}"


def finnish(rng: random.Random) -> str:
    year, month, date = day(rng)
    born, serial = f"{date:02}{month:02}{year % 100:02}", f"{rng.randint(2, 899):03}"
    return f"{born}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(born + serial) % 31]}"


MAKERS: dict[str, Maker] = {
    "card": card,
    "iban": iban,
    "email": lambda r: (
        f"{r.choice(['ana', 'li.wei', 'bob_k'])}{digits(r, 3)}@{r.choice(['mail.example.org', 'post.co.uk'])}"
    ),
    "ipv4": lambda r: ".".join(str(r.randint(11, 250)) for _ in range(4)),
    "ipv6": ipv6,
    "mac": lambda r: r.choice(":-").join(f"{r.randrange(16, 256):02x}" for _ in range(6)),
    "bitcoin": bitcoin,
    "ethereum": lambda r: "0x" + r.randbytes(20).hex(),
    "resident id": resident_id,
    "chinese mobile": lambda r: f"1{r.choice('3578')}{digits(r, 9)}",
    "phone": lambda r: r.choice(["+44 20 7946 ", "+49 30 9012 ", "+1 415 555 ", "(212) 555-"]) + digits(r, 4),
    "ssn": social_security,
    "nif": nif,
    "pesel": pesel,
    "nir": nir,
    "cpf": cpf,
    "bsn": bsn,
    "nhs": nhs,
    "aadhaar": verhoeff,
    "pan": lambda r: (
        f"{''.join(r.choices(string.ascii_uppercase, k=3))}P{r.choice(string.ascii_uppercase)}{digits(r, 4)}K"
    ),
    "fiscal code": fiscal_code,
    "turkish id": turkish,
    "ahv": swiss,
    "hetu": finnish,
    "url credentials": lambda r: f"svc{digits(r, 2)}:{r.randbytes(5).hex()}@db.example.org",
    "birth": lambda r: "{1}/{2}/{0}".format(*day(r)),
}
CUES = {"birth": "date of birth: ", "url credentials": "postgres://"}
"""What must stand before a value that is not told by its form alone."""


def canaries(count: int, seed: int) -> list[tuple[str, str]]:
    """Kind and value, the kinds in turn."""
    rng = random.Random(seed)
    kinds = list(MAKERS)
    return [(kind, MAKERS[kind](rng)) for kind in (kinds[n % len(kinds)] for n in range(count))]


def rows(planted: list[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """Conversations that hold the values, in turn in prose, JSON, code, a table and a tool call."""
    for n, (kind, value) in enumerate(planted):
        text = CUES.get(kind, "") + value
        calls = None
        if n % 5 == 0:
            said = f"Hello, could you look into this for me? It is {text}, thank you."
        elif n % 5 == 1:
            said = json.dumps({"status": "open", "fields": [{"note": text}, 17]})
        elif n % 5 == 2:
            said = f'def lookup():\n    record = find("{text}")  # see above\n    return record'
        elif n % 5 == 3:
            said = f"| item | value |\n|---|---|\n| entry | {text} |\n| total | 12 |"
        else:
            said = "On it."
            calls = json.dumps([{"function": {"name": "save", "arguments": json.dumps({"value": text})}}])
        message = {"role": "assistant" if calls else "user", "content": said, "name": None, "tool_call_id": None}
        yield {
            "id": str(n),
            "origin": "user",
            "conversation_id": str(n),
            "language": "en",
            "messages": [{**message, "tool_calls": calls}],
            "tools": None,
        }
