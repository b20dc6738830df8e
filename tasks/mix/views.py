"""From chosen rows to what a trainer reads: text, prompt (and completion), or prompt, chosen and rejected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from configs.mixing import ANSWERS, JUDGED, PAIRS, PROMPTS
from storage.by_id import of_ids
from storage.lake import Lake
from storage.opinions import until
from storage.progress import progress
from storage.tables import TABLES
from tasks.lm.template import TemplateError, encode, is_document, render
from tasks.mix.select import Candidates, messages_of
from tasks.text.contamination import contaminated, index_of
from tasks.text.conversation import dialogue, user_text

View = dict[str, Any]
"""The columns of a mixture that a stage reads, with `tokens` and `trained_tokens`."""
ASKING = ("user", "tool")
"""Whose turn an answer follows."""
LEFT_OUT = {"id": pl.String(), "reason": pl.String()}


@dataclass(frozen=True)
class Tokens:
    """How texts are counted.

    Args:
        tokenizer: of the model that will be trained.
        max_length: tokens of a row at most.
    """

    tokenizer: Any
    max_length: int

    def count(self, messages: list[Mapping[str, Any]]) -> tuple[int, int]:
        """Tokens, and those that are trained on; `max_length + 1` stands for all that is longer."""
        encoded = encode(self.tokenizer, messages, self.max_length + 1)
        return len(encoded.input_ids), sum(encoded.answer)

    def of_prompt(self, messages: list[Mapping[str, Any]]) -> int:
        """Tokens of a prompt with the opening of the answer."""
        text = render(self.tokenizer, messages, generation=True)
        return len(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def conversation_texts(lake: Lake, stage: str, batch: str, candidates: Candidates) -> pl.DataFrame:
    """Candidates with their messages, the answer that somebody wrote instead, and the answers somebody disliked.

    Columns: those of `candidates.rows`, messages, edit, rejected (list), and in_holdout: whether it gives away a part
    of the sealed holdout (see `tasks.text.contamination`).
    """
    rows = candidates.rows.lazy().join(_texts(lake, batch, candidates), on="id", how="left", maintain_order="left")
    preferences = until(lake.read("preferences"), batch)
    said = preferences.filter(pl.col("kind") == "pair")
    by_target = pl.col("target_id").alias("id")
    edits = said.filter(pl.col("origin") == "edit").sort("id").group_by(by_target).agg(edit=pl.col("chosen").last())
    worse = [said.filter(pl.col("origin") != "best_of_n").select(by_target, "rejected")]
    if stage == "cpt":
        return _marked(lake, batch, rows.collect(), "messages", [])
    if stage in PROMPTS:  # their answers are no targets, whatever `drop_thumbs_down` says, and would be bad references
        disliked = preferences.filter(pl.col("kind") == "label", ~pl.col("label"))
        worse.append(disliked.select(by_target, rejected="chosen"))
    rows = rows.join(edits, on="id", how="left", maintain_order="left")
    rejected = pl.concat(worse).group_by("id").agg("rejected")
    rows = rows.join(rejected, on="id", how="left", maintain_order="left")
    return _marked(lake, batch, rows.collect(), "messages", ["edit"])


def _texts(lake: Lake, batch: str, candidates: Candidates) -> pl.LazyFrame:
    """`id`, `messages` of all candidates: those that the rules read, and the others."""
    others = candidates.rows.join(candidates.texts, on="id", how="anti")["id"]
    return pl.concat([candidates.texts, messages_of(lake, others, batch)]).lazy()


def outside_texts(lake: Lake, stage: str, batch: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of files (see `tasks.mix.outside`) as the views read them: nobody judged them here."""
    if stage in JUDGED:
        columns = ["id", "batch", "part", "source", "order", "comes_from", "prompt", "chosen", "rejected", "label"]
        return _marked(lake, batch, rows.select(columns), "prompt", ["chosen", "rejected"])
    columns = ["id", "batch", "part", "source", "order", "comes_from", "messages"]
    if stage == "cpt":
        return _marked(lake, batch, rows.select(columns), "messages", [])
    nothing = {"edit": pl.lit(None, pl.String), "rejected": pl.lit(None, pl.List(pl.String))}
    return _marked(lake, batch, rows.select(columns).with_columns(**nothing), "messages", ["edit"])


def judged_texts(lake: Lake, batch: str, candidates: pl.DataFrame) -> pl.DataFrame:
    """Candidates with their prompt, chosen and rejected text, and in_holdout."""
    said = until(of_ids(lake, "preferences", candidates["id"]), batch)
    texts = said.select("id", "prompt", "chosen", "rejected", "label")
    rows = candidates.lazy().join(texts, on="id", how="left", maintain_order="left")
    return _marked(lake, batch, rows.collect(), "prompt", ["chosen", "rejected"])


