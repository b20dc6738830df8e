"""The graph of models: which was trained from which, who became champion, and what became of the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from markupsafe import Markup

from storage.lake import Lake
from storage.verdicts import champion, promotions
from tasks.report.charts import svg

MOST = 24
"""The newest models are shown, and the champion's ancestors among the others."""
WIDTH, HEIGHT, ACROSS, DOWN = 150, 46, 196, 64  # of a model, and from one to the next
MARGIN = 4
FORMER = "was champion"


@dataclass(frozen=True)
class Node:
    """A model of the graph.

    Args:
        model: its id.
        stage: that trained it.
        batch: that it was trained on.
        parent: a node that is shown, or None.
        verdict: on it, or empty; a model between two stages has none.
        served: whether it is the champion or one of its ancestors.
    """

    model: str
    stage: str
    batch: str
    parent: str | None
    verdict: str
    served: bool


def nodes(lake: Lake) -> list[Node]:
    """The models that are shown, every parent before its children; of children, what serves first, then the newest."""
    rows = lake.read("models").filter(kind="lm").sort("created_at").collect()
    parents = dict(rows.select("id", "parent").iter_rows())
    verdicts = dict(promotions(lake).filter(pl.col("verdict") != "rollback").select("model", "verdict").iter_rows())
    gone_back = set(promotions(lake).filter(verdict="rollback")["champion"])
    line = _ancestors(parents, champion(lake))
    shown = {*rows["id"].tail(MOST), *line[:MOST]}
    order = {name: at for at, name in enumerate(rows["id"])}
    about = {row["id"]: row for row in rows.iter_rows(named=True)}
    found: list[Node] = []
    near = {name: _near(parents, shown, name) for name in shown}
    todo = sorted((name for name in shown if near[name] is None), key=lambda name: -order[name])
    while todo:
        name = todo.pop()
        verdict = "rollback" if name in gone_back and name not in line else verdicts.get(name, "")
        found.append(Node(name, about[name]["stage"], about[name]["batch"], near[name], verdict, name in line))
        children = [one for one in shown if near[one] == name]
        todo += sorted(children, key=lambda one: (one in line, order[one]))
    return found


def graph(found: Sequence[Node]) -> Markup:
    """The graph: generations from left to right, the way to the champion along the top."""
    places = _places(found)
    wide = max(x for x, _ in places.values()) * ACROSS + WIDTH + 2 * MARGIN
    tall = max(y for _, y in places.values()) * DOWN + HEIGHT + 2 * MARGIN
    links = [_link(places[node.parent], places[node.model], node) for node in found if node.parent is not None]
    shapes = [_shape(places[node.model], node, champion=node == _last(found)) for node in found]
    picture = svg(wide, tall, "Which model was trained from which", [*links, *shapes])
    return Markup('<div style="width: {}px">{}</div>').format(wide, picture)


def _ancestors(parents: Mapping[str, str | None], model: str | None) -> list[str]:
    """A model and those that it comes from, newest first."""
    line: list[str] = []
    while model is not None and model in parents:
        line.append(model)
        model = parents[model]
    return line


def _near(parents: Mapping[str, str | None], shown: set[str], model: str) -> str | None:
    """The nearest ancestor that is shown."""
    return next((one for one in _ancestors(parents, parents[model]) if one in shown), None)


def _last(found: Sequence[Node]) -> Node | None:
    return next((node for node in reversed(found) if node.served), None)


def _places(found: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """Column and row of each model: the first child goes on in its parent's row, every other one begins a row."""
    places: dict[str, tuple[int, int]] = {}
    begun: set[str | None] = set()
    rows = 0
    for node in found:
        column, row = places[node.parent] if node.parent is not None else (-1, 0)
        if node.parent in begun:
            rows += 1
            row = rows
        begun.add(node.parent)
        places[node.model] = (column + 1, row)
    return places


def _link(start: tuple[int, int], end: tuple[int, int], node: Node) -> Markup:
    x, y = start[0] * ACROSS + WIDTH + MARGIN, start[1] * DOWN + HEIGHT / 2 + MARGIN
    right, down = end[0] * ACROSS + MARGIN, end[1] * DOWN + HEIGHT / 2 + MARGIN
    middle = x + (ACROSS - WIDTH) / 2
    path = Markup('<path class="link{}" d="M{} {}C{} {} {} {} {} {}"/>')
    return path.format(" served" if node.served else "", x, y, middle, y, middle, down, right, down)


def _shape(place: tuple[int, int], node: Node, *, champion: bool) -> Markup:
    x, y = place[0] * ACROSS + MARGIN, place[1] * DOWN + MARGIN
    kind = "champion" if champion else "served" if node.served else node.verdict
    words = f"{node.model}, {node.stage}, batch {node.batch}" + (f": {node.verdict}" if node.verdict else "")
    note = "champion" if champion else FORMER if node.served and node.verdict == "promote" else node.verdict
    parts = [
        Markup('<g class="model {}"><title>{}</title>').format(kind, words),
        Markup('<rect x="{}" y="{}" width="{}" height="{}" rx="9"/>').format(x, y, WIDTH, HEIGHT),
        Markup('<text class="stage" x="{}" y="{}">{}</text>').format(x + 11, y + 19, node.stage.upper()),
        Markup('<text class="note" x="{}" y="{}" text-anchor="end">{}</text>').format(x + WIDTH - 11, y + 19, note),
        Markup('<text class="id" x="{}" y="{}">{}</text></g>').format(x + 11, y + 36, node.model),
    ]
    return Markup().join(parts)
