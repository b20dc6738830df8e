"""Which rows may be trained on, and why the others are not: the first rule that applies is the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from configs.mixing import ANSWERS, MixSettings, MixSource, leading
from storage.by_id import distinct, of_ids
from storage.columns import MESSAGES, SCORES
from storage.lake import Lake
from storage.opinions import until
from tasks.mix.sample import Sample
from tasks.mix.spread import first_words, limited, spread, user_share
from tasks.text.rules import score_rules, with_reason

KEPT = ["id", "batch", "part", "source", "order"]
TEXTS = {"id": pl.String(), "messages": MESSAGES}
POOL = 2
"""Rows whose embeddings are compared, as a multiple of those that a mixture takes at most."""


@dataclass(frozen=True)
class Candidates:
    """What the rules say.

    Args:
        rows: id, batch, part (the name of its source in the recipe), source and order of the rows that passed; sorted
            by order.
        left_out: `id`, `reason` of the others.
        pool: `id`, `user_hash`, `ruled_out` (by a rule on scores) and scores of every row of the leading sources that
            could be learned from, were there no such rules; None where rows have no scores.
        texts: `id`, `messages` of rows that were read for the rules, most of `rows` among them.
        notes: why a rule was not applied, by its reason.
    """

    rows: pl.DataFrame
    left_out: pl.DataFrame
    pool: pl.DataFrame | None = None
    texts: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TEXTS))
    notes: Mapping[str, str] = field(default_factory=dict)


def conversations(lake: Lake, stage: str, settings: MixSettings, sample: Sample) -> Candidates:
    """Curated rows: documents and all of the general set for continued pre-training, else conversations.

    Args:
        lake: where the tables are.
        stage: cpt, or one of ANSWERS or PROMPTS.
        settings: the rules, the recipe, and how many rows of each part are taken at most.
        sample: the order of the rows, and the newest batch that counts.
    """
    wanted = pl.col("kind") == "conversation"
    if stage == "cpt":
        wanted = (pl.col("kind") == "document") | (pl.col("domain") == "general")
    answers, most = stage in ANSWERS, settings.max_rows
    recipe = [source for source in settings.recipe(stage) if source.table == "curated"]
    rules = score_rules(settings.select, answers=answers)
    curated = (
        until(lake.read("curated"), sample.batch)
        .filter(wanted, pl.col("split") == "train")
        .select("id", "batch", "source", "language", "domain", *SCORES, part=_part(recipe))
        .join(_users(lake), on="id", how="left")
    )
    rows = (
        with_reason(lake, curated, sample.batch, settings.select, answers=answers)
        .with_columns(
            reason=_in_recipe(pl.col("reason")),
            reviewed=pl.col("decision").eq_missing("keep"),
            replay=_replay(recipe),
        )
        .with_columns(ruled_out=pl.any_horizontal(rule.fill_null(False) for rule in rules.values()))
        .collect()
    )
    leaders = [source.name for source in leading(settings.recipe(stage))]
    pool = rows.filter(pl.col("part").is_in(leaders), pl.col("reason").ne_missing("disliked"))
    ordered = _ordered(rows, sample)
    first = _first(ordered, POOL * most)
    texts = messages_of(lake, first, sample.batch)
    described = _with(_with(ordered, _vectors(lake, first)), texts.select("id", opening=first_words()))
    chosen, notes = spread(described, settings.select, most, sample.seed)
    pool = pool.select("id", "user_hash", "ruled_out", *SCORES)
    return replace(_taken(chosen, most), pool=pool, texts=texts, notes=notes)


def judgements(lake: Lake, stage: str, settings: MixSettings, sample: Sample) -> Candidates:
    """Preferences: single answers with a label for kto, pairs of answers for the others; the same judgement once.

    Pairs that the model sampled itself (best_of_n) answer prompts of users and are only compared with each other: a
    cap on synthetic text, which is there to be imitated, would not concern them. For the arguments see `conversations`.
    """
    recipe = [source for source in settings.recipe(stage) if source.table == "preferences"]
    kind, compared = ("label", "label") if stage == "kto" else ("pair", "rejected")
    same = pl.struct("prompt", "chosen", compared)
    rows = (
        until(lake.read("preferences"), sample.batch)
        .filter(pl.col("kind") == kind, pl.col("split") == "train")
        .sort("id")
        .select(
            "id",
            "batch",
            "target_id",
            source="origin",
            part=_part(recipe),
            reviewed=pl.col("origin") == "review",
            reason=pl.when(pl.col("chosen").str.strip_chars().fill_null("") == "")
            .then(pl.lit("no_answer"))
            .when(pl.col("chosen") == pl.col("rejected"))
            .then(pl.lit("no_difference"))
            .when(pl.lit(kind == "label") & (pl.col("label").n_unique().over("prompt", "chosen") > 1))
            .then(pl.lit("contradicted"))
            .when(~same.is_first_distinct())
            .then(pl.lit("repeated")),
        )
        .with_columns(reason=_in_recipe(pl.col("reason")), replay=_replay(recipe))
        .join(_users(lake).rename({"id": "target_id"}), on="target_id", how="left", maintain_order="left")
        .collect()
    )
    ordered, most = _ordered(rows, sample), settings.max_rows
    return _taken(limited(ordered, "user_share", lambda some: user_share(some, settings.select, most)), most)


def messages_of(lake: Lake, ids: pl.Series, batch: str) -> pl.DataFrame:
    """`id`, `messages` of curated rows, as they were up to a batch."""
    return distinct(until(of_ids(lake, "curated", ids), batch).select("id", "messages"), "id").collect()


def replayed(sources: Sequence[MixSource]) -> list[str]:
    """Names of the sources that are there against forgetting."""
    return [source.name for source in sources if source.replay]


def _replay(sources: Sequence[MixSource]) -> pl.Expr:
    """Whether a row is there against forgetting."""
    return pl.col("part").is_in(replayed(sources)).fill_null(False)


def _part(sources: Sequence[MixSource]) -> pl.Expr:
    """Name of the first of some sources of one table that takes a row; null where none does."""
    found = pl.lit(None, dtype=pl.String)
    for source in reversed(sources):
        columns = {"origin": source.select.origins, "domain": source.select.domains}
        columns |= {"source": source.select.sources, "language": source.select.languages}
        takes = [pl.col(column).is_in(list(values)).fill_null(False) for column, values in columns.items() if values]
        found = pl.when(pl.all_horizontal(pl.lit(True), *takes)).then(pl.lit(source.name)).otherwise(found)
    return found


def _in_recipe(reason: pl.Expr) -> pl.Expr:
    """A reason, or that no source of the recipe takes a row."""
    return pl.when(pl.col("part").is_null()).then(pl.lit("not_in_recipe")).otherwise(reason)


def _users(lake: Lake) -> pl.LazyFrame:
    """Whose conversation is whose: `id`, `user_hash`."""
    return distinct(lake.read("interactions").select("id", "user_hash"), "id")


def _ordered(rows: pl.DataFrame, sample: Sample) -> pl.DataFrame:
    """`rows` as a sample takes them, with their `order`, and `turn`: their place."""
    return sample.sorted(rows.with_columns(sample.order(rows["id"]))).with_row_index("turn")


def _first(rows: pl.DataFrame, most: int) -> pl.Series:
    """Ids of the first so many rows of each part that have no reason."""
    return rows.filter(pl.col("reason").is_null()).filter(pl.int_range(pl.len()).over("part") < most)["id"]


def _vectors(lake: Lake, ids: pl.Series) -> pl.DataFrame:
    """`id`, `vector` of rows; all of one embedding model."""
    found = of_ids(lake, "embeddings", ids).select("id", "model", "vector")
    vectors = distinct(found, "id").collect()
    commonest = vectors["model"].value_counts().sort("count", "model", descending=True)["model"].head(1)
    return vectors.filter(pl.col("model").is_in(commonest.implode())).select("id", "vector")


def _with(rows: pl.DataFrame, described: pl.DataFrame) -> pl.DataFrame:
    """`rows` with what is known of some of them, by their ids."""
    return rows.join(described, on="id", how="left", maintain_order="left")


def _taken(rows: pl.DataFrame, most: int) -> Candidates:
    """The rows without a reason, in order, and at most so many of each part."""
    passed = rows.filter(pl.col("reason").is_null()).sort("turn")
    taken = passed.filter(pl.int_range(pl.len()).over("part") < most)
    beyond = passed.join(taken, on="id", how="anti").select("id", reason=pl.lit("beyond_max_rows"))
    left_out = pl.concat([rows.filter(pl.col("reason").is_not_null()).select("id", "reason"), beyond])
    return Candidates(taken.select(KEPT), left_out)