def make_views(
    rows: pl.DataFrame, view: Callable[[Mapping[str, Any]], View | str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Turn rows into mixture rows; and `id`, `reason` of those for which `view` gives a reason instead."""
    made: list[View] = []
    left_out: list[tuple[str, str]] = []
    for row in progress(rows.iter_rows(named=True), rows.height, "mix: counting tokens", "rows"):
        result = "in_holdout" if row["in_holdout"] else view(row)
        if isinstance(result, str):
            left_out.append((row["id"], result))
        else:
            keys = {name: row[name] for name in ("id", "part", "source", "order")}
            made.append(keys | {"from_batch": row["batch"], "comes_from": row.get("comes_from")} | result)
    columns = TABLES["mixtures"].columns
    schema: dict[str, pl.DataType] = {"order": pl.UInt64(), **dict.fromkeys(("id", "part", "from_batch"), pl.String())}
    schema |= {name: kind for name, kind in columns.items() if name not in {"stage", "replay"}}
    return pl.DataFrame(made, schema=schema), pl.DataFrame(left_out, schema=LEFT_OUT, orient="row")


def text_view(row: Mapping[str, Any], tokens: Tokens) -> View | str:
    """Continued pre-training: a document as it is; a conversation as the model reads it, so it goes on chatting."""
    messages = row["messages"]
    try:
        text = render(tokens.tokenizer, messages)
    except TemplateError:
        return "template_refuses"
    if not is_document(messages):
        text = text.removeprefix(tokens.tokenizer.bos_token or "")
    count = len(tokens.tokenizer(text, verbose=False)["input_ids"])
    trained = count - -(-count // tokens.max_length)  # the first token of each piece has nothing before it
    if trained <= 0:
        return "nothing_to_train"
    return {"text": text, "tokens": count, "trained_tokens": trained}


def answer_view(row: Mapping[str, Any], tokens: Tokens) -> View | str:
    """Fine-tuning: the last answer, given all before it. Somebody's edit takes the place of the logged answer."""
    messages = row["messages"]
    if not messages or messages[-1]["role"] != "assistant" or len(messages) < 2:
        return "no_answer"
    answer = row["edit"] or messages[-1]["content"]
    if not (answer or "").strip():
        return "no_answer"
    if answer in (row["rejected"] or ()):
        return "disliked"
    completion = [_answer(answer)]
    return _counted(messages[:-1], {"completion": completion}, tokens)


def prompt_view(row: Mapping[str, Any], tokens: Tokens) -> View | str:
    """Learning by trying: the prompt; its answer, unless somebody disliked it, is a reference to compare with.

    What will be trained on nobody knows before the model has written it: the prompt's tokens stand for it.
    """
    messages = row["messages"]
    answered = bool(messages) and messages[-1]["role"] == "assistant"
    prompt = messages[:-1] if answered else messages
    if not prompt or prompt[-1]["role"] not in ASKING:
        return "no_prompt"
    answer = row["edit"] or (messages[-1]["content"] if answered else None)
    reference = None if not answer or not answer.strip() or answer in (row["rejected"] or ()) else [_answer(answer)]
    try:
        count = tokens.of_prompt(prompt)
    except TemplateError:
        return "template_refuses"
    if count > tokens.max_length:
        return "too_long"
    return {"prompt": prompt, "completion": reference, "tokens": count, "trained_tokens": count}


def pair_view(row: Mapping[str, Any], tokens: Tokens) -> View | str:
    """Preference optimisation: the same prompt with a better and a worse answer."""
    if not row["prompt"]:
        return "no_prompt"
    answers = {name: [_answer(row[name])] for name in ("chosen", "rejected")}
    return _counted(row["prompt"], answers, tokens)


def label_view(row: Mapping[str, Any], tokens: Tokens) -> View | str:
    """Optimisation on thumbs: an answer that somebody liked is `chosen`, one that somebody disliked is `rejected`."""
    if not row["prompt"]:
        return "no_prompt"
    return _counted(row["prompt"], {"chosen" if row["label"] else "rejected": [_answer(row["chosen"])]}, tokens)


VIEWS: Mapping[str, Callable[[Mapping[str, Any], Tokens], View | str]] = {
    "cpt": text_view,
    **dict.fromkeys(ANSWERS, answer_view),
    **dict.fromkeys(PROMPTS, prompt_view),
    **dict.fromkeys(PAIRS, pair_view),
    "kto": label_view,
}
"""What each stage reads of a row, or the reason why it cannot."""


def _counted(prompt: list[Any], answers: dict[str, list[dict[str, Any]]], tokens: Tokens) -> View | str:
    try:
        counts = [tokens.count([*prompt, *answer]) for answer in answers.values()]
    except TemplateError:
        return "template_refuses"
    if any(count > tokens.max_length for count, _ in counts):
        return "too_long"
    if any(trained == 0 for _, trained in counts):
        return "nothing_to_train"
    total, trained = (sum(part) for part in zip(*counts, strict=True))
    return {"prompt": prompt, **answers, "tokens": total, "trained_tokens": trained}


def _answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def _marked(lake: Lake, batch: str, rows: pl.DataFrame, messages: str, answers: list[str]) -> pl.DataFrame:
    """`rows` with in_holdout. Of the holdout only keyed hashes are known here."""
    if rows.is_empty():
        return rows.with_columns(in_holdout=pl.lit(False))
    index = index_of(until(lake.read("sealed"), batch).collect())
    whole = pl.concat_str(dialogue(messages), *answers, separator="\n", ignore_nulls=True)
    texts = rows.select(asked=user_text(messages), whole=whole)
    found = [contaminated(text, index, lake.secret())["row"] for text in texts]
    return rows.with_columns(in_holdout=pl.int_range(pl.len()).is_in(pl.concat(found).to_list()))
