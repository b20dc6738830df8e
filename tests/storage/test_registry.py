"""Models are registered once; the champion pointer moves by compare-and-swap and can go back."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from storage.lake import Lake, LakeError
from storage.registry import Model, find, register
from storage.verdicts import Decision, champion, decide, promotions, rollback


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    for name in ("base", "one", "two"):
        register(found, Model(name, "lm", "sft", str(found.folder("models", name)), "t"), batch="0")
    decide(found, Decision("base", None, "promote", ["The first one."]), batch="0")
    return found


def promote(lake: Lake, model: str, over: str, batch: str) -> bool:
    return decide(lake, Decision(model, over, "promote", ["Better."], {"metrics": []}), batch=batch)


def test_a_model_is_registered_once_and_found_where_the_lake_lies(lake: Lake) -> None:
    register(lake, Model("one", "lm", "sft", lake.path("models", "one"), "t"), batch="0")
    assert lake.read("models").collect().height == 3
    model = find(lake, "one")
    assert model is not None
    assert model.path == lake.path("models", "one")
    assert find(lake, "nobody") is None


def test_a_promotion_moves_the_pointer_and_a_repeat_changes_nothing(lake: Lake) -> None:
    assert promote(lake, "one", "base", "1")
    assert not promote(lake, "one", "base", "1")
    assert champion(lake) == "one"
    assert promotions(lake)["sequence"].to_list() == [1, 2]


def test_hold_and_reject_leave_the_pointer(lake: Lake) -> None:
    decide(lake, Decision("one", "base", "hold", ["Too few."]), batch="1")
    decide(lake, Decision("two", "base", "reject", ["Worse."]), batch="2")
    assert champion(lake) == "base"
    assert promotions(lake).height == 3


def test_a_challenger_of_a_former_champion_is_told(lake: Lake) -> None:
    promote(lake, "one", "base", "1")
    with pytest.raises(LakeError, match="two was compared with base, but one is the champion now"):
        promote(lake, "two", "base", "2")
    assert champion(lake) == "one"


def test_rollback_goes_back_step_by_step(lake: Lake) -> None:
    promote(lake, "one", "base", "1")
    promote(lake, "two", "one", "2")
    assert rollback(lake, "It broke.").model == "one"
    assert rollback(lake, "So did this.").model == "base"
    assert champion(lake) == "base"
    with pytest.raises(LakeError, match="nothing to go back to"):
        rollback(lake, "And this.")
    assert promotions(lake)["verdict"].to_list()[-2:] == ["rollback", "rollback"]


def test_after_a_rollback_the_same_models_can_serve_again_and_go_again(lake: Lake) -> None:
    promote(lake, "one", "base", "1")
    rollback(lake, "It broke.")
    promote(lake, "one", "base", "1 once more")
    rollback(lake, "It broke again.")
    assert champion(lake) == "base"
    assert promotions(lake).height == 5


def test_rollback_to_a_named_model_skips_those_after_it(lake: Lake) -> None:
    promote(lake, "one", "base", "1")
    promote(lake, "two", "one", "2")
    rollback(lake, "Both broke.", to="base")
    assert champion(lake) == "base"
    with pytest.raises(LakeError, match="one is no former champion"):
        rollback(lake, "Wrong way.", to="one")


def _race(uri: str, model: str, gate: "multiprocessing.synchronize.Barrier", out: "multiprocessing.Queue[str]") -> None:
    lake = Lake(uri)
    gate.wait()
    try:
        promote(lake, model, "base", model)
        out.put("won")
    except LakeError as error:
        out.put(str(error))


def test_of_two_promoters_at_once_one_wins_and_the_other_is_told(lake: Lake) -> None:
    context = multiprocessing.get_context("spawn")  # the Delta library's threads do not survive a fork
    gate, out = context.Barrier(2), context.Queue()
    racers = [context.Process(target=_race, args=(lake.uri, name, gate, out)) for name in ("one", "two")]
    for racer in racers:
        racer.start()
    answers = sorted(out.get(timeout=60) for _ in racers)
    for racer in racers:
        racer.join()
    assert answers[1] == "won"
    assert f"but {champion(lake)} is the champion now" in answers[0]
    assert promotions(lake).height == 2


def test_verdicts_that_move_nothing_never_lose_a_race(lake: Lake) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        pool.starmap(_hold, [(lake.uri, str(number)) for number in range(6)])
    history = promotions(lake)
    assert history["sequence"].to_list() == list(range(1, 8))


def _hold(uri: str, batch: str) -> None:
    decide(Lake(uri), Decision("one", "base", "hold", ["Too few."]), batch=batch)


def _keep_promoting(uri: str) -> None:
    lake = Lake(uri)
    for number in range(1000):
        before, after = ("base", "one") if number % 2 == 0 else ("one", "base")
        promote(lake, after, before, str(number))


@pytest.mark.parametrize("seconds", [0.05, 0.12, 0.21])
def test_a_killed_promoter_leaves_a_whole_pointer(lake: Lake, seconds: float) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_keep_promoting, args=(lake.uri,))
    process.start()
    while champion(lake) == "base" and process.is_alive():
        time.sleep(0.01)
    time.sleep(seconds)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    history = promotions(lake)
    assert history["sequence"].to_list() == list(range(1, history.height + 1))
    now = champion(lake)
    assert now in {"base", "one"}
    assert promote(lake, "two", now, "next")
    assert champion(lake) == "two"
