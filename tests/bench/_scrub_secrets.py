"""Made-up secrets of many kinds and what only looks like one. Nothing here imports the scrubber."""

import base64
import random
import string
import uuid
from collections.abc import Callable

ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"
Maker = Callable[[random.Random], str]


def some(rng: random.Random, letters: str, count: int) -> str:
    return "".join(rng.choices(letters, k=count))


def prefixed(prefix: str, letters: str, count: int) -> Maker:
    return lambda rng: prefix + some(rng, letters, count)


def jwt(rng: random.Random) -> str:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    subject = some(rng, "0123456789", 8)
    return ".".join((part('{"alg":"HS256","typ":"JWT"}'), part(f'{{"sub":"{subject}"}}'), some(rng, URLSAFE, 43)))


def pem(rng: random.Random) -> str:
    kind = rng.choice(["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"])
    lines = "\n".join(some(rng, ALNUM + "+/", 64) for _ in range(6))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"


def password(rng: random.Random) -> str:
    word = rng.choice(["Tiger", "blue", "Winter", "kaffee"])
    return f"{word}{some(rng, '!#%&?', 1)}{some(rng, ALNUM, 5)}{rng.randint(1, 99)}"


SECRETS: dict[str, tuple[str, Maker]] = {
    "aws access key": ("{}", prefixed("AKIA", string.ascii_uppercase + "234567", 16)),
    "aws secret key": ("aws_secret_access_key = {}", prefixed("", ALNUM + "+/", 40)),
    "gcp api key": ("{}", prefixed("AIza", URLSAFE, 35)),
    "azure storage": ("AccountName=logs;AccountKey={};", lambda r: some(r, ALNUM + "+/", 86) + "=="),
    "digitalocean": ("{}", prefixed("dop_v1_", HEX, 64)),
    "github": ("{}", prefixed("ghp_", ALNUM, 36)),
    "github fine": ("{}", lambda r: f"github_pat_{some(r, ALNUM, 22)}_{some(r, ALNUM, 59)}"),
    "gitlab": ("{}", prefixed("glpat-", URLSAFE, 20)),
    "npm": ("//registry.example.org/:_authToken={}", prefixed("npm_", ALNUM, 36)),
    "pypi": ("{}", prefixed("pypi-AgEIcHlwaS5vcmc", URLSAFE, 70)),
    "openai": ("{}", prefixed("sk-proj-", ALNUM, 48)),
    "openai old": ("{}", prefixed("sk-", ALNUM, 48)),
    "anthropic": ("{}", prefixed("sk-ant-api03-", URLSAFE, 93)),
    "hugging face": ("{}", prefixed("hf_", ALNUM, 34)),
    "replicate": ("{}", prefixed("r8_", ALNUM, 37)),
    "slack": ("{}", lambda r: f"xoxb-{some(r, '123456789', 12)}-{some(r, '123456789', 12)}-{some(r, ALNUM, 24)}"),
    "slack webhook": (
        "https://hooks.slack.com/services/{}",
        lambda r: f"T{some(r, ALNUM.upper(), 8)}/B{some(r, ALNUM.upper(), 8)}/{some(r, ALNUM, 24)}",
    ),
    "discord": ("{}", lambda r: f"M{some(r, ALNUM, 23)}.{some(r, URLSAFE, 6)}.{some(r, URLSAFE, 27)}"),
    "telegram": ("{}", lambda r: f"{some(r, '123456789', 10)}:AA{some(r, URLSAFE, 33)}"),
    "twilio": ("{}", prefixed("SK", HEX, 32)),
    "sendgrid": ("{}", lambda r: f"SG.{some(r, URLSAFE, 22)}.{some(r, URLSAFE, 43)}"),
    "mailchimp": ("{}", lambda r: f"{some(r, HEX, 32)}-us{r.randint(1, 20)}"),
    "stripe": ("{}", prefixed("sk_live_", ALNUM, 24)),
    "square": ("{}", prefixed("sq0atp-", URLSAFE, 22)),
    "shopify": ("{}", prefixed("shpat_", HEX, 32)),
    "databricks": ("{}", prefixed("dapi", HEX, 32)),
    "new relic": ("{}", prefixed("NRAK-", string.ascii_uppercase + string.digits, 27)),
    "vault": ("{}", prefixed("hvs.", URLSAFE, 90)),
    "jwt": ("{}", jwt),
    "private key": ("{}", pem),
    "basic auth": ("Authorization: Basic {}", lambda r: base64.b64encode(f"u:{some(r, ALNUM, 12)}".encode()).decode()),
    "bearer": ("curl -H 'Authorization: Bearer {}'", prefixed("", ALNUM, 40)),
    "connection string": ("mongodb+srv://app:{}@cluster.example.org/db", prefixed("", ALNUM, 16)),
    "password in code": ('password = "{}"', password),
    "password in yaml": ("db_password: {}", password),
    "password in prose": ("the password is {}", password),
    "api key": ("API_KEY={}", prefixed("", HEX, 32)),
    "client secret": ('"client_secret": "{}"', prefixed("", ALNUM, 32)),
}
"""Kind -> the line it stands in, and how one is made."""

