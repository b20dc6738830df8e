"""Engines of our own: another model than the champion, an adapter, and what vLLM is told about them."""

from contextlib import ExitStack

import pytest
import torch
from peft import LoraConfig, get_peft_model
from pydantic import ValidationError

from configs.evidence import JudgeSettings
from configs.settings import SynthesizeSettings
from tasks.inference.engine import Request, Sampling
from tasks.inference.engines import OwnServer, open_engine
from tasks.lm.load import MissingModelError, load
from tests.tiny_model import make_tiny_model

REQUEST = Request(({"role": "user", "content": "Where are my notes?"},), seed=1)
GREEDY = Sampling(max_new_tokens=12, temperature=0.0, top_p=1.0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Of two models, and of an adapter for the first one that changes what it says."""
    home = tmp_path_factory.mktemp("models")
    champion = make_tiny_model(home / "champion")
    other = make_tiny_model(home / "other")
    torch.manual_seed(1)
    config = LoraConfig(r=12, init_lora_weights=False, target_modules="all-linear", task_type="CAUSAL_LM")
    get_peft_model(load(champion).model, config).save_pretrained(home / "adapter")
    return champion, other, home / "adapter"


def answer(settings: SynthesizeSettings, champion) -> tuple[str, str, str]:
    with open_engine(settings, str(champion)) as engine:
        ((_, completion),) = engine.generate([REQUEST], GREEDY)
        return engine.model, engine.identity, completion.text


def test_an_adapter_changes_who_answers_and_what(folders):
    champion, _, adapter = folders
    plain = answer(SynthesizeSettings(engine="transformers"), champion)
    adapted = answer(SynthesizeSettings(engine="transformers", lora_adapter=str(adapter)), champion)
    assert (plain[0], adapted[0]) == ("champion", "champion+adapter")
    assert plain[1] != adapted[1]
    assert plain[2] != adapted[2]


def test_another_model_answers_unless_it_must_be_the_champion(folders):
    champion, other, adapter = folders
    settings = SynthesizeSettings(engine="transformers", model=str(other), lora_adapter=str(adapter))
    with open_engine(settings, str(champion)) as engine:
        assert engine.folder == other
    with open_engine(settings, str(champion), on_policy=True) as engine:
        assert (engine.folder, engine.model) == (champion, "champion")


def test_what_is_no_adapter_is_said_before_anything_starts(folders):
    champion, other, _ = folders
    settings = SynthesizeSettings(engine="transformers", lora_adapter=str(other))
    with pytest.raises(MissingModelError, match=r"synthesize\.lora_adapter: .* no adapter_config\.json"):
        answer(settings, champion)


def test_a_model_that_is_not_there_is_said_by_the_key_that_names_it(folders):
    for settings in (SynthesizeSettings, JudgeSettings):
        wrong = settings(engine="transformers", model="/no/model")
        with pytest.raises(MissingModelError, match=rf"No model folder /no/model: set {settings.section}\.model to"):
            answer(wrong, folders[0])


def test_endpoints_and_a_model_of_our_own_exclude_each_other():
    with pytest.raises(ValidationError, match="set endpoint_model"):
        SynthesizeSettings(endpoints=("http://127.0.0.1:1/v1",), model="smollm2")


def test_vllm_is_told_about_adapter_and_memory(folders):
    champion, _, adapter = folders
    settings = SynthesizeSettings(
        tensor_parallel_size=4, gpu_memory_utilization=0.5, vllm_arguments=("--quantization=fp8",)
    )
    with ExitStack() as stack:
        given = OwnServer(champion, adapter, "both", "id", settings, stack).command
        plain = OwnServer(champion, None, "champion", "id", SynthesizeSettings(), stack).command
    assert given[-6:] == [
        "--enable-lora",
        f"--lora-modules=both={adapter}",
        "--max-lora-rank=16",
        "--tensor-parallel-size=4",
        "--gpu-memory-utilization=0.5",
        "--quantization=fp8",
    ]
    assert f"--model={champion}" in given
    assert not any("lora" in one or "parallel" in one or "utilization" in one for one in plain)
