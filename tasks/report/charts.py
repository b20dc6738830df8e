"""Small charts as inline SVG. Colours are classes of the page's style, so that they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from storage.evidence import Comparison

WIDTH, HEIGHT, FOOT = 340, 120, 18
"""Of a chart, and of the space under it for its axis, in user units."""


@dataclass(frozen=True)
class Point:
    """A verdict's primary comparison, for the trend."""

    label: str
    verdict: str
    delta: float
    lower: float
    upper: float


def histogram(
    values: Sequence[float],
    label: str,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    bins: int = 34,
) -> Markup:
    """How scores are spread; bars outside `low` to `high`, which selection leaves out, are pale.

    Args:
        values: the scores; the outermost two in a thousand are drawn at the edge.
        label: what is shown, for who cannot see it.
        low: threshold, or None.
        high: threshold, or None.
        log: draw the axis by powers.
        bins: how many bars.
    """
    shown = np.asarray(values, dtype=float)
    edge = [bound for bound in (low, high) if bound is not None]
    left, right = (float(value) for value in np.quantile(shown, [0.002, 0.998]))
    left, right = min(left, *edge, right), max(right, *edge, left)
    scale = _log if log else _same
    start, stop = scale(left), scale(right)
    stop = stop if stop > start else start + 1
    counts, edges = np.histogram(
        np.clip([scale(value) for value in shown], start, stop), bins=bins, range=(start, stop)
    )
    least = -math.inf if low is None else scale(low)
    most = math.inf if high is None else scale(high)
    middles = (edges[:-1] + edges[1:]) / 2
    heights = np.maximum(counts / max(counts.max(), 1) * (HEIGHT - 14), np.where(counts > 0, 1.5, 0))
    step = WIDTH / bins
    bars = [
        _rect(at * step + 0.5, HEIGHT - tall, step - 1, tall, "bar" if least <= middles[at] <= most else "bar out")
        for at, tall in enumerate(heights)
        if tall
    ]
    marks = [_threshold((scale(bound) - start) / (stop - start) * WIDTH, bound) for bound in edge]
    ends = [_text(0, HEIGHT + FOOT - 4, figure(left)), _text(WIDTH, HEIGHT + FOOT - 4, figure(right), "end")]
    return svg(WIDTH, HEIGHT + FOOT, label, [*bars, _axis(), *ends, *marks])


def curve(points: Sequence[tuple[float, float]], label: str) -> Markup:
    """A loss over steps: each step thin, and smoothed thick."""
    steps, values = (np.array(part, dtype=float) for part in zip(*points, strict=True))
    top, bottom = float(values.max()), float(values.min())
    span = top - bottom or 1.0
    x = (steps - steps[0]) / (steps[-1] - steps[0] or 1.0) * (WIDTH - 40) + 34
    raw = _path(x, 8 + (top - values) / span * (HEIGHT - 16))
    smooth = _path(x, 8 + (top - _smoothed(values)) / span * (HEIGHT - 16))
    parts = [
        Markup('<path class="grid" d="M34 8H{0}M34 {1}H{0}"/>').format(WIDTH, HEIGHT - 8),
        Markup('<path class="raw" d="{}"/>').format(raw),
        Markup('<path class="line" d="{}"/>').format(smooth),
        _text(28, 12, figure(top), "end"),
        _text(28, HEIGHT - 4, figure(bottom), "end"),
        _text(34, HEIGHT + FOOT - 4, f"step {steps[0]:.0f}"),
        _text(WIDTH, HEIGHT + FOOT - 4, f"{steps[-1]:.0f}", "end"),
    ]
    return svg(WIDTH, HEIGHT + FOOT, label, parts)


def interval(comparison: Comparison, width: int = 220, height: int = 30) -> Markup:
    """A difference with its bounds round 0; right is better. The dashed line is what a guardrail allows."""
    values = (comparison.lower, comparison.upper, comparison.limit or 0.0)
    reach = max(abs(value) for value in values) * 1.2 or 1.0

    def x(value: float) -> float:
        return width / 2 + value / reach * width / 2

    middle = height / 2
    parts = [Markup('<path class="zero" d="M{0} 2V{1}"/>').format(width / 2, height - 2)]
    if comparison.limit:
        parts.append(Markup('<path class="limit" d="M{0:.1f} 2V{1}"/>').format(x(-comparison.limit), height - 2))
    kind = outcome(comparison)
    parts += [
        _rect(x(comparison.lower), middle - 3, max(x(comparison.upper) - x(comparison.lower), 1.5), 6, f"span {kind}"),
        Markup('<circle class="dot {}" cx="{:.1f}" cy="{}" r="5"/>').format(kind, x(comparison.delta), middle),
    ]
    words = f"{comparison.name}: {comparison.delta:+.3f}, from {comparison.lower:+.3f} to {comparison.upper:+.3f}"
    return svg(width, height, words, parts)


