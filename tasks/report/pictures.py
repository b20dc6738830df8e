"""The key charts of a batch as pictures of their own, for pages that do not have the report's style."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from markupsafe import Markup

from storage.lake import Lake
from tasks.report import charts, content, judged, tables
from tasks.report.page import change, title

HEAD, GAP, MARGIN = 24, 28, 16  # of the words above a chart, between charts, and round all of them
BAR, WIDE = 18, 900  # the height of a bar, and the width of the longest
KEPT = 6  # parts of a bar that have a colour of their own
STYLE = """
text { font-family: system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
.head { font-size: 13px; font-weight: 600; fill: var(--ink); } .card { fill: var(--card); }
"""


@dataclass(frozen=True)
class Picture:
    """A picture: its name, in lower case and dashes; what it shows; and a data URI that holds all of it."""

    name: str
    title: str
    address: str


@dataclass(frozen=True)
class Chart:
    """A chart of a sheet, with the words above it and its size."""

    words: str
    drawn: Markup
    width: float = charts.WIDTH
    height: float = charts.HEIGHT + charts.FOOT


def pictures(lake: Lake, batch: str) -> list[Picture]:
    """The batch's charts; one that there is nothing for is left out."""
    found = {
        "funnel-chart": ("What became of the rows", _funnel(lake, batch), 1),
        "mixture-chart": ("What was trained on, by tokens", _mixture(lake, batch), 1),
        "scores-chart": ("Scores, with the thresholds of selection", _scores(lake, batch), 3),
        "loss-chart": ("Losses", _losses(lake, batch), 3),
        "comparison-chart": ("Champion against challenger; right of the line is better", _comparison(lake, batch), 2),
        "trend-chart": ("Improvement over the champion, batch by batch", _trend(lake), 1),
    }
    return [Picture(name, words, _sheet(some, columns)) for name, (words, some, columns) in found.items() if some]


def _funnel(lake: Lake, batch: str) -> list[Chart]:
    rows = [row for row in tables.funnel(lake, batch) if row.rows_in]
    widest = max((row.rows_in for row in rows), default=1)
    return [_bar(row.title, dict(row.out), widest) for row in rows]


def _mixture(lake: Lake, batch: str) -> list[Chart]:
    stages = groupby(tables.mixture(lake, batch), lambda row: row.stage)
    parts = {stage: {row.part: row.trained_tokens for row in rows} for stage, rows in stages}
    return [_bar(stage.upper(), tokens, sum(tokens.values())) for stage, tokens in parts.items()]


def _scores(lake: Lake, batch: str) -> list[Chart]:
    return [Chart(words, drawn) for words, _, drawn in content.scores(lake, batch)]


def _losses(lake: Lake, batch: str) -> list[Chart]:
    rows = [row for row in tables.losses(lake, batch) if row.curve]
    return [Chart(f"{row.stage.upper()}, {row.model}", charts.curve(row.curve, row.stage)) for row in rows]


def _comparison(lake: Lake, batch: str) -> list[Chart]:
    rows = judged.comparison(lake, batch)
    return [Chart(f"{title(row.name)}: {change(row)}", charts.interval(row), 360, 34) for row in rows]


def _trend(lake: Lake) -> list[Chart]:
    drawn = content.trend(judged.verdicts(lake))
    return [Chart("Nats per token on endorsed answers", drawn, WIDE, WIDE * 0.218)] if drawn else []


def _bar(name: str, parts: Mapping[str, int], widest: float) -> Chart:
    """A bar of stacked parts, whose names and sizes are in the words above it."""
    drawn, x = [], 0.0
    for at, (part, size) in enumerate(parts.items()):
        width = size / widest * WIDE
        shape = Markup('<rect class="p{}" x="{:.1f}" y="0" width="{:.1f}" height="{}"><title>{}</title></rect>')
        drawn.append(shape.format(min(at, KEPT), x, max(width - 1, 1), BAR, part))
        x += width
    words = ", ".join(f"{size:,} {part.replace('_', ' ')}" for part, size in parts.items())
    return Chart(f"{name}: {words}", charts.svg(WIDE, BAR, name, drawn), WIDE, BAR)


def _sheet(some: Sequence[Chart], columns: int) -> str:
    """Charts in rows of `columns`, as an SVG file in a data URI."""
    columns = min(columns, len(some))
    across, down = some[0].width + GAP, some[0].height + HEAD + GAP
    parts = []
    for at, chart in enumerate(some):
        x, y = MARGIN + at % columns * across, MARGIN + at // columns * down
        parts.append(Markup('<text class="head" x="{}" y="{}">{}</text>').format(x, y + 13, chart.words))
        place = Markup('<svg x="{}" y="{}" width="{}" height="{}">{}</svg>')
        parts.append(place.format(x, y + HEAD, chart.width, chart.height, chart.drawn))
    wide = columns * across - GAP + 2 * MARGIN
    tall = -(-len(some) // columns) * down - GAP + 2 * MARGIN
    style = (Path(__file__).parent / "charts.css").read_text() + STYLE
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}">'
    drawn = f'{head}<style>{style}</style><rect class="card" width="100%" height="100%"/>{Markup().join(parts)}</svg>'
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}"
