"""What each rule of selection left out, with examples, and what chance and length would have chosen instead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from storage.by_id import of_ids
from storage.lake import Lake
from tasks.report import tables
from tasks.text.conversation import last_answer, user_text

MOST_CHARS = 160
HIDDEN = ("in_holdout",)
"""Rules whose examples would give away the test."""

RULES: Mapping[str, str] = {
    "too_short": "shorter than min_chars",
    "repetitive": "the same words again and again",
    "symbols": "more symbols than text",
    "perplexity": "stranger, or more trivial, than the rest of its language",
    "toxic": "toxic, says the model for it",
    "refusal": "the answer refuses",
    "low_reward": "users would not like the answer",
    "disliked": "a user disliked the answer",
    "rejected_in_review": "somebody who looked at it said no",
    "similar": "says what a better row says",
    "topic_share": "its topic has its share already",
    "template_share": "questions that begin like this one have their share already",
    "user_share": "its user has their share already",
    "not_in_recipe": "no source of the recipe takes it",
    "unreadable": "a record that no known format explains",
    "beyond_top": "not among the best",
    "beyond_max_rows": "beyond max_rows, by the sample's order",
    "beyond_share": "more than its part's share of tokens",
    "in_holdout": "gives away a part of the sealed holdout",
    "too_long": "longer than max_length",
    "no_answer": "no answer to learn",
    "no_prompt": "no prompt to answer",
    "no_difference": "both answers read the same",
    "repeated": "the same judgement again",
    "contradicted": "liked by one, disliked by another",
    "rip_poor_rejected": "RIP: even for a rejected answer a bad one",
    "rip_short_rejected": "RIP: the rejected answer is short",
    "rip_wide_gap": "RIP: the answers lie too far apart to teach much",
}
"""What a rule that is not obvious means; another is called by its name."""

FIGURES: Mapping[str, tuple[str, str]] = {
    "overlap": ("Rows in common", "share"),
    "ruled_out": ("Fail a rule on scores", "share"),
    "reward": ("Reward, mean", "figure"),
    "perplexity": ("Perplexity, median", "figure"),
    "ifd": ("Instruction difficulty, median", "figure"),
    "repetition": ("Repetition, mean", "share"),
    "refusals": ("Refusals", "share"),
    "chars": ("Characters, median", "count"),
    "largest_user": ("Rows of the busiest user", "share"),
}
"""Figures of the choices that are compared: what they are called, and how they are written."""
CHOICES: Mapping[str, str] = {
    "chosen": "Chosen",
    "random": "At random",
    "longest": "The longest",
    "all": "All there is",
}


@dataclass(frozen=True)
class Rule:
    """A rule and what it left out: `examples` are texts; `note` says why it could not be applied."""

    name: str
    meaning: str
    rows: int
    examples: tuple[tuple[str, str], ...]  # what the user wrote, the answer
    note: str = ""


@dataclass(frozen=True)
class Selection:
    """Selection for a stage: `baselines` has a line per figure, with a value for each of CHOICES."""

    stage: str
    rules: tuple[Rule, ...]
    baselines: tuple[tuple[str, str, tuple[float | None, ...]], ...]


def selections(lake: Lake, batch: str) -> list[Selection]:
    """What selection did for each stage of a batch; nothing of stages that had nothing to leave out."""
    manifests = tables.manifests(lake, batch)
    wanted = {name for manifest in manifests for names in _examples(manifest).values() for name in names}
    ids = pl.Series(sorted(wanted), dtype=pl.String)
    texts = _conversations(lake, ids) | _judged(lake, ids)
    found = [_selection(manifest, texts) for manifest in manifests]
    return [one for one in found if one.rules]


def _examples(manifest: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Ids of the rows that may be shown, by the rule that left them out."""
    return {rule: names for rule, names in manifest.get("examples", {}).items() if rule not in HIDDEN}


def _selection(manifest: Mapping[str, Any], texts: Mapping[str, tuple[str, str]]) -> Selection:
    dropped, notes, examples = manifest.get("dropped", {}), manifest.get("notes", {}), _examples(manifest)
    rules = [
        Rule(
            name.replace("_", " "),
            RULES.get(name, "by a limit of the settings"),
            rows,
            tuple(texts[one] for one in examples.get(name, ()) if one in texts),
        )
        for name, rows in sorted(dropped.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    rules += [Rule(name.replace("_", " "), RULES.get(name, ""), 0, (), note) for name, note in notes.items()]
    return Selection(manifest["stage"], tuple(rules), _compared(manifest.get("baselines", {})))


def _compared(baselines: Mapping[str, Mapping[str, Any]]) -> tuple[tuple[str, str, tuple[float | None, ...]], ...]:
    lines = [
        (title, how, tuple(baselines.get(choice, {}).get(name) for choice in CHOICES))
        for name, (title, how) in FIGURES.items()
    ]
    return tuple(line for line in lines if any(value is not None for value in line[2]))


def _conversations(lake: Lake, ids: pl.Series) -> dict[str, tuple[str, str]]:
    return _texts(of_ids(lake, "curated", ids).select("id", asked=user_text(), answer=last_answer()))


def _judged(lake: Lake, ids: pl.Series) -> dict[str, tuple[str, str]]:
    return _texts(of_ids(lake, "preferences", ids).select("id", asked=user_text("prompt"), answer="chosen"))


def _texts(rows: pl.LazyFrame) -> dict[str, tuple[str, str]]:
    short = pl.col("asked", "answer").fill_null("").str.replace_all(r"\s+", " ").str.head(MOST_CHARS)
    return {name: (asked, answer) for name, asked, answer in rows.with_columns(short).collect().iter_rows()}