def trend(points: Sequence[Point], label: str, width: int = 1000, height: int = 200) -> Markup:
    """The primary difference of each verdict with its bounds, oldest left."""
    top = max(0.0, *(point.upper for point in points))
    bottom = min(0.0, *(point.lower for point in points))
    span = (top - bottom) or 1.0
    step = (width - 60) / max(len(points), 1)

    def y(value: float) -> float:
        return 12 + (top - value) / span * (height - 24)

    parts = [
        Markup('<path class="zero" d="M52 {0:.1f}H{1}"/>').format(y(0), width),
        _text(46, y(0) + 4, "0", "end"),
        _text(46, y(top) + 4, figure(top), "end") if top else Markup(),
        _text(46, y(bottom) + 4, figure(bottom), "end") if bottom else Markup(),
    ]
    every = math.ceil(len(points) / 12)
    for at, point in enumerate(points):
        x = 60 + (at + 0.5) * step
        drawn = Markup('<path class="whisker {0}" d="M{1:.1f} {2:.1f}V{3:.1f}"/><circle class="dot {0}" cx="{1:.1f}" ')
        drawn += Markup('cy="{4:.1f}" r="6"><title>{5}</title></circle>')
        words = f"{point.label}: {point.verdict}, {point.delta:+.3f}"
        parts.append(drawn.format(point.verdict, x, y(point.lower), y(point.upper), y(point.delta), words))
        if at % every == 0:
            parts.append(_text(x, height + FOOT - 4, point.label, "middle"))
    return svg(width, height + FOOT, label, parts)


def spark(values: Sequence[float], label: str, width: int = 110, height: int = 26) -> Markup:
    """Figures of batch after batch as a small line with a dot on the last."""
    shown = np.array(values, dtype=float)
    top = float(shown.max()) or 1.0
    x = np.linspace(3, width - 5, len(shown)) if len(shown) > 1 else np.array([width - 5.0])
    y = height - 4 - shown / top * (height - 9)
    parts = [
        Markup('<path class="tinted" d="{}"/>').format(_path(x, y)),
        Markup('<circle class="end" cx="{:.1f}" cy="{:.1f}" r="3.2"/>').format(x[-1], y[-1]),
    ]
    return svg(width, height, label, parts)


def columns(values: Sequence[tuple[str, float]], label: str) -> Markup:
    """A figure of each batch as a column, oldest left; the last one stands out."""
    top = max((value for _, value in values), default=1.0) or 1.0
    step = WIDTH / max(len(values), 6)
    every = math.ceil(len(values) / 6)
    parts = [_axis()]
    for at, (name, value) in enumerate(values):
        tall = value / top * (HEIGHT - 22)
        kind = "bar" if at == len(values) - 1 else "bar out"
        parts.append(_rect(at * step + 2, HEIGHT - tall, step - 4, tall, kind))
        if at % every == 0 or at == len(values) - 1:
            middle = at * step + step / 2
            parts.append(_text(middle, HEIGHT - tall - 5, figure(value), "middle"))
            parts.append(_text(middle, HEIGHT + FOOT - 4, name, "middle"))
    return svg(WIDTH, HEIGHT + FOOT, label, parts)


def outcome(comparison: Comparison) -> str:
    """Class of a comparison: better, worse, or open where nothing is proven; info has no verdict."""
    if comparison.passed is None:
        return "info"
    if comparison.passed:
        return "better"
    if comparison.role == "veto" or comparison.upper < -(comparison.limit or 0.0):
        return "worse"
    return "open"


def figure(value: float) -> str:
    """A number with about three digits that count; a small one with one."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.1g}"


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Running mean over about a tenth of the steps, shorter at the ends so that it is not pulled aside."""
    half = len(values) // 20
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
    smoothed: np.ndarray = (sums[last] - sums[first]) / (last - first)
    return smoothed


def _same(value: float) -> float:
    return value


def _log(value: float) -> float:
    return math.log(max(value, 1e-9))


def _path(x: np.ndarray, y: np.ndarray) -> str:
    return "M" + "L".join(f"{left:.1f} {up:.1f}" for left, up in zip(x, y, strict=True))


def _axis() -> Markup:
    return Markup('<path class="zero" d="M0 {0}H{1}"/>').format(HEIGHT, WIDTH)


def _threshold(x: float, value: float) -> Markup:
    anchor = "start" if x < 40 else "end" if x > WIDTH - 40 else "middle"
    line = Markup('<path class="limit" d="M{0:.1f} 10V{1}"/>').format(x, HEIGHT)
    return line + _text(x, 8, figure(value), anchor, "mark")


def _rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    shape = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="1.5"/>')
    return shape.format(kind, x, y, width, height)


def _text(x: float, y: float, words: str, anchor: str = "start", kind: str = "tick") -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, words)


def svg(width: float, height: float, label: str, parts: Sequence[Markup]) -> Markup:
    """A picture of `parts`; `label` says what it shows to who cannot see it."""
    head = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, escape(label))
    return head + Markup().join(parts) + Markup("</svg>")
