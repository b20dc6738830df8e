"""What a verdict rests on, as the gate hands it to the registry and the report reads it back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

TASK = "task:"
"""How the metric of a task of the lm-evaluation-harness begins; its name follows."""


@dataclass(frozen=True)
class Comparison:
    """Two models by one metric, on the same items.

    Args:
        name: of the metric.
        role: primary, guardrail, veto or info.
        better: lower or higher.
        champion: mean over the items, by weight, of the model that serves.
        challenger: the same of the model that wants to.
        delta: improvement, in the metric's unit: above 0 the challenger is better, whichever way the metric runs.
        lower: one-sided lower confidence bound of `delta`.
        upper: one-sided upper confidence bound of `delta`.
        items: how many items both models were scored on.
        groups: how many conversations these belong to: what the bounds rest on.
        won: conversations on which the challenger is better.
        lost: conversations on which it is worse; the others are ties.
        limit: by how much the challenger may be worse; None where nothing hangs on it.
        passed: whether the metric allows a promotion: `lower` is above `-limit`, or a veto is not raised; None where
            nothing hangs on it.
    """

    name: str
    role: str
    better: str
    champion: float
    challenger: float
    delta: float
    lower: float
    upper: float
    items: int
    groups: int
    won: int = 0
    lost: int = 0
    limit: float | None = None
    passed: bool | None = None


@dataclass(frozen=True)
class Sample:
    """What both models answered to the same prompt."""

    prompt: str
    champion: str
    challenger: str


@dataclass(frozen=True)
class Evidence:
    """All comparisons and some answers side by side."""

    metrics: tuple[Comparison, ...] = ()
    samples: tuple[Sample, ...] = ()

    @property
    def primary(self) -> Comparison | None:
        """The comparison that decides."""
        return next((metric for metric in self.metrics if metric.role == "primary"), None)

    def to_dict(self) -> dict[str, Any]:
        """What `promotions.evidence` holds as JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Evidence":
        """The other way round; an empty mapping, as of a first champion, gives empty evidence."""
        return cls(
            metrics=tuple(Comparison(**metric) for metric in data.get("metrics", ())),
            samples=tuple(Sample(**sample) for sample in data.get("samples", ())),
        )