LOOK_ALIKES: dict[str, Maker] = {
    "md5": lambda r: f"md5: {some(r, HEX, 32)}",
    "commit": lambda r: f"commit {some(r, HEX, 40)}",
    "sha256": lambda r: f"sha256:{some(r, HEX, 64)}",
    "uuid": lambda r: f"request {uuid.UUID(bytes=r.randbytes(16), version=4)} took {r.randint(2, 900)} ms",
    "image": lambda r: f"data:image/png;base64,{base64.b64encode(r.randbytes(120)).decode()}",
    "integrity": lambda r: f'"integrity": "sha512-{base64.b64encode(r.randbytes(64)).decode()}"',
    "stand-in": lambda r: r.choice(
        ["api_key = YOUR_API_KEY", "password: ********", "token=<your token here>", "password = os.environ['PW']"]
    ),
    "prose": lambda r: r.choice(
        [
            "The password is required.",
            "Reset your password by mail.",
            "The token is invalid now.",
            "the secret key to success is patience",
        ]
    ),
    "code": lambda r: r.choice(
        [
            "token = tokenizer.next_token()",
            "secret = get_secret(name)",
            "def set_password(self, password: str):",
            "key = make_key(user_id, created_at)",
        ]
    ),
    "counts": lambda r: f"max_tokens: {r.randint(100, 9999)}, prompt_tokens={r.randint(10, 999)}",
    "identifier": lambda r: f"AbstractSingletonProxyFactoryBean{r.randint(1, 9)}.getInstanceForName",
    "path": lambda r: f"/usr/lib/python3.11/site-packages/module{r.randint(1, 99)}/__init__.py",
    "etag": lambda r: f'ETag: W/"{some(r, HEX, 16)}"',
    "slug": lambda r: f"https://example.org/blog/{r.randint(2000, 2026)}/how-we-made-our-tests-twice-as-fast",
    "wheel": lambda r: f"numpy-1.{r.randint(20, 30)}.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
}
"""What must stay: kind -> a line of it."""


def secrets(each: int, seed: int) -> list[tuple[str, str, str]]:
    """Kind, the secret, and a text that holds it."""
    rng = random.Random(seed)
    made = [(kind, line, make(rng)) for kind, (line, make) in SECRETS.items() for _ in range(each)]
    return [(kind, secret, f"# settings\n{line.format(secret)}\nthanks") for kind, line, secret in made]


def look_alikes(each: int, seed: int) -> list[tuple[str, str]]:
    """Kind and text; no character of it is secret."""
    rng = random.Random(seed)
    return [(kind, make(rng)) for kind, make in LOOK_ALIKES.items() for _ in range(each)]
