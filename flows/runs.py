"""Which batches are still to be worked through, and from which champion a run on them starts.

A run that was killed is carried on by the next one: its batches are not finished, its champion stays the one it began
with, and every step that is done already is skipped by its fingerprint. So nothing here needs Prefect's result cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from configs.settings import Settings
from flows.batches import collected_batches, settings_hash, unfinished_batches
from storage import registry, verdicts
from storage.lake import Lake, LakeError
from storage.publish import publish
from storage.registry import Model
from storage.snapshot import Snapshot, digest
from storage.tables import TABLES
from storage.verdicts import Decision
from tasks.evaluate.harness import open_benchmarks
from tasks.lm.embed import embedding_folder
from tasks.lm.load import load_tokenizer, resolve
from tasks.lm.named import with_template
from tasks.lm.template import TemplateError, template_hash


@dataclass(frozen=True)
class Run:
    """One run of the pipeline.

    Args:
        batch: the newest of its batches; names the run.
        batches: what it works through, oldest first.
        champion: the model that serves as the run begins: parent of what it trains.
        base: the first model of this lake; scores are always its scores, so that they can be compared.
    """

    batch: str
    batches: Sequence[str]
    champion: Model
    base: Model


def current(lake: Lake, settings: Settings, *, unfinished: bool = False) -> Run | None:
    """The run that is to be done, begun or carried on: the batches that no run has finished, else the newest one.

    The champion that a run starts from is pinned when it begins: a run that was killed after it promoted its model
    must not train on from that. Where somebody else made another one champion meanwhile, the run starts anew from that:
    with a former champion nothing can be compared any more.

    Args:
        lake: where the batches are.
        settings: changed settings make the newest batch unfinished again.
        unfinished: give None when every batch is finished, instead of the newest one.

    Raises:
        MissingModelError: the base model cannot be found.
        TemplateError: a model's chat template is not the one that it was trained with.
    """
    batches = unfinished_batches(lake, settings)
    if not batches and not unfinished:
        batches = collected_batches(lake)[-1:]
    if not batches:
        return None
    base, batch = base_model(lake, settings), batches[-1]
    if verdicts.champion(lake) is None:
        verdicts.decide(lake, Decision(base.id, None, "promote", ["The first model of this lake."]), batch="base")
    started = lake.read("runs", batch=batch, step="start").collect()
    begun = started.filter(pl.col("settings_hash") == settings_hash(settings))
    if begun.height and _goes_on(lake, batch, begun["champion"][0]):
        champion = begun["champion"][0]
    else:
        champion = verdicts.champion(lake)
        row = _row(batch, "start", settings, champion)
        key = digest("start", settings_hash(settings), str(champion))
        publish(lake, "runs", row, step="start", batch=batch, key=key)
    model = same_template(registry.get(lake, champion))
    if settings.template != "own" and model.template_hash != base.template_hash:
        raise TemplateError(
            f"{model.id} serves with another chat template ({model.template_hash}) than the settings name "
            f"({settings.template}, {base.template_hash}): set template back, or begin another lake."
        )
    return Run(batch=batch, batches=batches, champion=model, base=base)


def _goes_on(lake: Lake, batch: str, pinned: str) -> bool:
    """Whether the champion that a run began with still serves, or was replaced by the run itself."""
    if verdicts.champion(lake) == pinned:
        return True
    move = verdicts.promotions(lake).filter(pl.col("verdict").is_in(verdicts.MOVES)).row(-1, named=True)
    return (move["batch"], move["champion"]) == (batch, pinned)


def finish(lake: Lake, run: Run, settings: Settings) -> None:
    """Mark the run's batches as done."""
    for batch in run.batches:
        row = _row(batch, "finish", settings, run.champion.id)
        publish(lake, "runs", row, step="finish", batch=batch, key=digest("finish", settings_hash(settings)))


def base_model(lake: Lake, settings: Settings) -> Model:
    """The model that the settings name, registered.

    Raises:
        MissingModelError: it cannot be found: says where it was looked for and how to get it.
        TemplateError: it has no chat template, cannot use the one that is named, or has another one than before.
    """
    folder = resolve(settings.model_name_or_path)
    marks = (folder / "config.json").read_bytes()
    sizes = (f"{file.name}:{file.stat().st_size}" for file in sorted(folder.glob("*.safetensors")))
    template = () if settings.template == "own" else (settings.template,)
    name = f"base-{digest(marks, *sizes, *template)[:12]}"
    if registry.find(lake, name) is not None:
        return same_template(registry.get(lake, name))
    if settings.template != "own":
        folder = with_template(folder, settings.template, lake.folder("models") / name)
    model = Model(
        id=name,
        kind="lm",
        stage="base",
        path=str(folder),
        template_hash=template_hash(load_tokenizer(folder)),
    )
    registry.register(lake, model, batch="base")
    return model


def same_template(model: Model) -> Model:
    """The model, whose folder still has the chat template that it was registered with.

    Raises:
        TemplateError: it has another one: it would be served and trained otherwise than it was trained.
    """
    found = template_hash(load_tokenizer(model.path))
    if found != model.template_hash:
        raise TemplateError(
            f"The chat template in {model.path} ({found}) is not the one that {model.id} was trained with "
            f"({model.template_hash}): put it back, or begin another lake."
        )
    return model


def check_models(settings: Settings) -> None:
    """See that the models that rows are scored by, and the tasks that models do, are there, before anything is spent.

    Raises:
        EmbeddingError: minilm is not installed.
        MissingModelError: another model cannot be found.
        Mistake: a task of the lm-evaluation-harness cannot be opened.
    """
    if settings.score.embedding_model is not None and settings.score.embedding_endpoint is None:
        embedding_folder(settings.score.embedding_model)
    for key in ("toxicity_model", "reward_model"):
        if (name := getattr(settings.score, key)) is not None:
            resolve(name, f"score.{key}")
    open_benchmarks(settings.evaluate.harness, settings.seed)


def collected(batch: str) -> Snapshot:
    """The snapshot of a collected batch: what `collect` returned when it published it."""
    return Snapshot(table="interactions", step="collect", batch=batch, version=0, fingerprint=digest("collect", batch))


def mixed(lake: Lake, stage: str, mixture: str) -> Snapshot:
    """The snapshot of a mixture that was made before.

    Raises:
        LakeError: there is none of that id for this stage.
    """
    step = f"mix_{stage}"
    if not lake.read("manifests", batch=mixture, step=step).collect().height:
        raise LakeError(f"No mixture {mixture} for {stage} in {lake.uri}: leave it out, and one is mixed.")
    return Snapshot(table="mixtures", step=step, batch=mixture, version=0, fingerprint=mixture)


def emptied(batch: str) -> Snapshot:
    """The snapshot of the curated rows of a batch whose raw text is gone."""
    return Snapshot(table="curated", step="score", batch=batch, version=0, fingerprint=digest("emptied", batch))


def _row(batch: str, step: str, settings: Settings, champion: str | None) -> pl.DataFrame:
    row = {
        "id": f"{batch}/{step}",
        "settings_hash": settings_hash(settings),
        "champion": champion,
        "at": datetime.now(UTC),
    }
    return pl.DataFrame([row], schema={name: TABLES["runs"].schema[name] for name in row})
