"""What each stage reads: texts, answers, pairs, thumbs, prompts."""

from pathlib import Path

import pytest

from configs.mixing import MixSource, RowFilter
from configs.settings import CollectSettings, MixSettings
from configs.training import OnlineSettings
from storage.lake import Lake
from tasks.mix.task import mix
from tests.tasks.mix.lakes import (
    BATCH,
    GENERAL,
    OPEN,
    PREFERENCES,
    USER,
    books_of,
    curate,
    prefer,
    rows_of,
    run,
    talk,
)


def test_documents_and_general_conversations_are_text_for_pretraining(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    page = {"role": "document", "content": "Our printer has two trays. " * 30}
    curate(lake, [talk("page", kind="document", messages=[page]), talk("chat"), talk("g", domain="general")])
    mixture = run(lake, model, stage="cpt", sources=(GENERAL.model_copy(update={"weight": 0.5}), USER))
    rows = rows_of(lake, mixture)
    assert rows["id"].to_list() == ["g", "page"]
    assert rows["text"][0].startswith("<|im_start|>user\n")
    assert rows["text"][1] == page["content"]
    assert rows["trained_tokens"][1] < rows["tokens"][1]


def test_pairs_keep_prompt_chosen_and_rejected(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pair = {
        "kind": "pair",
        "origin": "edit",
        "target_id": "t",
        "prompt": prompt,
        "chosen": "Team.",
        "rejected": "None.",
    }
    prefer(
        lake,
        [
            pair | {"id": "1"},
            pair | {"id": "2"},
            pair | {"id": "3", "rejected": "Team."},
            pair | {"id": "4", "chosen": " "},
            pair | {"id": "5", "chosen": "Basic.", "split": "holdout"},
            {"id": "6", "kind": "label", "origin": "thumb", "target_id": "t", "label": True, "chosen": "Team."},
            pair | {"id": "7", "origin": "best_of_n", "chosen": "Small."},
        ],
    )
    rows = rows_of(lake, run(lake, model, stage="dpo"))
    assert rows["id"].to_list() == ["1", "7"]
    assert rows["chosen"][0][0]["content"] == "Team."
    assert rows["rejected"][0][0] == rows["rejected"][1][0]
    assert books_of(lake, "dpo") == {"mixed": 2, "repeated": 1, "no_difference": 1, "no_answer": 1}


def test_judgements_are_replayed_where_their_source_is(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pair = {"kind": "pair", "target_id": "t", "prompt": prompt, "rejected": "None."}
    old = [pair | {"id": f"o{at}", "origin": "best_of_n", "chosen": f"Team {at}."} for at in range(4)]
    prefer(lake, [*old, *(pair | {"id": f"n{at}", "origin": "edit", "chosen": f"Plan {at}."} for at in range(4))])
    own = RowFilter(origins=("best_of_n",))
    sources = (MixSource(name="old", table="preferences", select=own, weight=0.5, replay=True), PREFERENCES)
    rows = rows_of(lake, run(lake, model, stage="dpo", sources=sources))
    assert dict(rows.select("id", "replay").iter_rows()) == {row["id"]: row["id"][0] == "o" for row in rows.to_dicts()}
    assert set(rows["replay"]) == {True, False}


def test_thumbs_become_liked_and_disliked_answers(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    thumb = {"kind": "label", "origin": "thumb", "target_id": "t", "prompt": prompt, "chosen": "Team.", "label": True}
    prefer(
        lake,
        [
            thumb | {"id": "1"},
            thumb | {"id": "2"},
            thumb | {"id": "3", "chosen": "None.", "label": False},
            thumb | {"id": "4", "chosen": "Some."},
            thumb | {"id": "5", "chosen": "Some.", "label": False},
            thumb | {"id": "6", "split": "holdout"},
        ],
    )
    rows = rows_of(lake, run(lake, model, stage="kto"))
    assert rows["id"].to_list() == ["1", "3"]
    assert rows["chosen"].to_list()[0][0]["content"] == "Team."
    assert rows["rejected"].to_list()[1][0]["content"] == "None."
    assert rows["rejected"][0] is None
    assert books_of(lake, "kto") == {"mixed": 2, "repeated": 1, "contradicted": 2}


@pytest.mark.parametrize("stage", ["orpo", "reward"])
def test_every_stage_that_compares_reads_pairs(tmp_path: Path, model: str, stage: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pair = {"kind": "pair", "origin": "edit", "target_id": "t", "prompt": prompt, "chosen": "Team.", "rejected": "No."}
    prefer(lake, [pair | {"id": "1"}, pair | {"id": "2", "split": "holdout"}])
    rows = rows_of(lake, run(lake, model, stage=stage))
    assert [turns[0]["content"] for turns in (rows["chosen"][0], rows["rejected"][0])] == ["Team.", "No."]
    assert set(rows["stage"]) == {stage}


def test_the_answers_of_a_teacher_are_those_of_fine_tuning(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("a"), talk("refuses", refusal=True)])
    taught, tuned = (rows_of(lake, run(lake, model, stage=stage)) for stage in ("distill", "sft"))
    columns = ["id", "prompt", "completion", "tokens", "trained_tokens"]
    assert taught.select(columns).equals(tuned.select(columns))
    assert taught["id"].to_list() == ["a"]


@pytest.mark.parametrize("stage", ["grpo", "rloo"])
def test_prompts_come_with_a_reference_where_nobody_disliked_the_answer(tmp_path: Path, model: str, stage: str) -> None:
    lake = Lake(str(tmp_path))
    asked = [{"role": "user", "content": "Is there anybody at all?"}]
    system = [{"role": "system", "content": "Be brief."}]
    rows = [talk("good", refusal=True), talk("edited"), talk("down"), talk("redone", answer="Bad.")]
    curate(lake, [*rows, talk("asked", messages=asked), talk("empty", messages=system), talk("long", "and on " * 400)])
    prefer(
        lake,
        [
            {"id": "1", "kind": "pair", "origin": "edit", "target_id": "edited", "chosen": "Better.", "rejected": "x"},
            {
                "id": "2",
                "kind": "label",
                "origin": "thumb",
                "target_id": "down",
                "label": False,
                "chosen": rows[2]["messages"][1]["content"],
            },
            {
                "id": "3",
                "kind": "pair",
                "origin": "regenerate",
                "target_id": "redone",
                "chosen": "C",
                "rejected": "Bad.",
            },
        ],
    )
    mixed = rows_of(lake, run(lake, model, stage=stage))
    references = {row["id"]: row["completion"] and row["completion"][0]["content"] for row in mixed.to_dicts()}
    good = rows[0]["messages"][1]["content"]
    assert references == {"asked": None, "good": good, "edited": "Better.", "down": None, "redone": None}
    assert all(turns[-1]["role"] == "user" for turns in mixed["prompt"])
    assert mixed["tokens"].min() > 0  # type: ignore[operator]
    assert books_of(lake, stage) == {"mixed": 5, "no_prompt": 1, "too_long": 1}
    tight = OnlineSettings(max_length=256, max_completion_length=255)  # one token is left for the prompt
    assert mix.fn(lake, stage, BATCH, MixSettings(select=OPEN), CollectSettings(), tight, model, 1).snapshot is None
