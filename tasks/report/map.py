"""The map of topics: a bubble for each, in it a dot for each prompt; like topics lie side by side."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from tasks.report.charts import svg
from tasks.report.insight import Dot, Insight, Topic

WIDTH, HEIGHT = 1000, 430
MOST_DOTS = 1500
GOLDEN = math.pi * (3 - math.sqrt(5))
ROUNDS, PULL = 500, np.array([0.992, 0.97])
HUES = (212, 36, 268, 184, 312, 58, 236, 22, 290, 198, 328, 78)
LABEL = 17  # characters of a word


def topic_map(found: Insight) -> Markup:
    """The map: new prompts strong, earlier ones pale, those with a disliked answer red, liked ones green."""
    dots = _by_topic(found.dots, len(found.topics))
    sizes = np.array([max(len(mine), 1) for mine in dots], dtype=float)
    places, radii = _packed(found.centres, np.sqrt(sizes))
    order = np.argsort(-radii)
    bubbles = [_bubble(found.topics[at], places[at], radii[at], dots[at]) for at in order]
    labels = [_label(found.topics[at], places[at], radii[at]) for at in order]
    return svg(WIDTH, HEIGHT, "Map of what users asked", [*bubbles, *labels])


def hue(number: int) -> int:
    """The colour of a topic, in degrees; red and green are for what users liked."""
    return HUES[number % len(HUES)]


def _by_topic(dots: Sequence[Dot], topics: int) -> list[list[Dot]]:
    every = math.ceil(len(dots) / MOST_DOTS)
    mine: list[list[Dot]] = [[] for _ in range(topics)]
    for dot in dots[::every]:
        mine[dot.topic].append(dot)
    return [sorted(some, key=lambda dot: (not dot.new, dot.mood)) for some in mine]


def _packed(centres: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (n x 2) and radii of circles that do not overlap, near where their topics lie, fitted into the chart."""
    spread = centres - centres.mean(axis=0)
    axes = np.linalg.svd(spread, full_matrices=False)[2][:2] if len(centres) > 2 else np.eye(2, centres.shape[1])
    places = spread @ axes.T
    places = places / (np.abs(places).max(axis=0) + 1e-9) if len(axes) == 2 else np.zeros((len(centres), 2))
    places = places * np.array([WIDTH / HEIGHT, 1]) * radii.sum() * 0.4
    places += np.array([[math.cos(at * GOLDEN), math.sin(at * GOLDEN)] for at in range(len(places))]) * 0.01
    gap = radii.mean() * 0.12
    for turn in range(ROUNDS):
        apart = places[:, None] - places[None]
        distance = np.linalg.norm(apart, axis=2) + np.eye(len(places)) * 1e9 + 1e-6
        push = np.clip(radii[:, None] + radii[None] + gap - distance, 0, None) / distance
        pull = PULL if turn < ROUNDS * 0.8 else 1.0  # at the end they only get out of each other's way
        places = places * pull + (apart * push[..., None]).sum(axis=1) * 0.35
    low, high = (places - radii[:, None]).min(axis=0), (places + radii[:, None]).max(axis=0)
    scale = float(min((np.array([WIDTH, HEIGHT]) - 8) / (high - low)))
    scale = min(scale, HEIGHT * 0.24 / float(radii.max()))
    middle = (low + high) / 2
    return (places - middle) * scale + np.array([WIDTH, HEIGHT]) / 2, radii * scale


def _bubble(topic: Topic, place: np.ndarray, radius: float, dots: Sequence[Dot]) -> Markup:
    """A circle with its dots in the spiral of a sunflower: new ones in the middle."""
    head = Markup('<g style="--h:{}"><title>{}</title><circle class="bubble" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>')
    words = f"{topic.name}: {topic.rows:,} prompts, {topic.share:.0%}"
    parts = [head.format(hue(topic.number), words, place[0], place[1], radius)]
    size = max(min(radius / math.sqrt(len(dots) + 1) * 0.62, 5.5), 1.2)
    for at, dot in enumerate(dots):
        reach = (radius - size - 1.5) * math.sqrt((at + 0.5) / len(dots))
        x, y = place + reach * np.array([math.cos(at * GOLDEN), math.sin(at * GOLDEN)])
        kind = " ".join(filter(None, ("seed", dot.mood, "" if dot.new else "old")))
        parts.append(Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(kind, x, y, size))
    return Markup().join([*parts, Markup("</g>")])


def _label(topic: Topic, place: np.ndarray, radius: float) -> Markup:
    words = topic.words[: 2 if radius > 26 else 1]
    size = min(15.0, max(10.0, radius / 4.2))
    top = place[1] - (len(words) - 1) * size * 0.58 + size * 0.35
    lines = [
        Markup('<tspan x="{:.1f}" y="{:.1f}">{}</tspan>').format(place[0], top + at * size * 1.16, word[:LABEL])
        for at, word in enumerate(words)
    ]
    return Markup('<text class="name" font-size="{:.1f}">{}</text>').format(size, Markup().join(lines))
