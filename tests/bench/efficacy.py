"""Does the wheel make the model better, and does it refuse to make it worse? Nights of a maths product, some poisoned.

Users ask the questions of gsm8k_train and like the answers. Three good nights come first; then nights whose answers
somebody tampered with, liked all the same; then a night without news. General text is replayed throughout. Beside it,
the first night again with shares of rows that the model generated itself.
"""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench._efficacy_data import Pair, in_chinese, log_general, log_night, questions, refused, shuffled
from tests.bench._efficacy_page import write
from tests.bench._efficacy_turn import Night, settings_in, turn, with_generated
from tests.bench._table import show
from tests.tiny_model import make_tiny_model

PAGE = Path("build") / "efficacy.html"
MAX_FORGETTING = 0.05  # nats per token, against the first model


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Args:
        rows: conversations of a night.
        general: general conversations, all on the first night.
        train: settings of the SFT stage.
        shares: of generated rows, of trained tokens; without any, that is the first night.
        nights: what happens in each.
    """

    rows: int
    general: int
    train: Mapping[str, Any]
    shares: Sequence[float]
    nights: Sequence[str]


NO_NEWS = "no news"
TAMPER: Mapping[str, Callable[[Sequence[Pair]], list[Pair]]] = {
    "good": list,
    "10% shuffled": lambda night: shuffled(night, 0.1),  # first: what is doubtful stays so in all nights after it
    "answers shuffled": shuffled,
    "all refusals": refused,
    "wrong language": in_chinese,
}
"""What becomes of a night's questions and answers before they are logged, by the kind of the night."""
FULL = Size(
    100,
    60,
    {"max_steps": 30, "per_device_train_batch_size": 2, "max_length": 256, "learning_rate": 3e-4},
    (0.25, 0.5),
    ["good", "good", *TAMPER, NO_NEWS],
)
QUICK = Size(
    96,
    80,
    {"max_steps": 8, "max_length": 768, "learning_rate": 3e-3},
    (),
    ["good", "good", "answers shuffled", "all refusals", NO_NEWS],
)


def run(*, quick: bool) -> dict[str, Any]:
    """Turn the wheel night by night; with SmolLM2 about an hour on two cores, `quick` takes a tiny model.

    Returns:
        nights: of each its kind, primary_delta and primary_lower_bound (nats per token by which the loss on endorsed
        held-out answers fell, against the champion), general_delta (by which general loss rose over the first model),
        verdict and whether the champion moved; shares: the same for the first night with shares of generated rows;
        page: a picture of it; ok: good nights were promoted, no other moved it, nothing was forgotten.
    """
    size = QUICK if quick else FULL
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as made:
        folder = Path(made)
        os.environ.setdefault("PREFECT_HOME", f"{folder}/prefect")
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
        model = str(make_tiny_model(folder / "tiny")) if quick else "smollm2"
        settings = settings_in(folder, model, size.train)
        pairs = questions(settings.seed)
        log_general(folder, size.general)
        nights, shares = [], []
        for number, kind in enumerate(size.nights):
            if kind != NO_NEWS:
                log_night(folder, number, TAMPER[kind](pairs[number * size.rows : (number + 1) * size.rows]))
            if number == 0 and size.shares:
                shares = with_generated(settings, size.shares, size.rows // 2)
            nights.append(turn(settings, kind))
            _say(number, nights[-1])
    if shares:
        shares.insert(0, replace(nights[0], kind="0%"))
    _show("Night by night", "night", nights)
    if shares:
        _show("The first night with generated rows", "share", shares)
    return {
        "nights": [night.figures() for night in nights],
        "shares": [night.figures() for night in shares],
        "page": str(write(PAGE, nights, shares)),
        "ok": _is_ok(nights),
    }


def _is_ok(nights: Sequence[Night]) -> bool:
    good = [night for night in nights if night.kind == "good"]
    return (
        all(night.moved and night.primary is not None and night.primary.lower > 0 for night in good)
        and not any(night.moved for night in nights if night.kind != "good")
        and all(night.general is None or -night.general.delta <= MAX_FORGETTING for night in nights if night.moved)
    )


def _say(number: int, night: Night) -> None:
    for reason in night.reasons:
        print(f"{number} {night.kind}: {reason}", flush=True)


def _show(title: str, first: str, nights: Sequence[Night]) -> None:
    columns = ("kind", "primary_delta", "primary_lower_bound", "general_delta", "verdict", "seconds")
    titles = [first, "loss fell by", "at least", "general rose by", "verdict", "seconds"]
    show(title, titles, [[night.figures()[name] for name in columns] for night in nights])
