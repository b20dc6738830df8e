"""The nights of the efficacy benchmark as one picture: what each proved, what was forgotten, what was decided."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from storage.evidence import Comparison
from tasks.report import charts
from tests.bench._efficacy_turn import Night

LOOK = "".join(Path(charts.__file__).with_name(name).read_text("utf-8") for name in ("charts.css", "page.css"))
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Flywheel: does it work?</title><style>{{ css }}</style></head><body>
<header><h1>Does the wheel make the model better, and refuse to make it worse?</h1></header>
<main>
{% for title, note, chart in pictures %}<section><h2>{{ title }}</h2><p class="note">{{ note }}</p>{{ chart }}</section>
{% endfor %}
<section><h2>Night by night</h2><div class="scroll"><table>
<tr><th>night</th><th>verdict</th><th>why</th></tr>
{% for night in nights %}<tr><td>{{ night.kind }}</td>
<td><span class="badge {{ night.verdict }}">{{ night.verdict }}</span></td>
<td>{% for reason in night.reasons %}<small>{{ reason }}</small><br>{% endfor %}</td></tr>{% endfor %}
</table></div></section>
</main></body></html>
"""
PRIMARY = (
    "By how many nats per token it fell against the champion of that night, with the bounds of the gate; above zero is "
    "better. Green was promoted, amber held, red rejected."
)
GENERAL = "By how many nats per token the night's model is better than the first one; at most 0.05 below zero may go."
SHARES = (
    "The first night again: the share of trained tokens that the model generated itself, and by how many nats per "
    "token the loss on the held-out answers of users fell."
)


def write(path: Path, nights: Sequence[Night], shares: Sequence[Night]) -> Path:
    """Draw the nights, and the first night with shares of generated rows, into one HTML file.

    Args:
        path: where; a file that is there is replaced.
        nights: in their order.
        shares: the first night with more and more generated rows; may be empty.
    """
    pictures = [
        ("Loss on held-out answers that users endorsed", PRIMARY, _trend(nights, [night.primary for night in nights])),
        ("Loss on general text since the first model", GENERAL, _trend(nights, [night.general for night in nights])),
    ]
    if shares:
        drawn = _trend(shares, [night.primary for night in shares])
        pictures.append(("Generated rows beside those of users", SHARES, drawn))
    page = Environment(autoescape=True).from_string(PAGE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.render(css=Markup(LOOK), pictures=pictures, nights=nights), "utf-8")
    return path


def _trend(nights: Sequence[Night], found: Sequence[Comparison | None]) -> str:
    points = [
        charts.Point(night.kind, night.verdict, one.delta, one.lower, one.upper)
        for night, one in zip(nights, found, strict=True)
        if one is not None
    ]
    return charts.trend(points, "night by night") if points else ""
