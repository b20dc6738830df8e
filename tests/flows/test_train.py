"""The flows of the stages, each alone, on a lake that was curated before."""

import logging
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import Artifact

from configs.mistake import Mistake
from configs.settings import OptionalSettings, Settings
from flows.curate import curate
from flows.nightly import flywheel
from flows.remote import run_elsewhere
from flows.runs import current
from flows.train import first_parent, train_sft, train_stages
from storage import registry, verdicts
from storage.lake import Lake, LakeError
from storage.verdicts import Decision
from tasks.train.job import TrainingError
from tests.flows.small import small_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, prefect_server: str) -> Settings:
    settings = small_settings(tmp_path_factory.mktemp("train"), tiny_model, stages=("sft",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.progress.SECONDS", 0.0)
        curate(settings)
    return settings


@pytest.fixture(scope="module")
def sft(curated: Settings) -> str:
    """A model that `train_sft` trained by itself."""
    return train_sft(curated) or ""


def changed(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"train": settings.train.model_copy(update=changes)})


def artifacts(run: str, key: str) -> list[Artifact]:
    with get_client(sync_client=True) as client:
        return client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])),
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[run])),
        )


def test_curating_shows_how_far_it_is(curated: Settings) -> None:
    (shown,) = artifacts(f"curate into {curated.lake}", "progress-collect-reading")
    assert (shown.type, shown.data) == ("progress", 100.0)


def test_a_stage_stands_alone_and_is_not_trained_twice(curated: Settings, sft: str) -> None:
    lake = Lake(curated.lake)
    model = registry.get(lake, sft)
    assert (model.stage, registry.known(lake, model.parent or "").stage) == ("sft", "base")
    assert train_sft(curated) == sft
    assert train_sft(curated, mixture=model.mixture) == sft
    assert registry.models(lake).filter(stage="sft").height == 1
    assert verdicts.champion(lake) == model.parent  # it promotes nothing
    shown = artifacts(f"train-sft in {curated.lake}", "progress-train-sft")
    assert [(found.type, found.data) for found in shown] == [("progress", 100.0)]
    assert "train: sft: 2/2 steps, loss" in (shown[0].description or "")


def test_a_stage_without_anything_new_is_skipped_with_the_reason(
    curated: Settings, sft: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert train_sft(curated, parent=sft) is None
    assert "sft is skipped: 0 new rows, fewer than mix.min_rows = 2: they wait for the next batch" in caplog.messages
    with pytest.raises(LakeError, match="No mixture 0123 for sft in"):
        train_sft(curated, mixture="0123")


def test_the_chain_starts_from_the_champion_or_from_the_base(curated: Settings, sft: str) -> None:
    lake = Lake(curated.lake)
    base = verdicts.champion(lake)
    verdicts.decide(lake, Decision(sft, base, "promote", ["A test."]), batch="test")
    later = curated.promote.model_copy(update={"resamples": curated.promote.resamples + 1})  # makes it another run
    champions = {}
    for start in ("champion", "base"):
        settings = changed(curated.model_copy(update={"promote": later}), start=start)
        run = current(lake, settings)
        assert run is not None
        champions[start] = (run.champion.id, first_parent(run, settings).id, train_stages(lake, run, settings))
    verdicts.rollback(lake, "The test is over.")
    # from the champion there is nothing new to learn; from the base comes what serves already
    assert champions == {"champion": (sft, sft, None), "base": (sft, base, None)}


def test_a_training_elsewhere_is_that_of_one_model_in_one_lake(
    curated: Settings, sft: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same logs in another lake come to the same model's name."""
    keys: list[str] = []
    monkeypatch.setattr("flows.train.run_elsewhere", lambda _, work: keys.extend(work))
    lake, settings = Lake(curated.lake), changed(curated, deployments=True)
    run = current(lake, settings)
    assert run is not None
    train_stages(lake, run, settings)
    assert keys == [lake.path("models", sft)]


def test_trainings_wait_for_slots_of_the_gpu(curated: Settings, sft: str) -> None:
    settings = changed(curated, gpu_slots=1)
    with pytest.raises(Mistake, match="flywheel deploy --gpus COUNT"):
        train_sft(settings)
    with get_client(sync_client=True) as client:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name="gpu", limit=1))
        assert train_sft(settings) == sft
        assert client.read_global_concurrency_limit_by_name("gpu").active_slots == 0


def test_a_deployment_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(Mistake, match="Prefect has no deployment train-sft/train-sft"):
        run_elsewhere("train-sft/train-sft", {"key": {}})


def test_a_reward_model_is_trained_beside_the_chain(curated: Settings) -> None:
    lake, off = Lake(curated.lake), curated.train.cpt.model_copy(update={"enabled": False})
    given = off.model_dump(exclude={"enabled"}) | {"enabled": True}
    settings = changed(curated, cpt=off, sft=off, dpo=off, reward=OptionalSettings.model_validate(given))
    run = current(lake, settings)
    assert run is not None
    assert train_stages(lake, run, settings) is None
    assert registry.models(lake).filter(kind="reward", parent=run.champion.id)["stage"].to_list() == ["reward"]


def test_a_chain_that_cannot_work_is_refused_before_anything_is_spent(curated: Settings) -> None:
    learned = curated.train.sft.model_copy(update={"finetuning_type": "prefix"})
    lake = changed(curated, sft=learned).model_copy(update={"lake": f"{curated.lake}-refused"})
    with pytest.raises(TrainingError, match=r"train\.sft\.finetuning_type is prefix, which cannot be merged"):
        flywheel(lake)
    assert not Lake(lake.lake).read("interactions").collect().height
