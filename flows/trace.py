"""Where a row went and what a model learned from, as a tree: for the terminal, and as JSON."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl
from rich.tree import Tree

from configs.mistake import Mistake
from storage.lake import Lake
from storage.lineage import descent, mixed_files, mixtures_with, models_with
from storage.names import names
from storage.verdicts import champion

SHOWN = 20
"""Rows of a kind that the terminal shows; JSON has them all."""


class TraceError(Mistake):
    """There is nothing of that id; the message says where was looked."""


@dataclass(frozen=True)
class Node:
    """A row, a mixture or a model, and what came of it.

    Args:
        kind: the table that it stands in.
        id: its id there.
        facts: what is worth knowing of it; no text of users.
        children: what was made of it; of a model: what it was made of.
    """

    kind: str
    id: str
    facts: Mapping[str, Any]
    children: tuple["Node", ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


FACTS: Mapping[str, tuple[str, ...]] = {
    "interactions": ("batch", "source", "occurred_at", "conversation_id", "user_hash", "consent"),
    "quarantine": ("batch", "source", "uri", "position", "reason"),
    "feedback": ("batch", "kind", "value", "target_id", "user_hash"),
    "duplicates": ("batch", "kept_id", "similarity", "reason"),
    "scrubbed": ("batch", "origin"),
    "splits": ("batch", "group", "split"),
    "curated": ("batch", "origin", "split", "language", "domain"),
    "synthetic": ("batch", "method", "model", "seed_ids"),
    "preferences": ("batch", "kind", "origin", "target_id", "split"),
}
"""What is shown of the rows of each table, in the order of the pipeline."""


def trace(lake: Lake, name: str) -> Node:
    """What an id stands for, and what came of it.

    Args:
        lake: where to look.
        name: id of a model or a mixture, or of a row of any table, as the lake or the product's log has it.

    Raises:
        TraceError: nothing bears that id.
    """
    for found in (_model(lake, name), _mixture(lake, name), _row(lake, name)):
        if found is not None:
            return found
    raise TraceError(
        f"Nothing in {lake.uri} is called {name}: give the id of a record, as logged or as in a table, "
        "of a mixture or of a model (`flywheel status` names the champion)."
    )


def as_tree(node: Node) -> Tree:
    """For the terminal; long lists are cut."""
    tree = Tree(_label(node))
    _grow(tree, node)
    return tree


def _grow(tree: Tree, node: Node) -> None:
    by_kind: dict[str, list[Node]] = {}
    for child in node.children:
        by_kind.setdefault(child.kind, []).append(child)
    for kind, children in by_kind.items():
        for child in children[:SHOWN]:
            _grow(tree.add(_label(child)), child)
        if len(children) > SHOWN:
            tree.add(f"[dim]and {len(children) - SHOWN:,} more {kind} (--json has all)[/]")


def _label(node: Node) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in node.facts.items() if value not in (None, "", []))
    return f"[bold]{node.kind}[/] {node.id} [dim]{facts}[/]"


def _row(lake: Lake, name: str) -> Node | None:
    known = names(lake, *(source for source, _ in mixed_files(lake)))
    found = descent(lake, "row", known.of("row", name))
    rows = [row for table in FACTS for row in _rows(lake, table, found.within(table))]
    mixtures = mixtures_with(lake, found)
    used = tuple(_with_models(lake, row) for row in mixtures.iter_rows(named=True))
    if not rows:  # of a file it lies in mixtures alone
        return Node("row of a file", name, {}, used) if used else None
    first, *others = rows
    return Node(first.kind, first.id, first.facts, (*others, *used))


def _rows(lake: Lake, table: str, condition: pl.Expr) -> Iterable[Node]:
    found = lake.read(table).filter(condition).select("id", *FACTS[table]).sort("id").collect()
    for row in found.iter_rows(named=True):
        yield Node(table, row.pop("id"), row)


def _with_models(lake: Lake, mixture: Mapping[str, Any]) -> Node:
    """A mixture that used rows, and the models trained on it and from these."""
    serves = champion(lake)
    models = models_with(lake, [mixture["batch"]])
    trained = tuple(_model_node(row, serves) for row in models.iter_rows(named=True))
    return Node("mixtures", mixture["batch"], {"stage": mixture["stage"], "rows_of_it": mixture["rows"]}, trained)


def _model(lake: Lake, name: str) -> Node | None:
    """A model with its mixture and the rows of that, and the model it was trained from."""
    known = {row["id"]: row for row in lake.read("models").collect().iter_rows(named=True)}
    if name not in known:
        return None
    row = known[name]
    children = [_mixture(lake, row["mixture"]), _model(lake, row["parent"]) if row["parent"] else None]
    node = _model_node(row, champion(lake))
    return Node(node.kind, node.id, node.facts, tuple(child for child in children if child is not None))


def _model_node(row: Mapping[str, Any], serves: str | None) -> Node:
    facts = {name: row[name] for name in ("stage", "parent", "batch", "created_at")}
    return Node("models", row["id"], facts | ({"serves": True} if row["id"] == serves else {}))


def _mixture(lake: Lake, name: str | None) -> Node | None:
    """A mixture with its rows."""
    if name is None:
        return None
    manifest = lake.read("manifests", batch=name).select("stage", "rows", "manifest").collect()
    if manifest.is_empty():
        return None
    rows = lake.read("mixtures", batch=name).select("id", "source", "trained_tokens").sort("id").collect()
    children = tuple(
        Node("mixture row", row["id"], {key: row[key] for key in ("source", "trained_tokens")})
        for row in rows.iter_rows(named=True)
    )
    facts = {"stage": manifest["stage"][0], "rows": rows.height}
    erased = manifest["rows"][0] - rows.height
    if erased:
        facts |= {"erased": erased, "reproducible": False}
    return Node("mixtures", name, facts, children)
