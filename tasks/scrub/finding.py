"""A finding: where in a text something personal or secret stands, and of what type."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class ScrubError(Exception):
    """A text could not be looked at to the end: its row must not be curated."""


@dataclass(frozen=True, order=True)
class Finding:
    """Characters `start` to `end` of a text are of `type`.

    Args:
        start: first character.
        end: one past the last character.
        type: entity type, in Presidio's names (PERSON, EMAIL_ADDRESS ...).
        score: confidence, 0 to 1.
    """

    start: int
    end: int
    type: str
    score: float

    def moved(self, offset: int) -> "Finding":
        """The same finding in a text that begins `offset` characters earlier."""
        return Finding(self.start + offset, self.end + offset, self.type, self.score)


Findings = list[Finding]
Looked = Findings | str
"""What was found in a paragraph, or, when it could not be looked at to the end, why."""


def resolve(findings: Iterable[Finding], text: str) -> list[Finding]:
    """Findings that do not overlap, in order; spaces at their ends are left out.

    Where several overlap, all their characters go, under the type of the surest, then longest one: cutting one off
    at the other's edge would leave a piece of it readable.
    """
    clusters: list[list[Finding]] = []
    end = -1
    for finding in sorted(_trimmed(findings, text)):
        if finding.start < end:
            clusters[-1].append(finding)
        else:
            clusters.append([finding])
        end = max(end, finding.end)
    return [_merged(cluster) for cluster in clusters]


def clipped(findings: Sequence[Finding], start: int, end: int) -> list[Finding]:
    """The parts of findings between `start` and `end`, moved to begin at `start`."""
    return [
        Finding(max(f.start, start) - start, min(f.end, end) - start, f.type, f.score)
        for f in findings
        if f.start < end and f.end > start
    ]


def _merged(cluster: Sequence[Finding]) -> Finding:
    best = max(cluster, key=_rank)
    return Finding(min(f.start for f in cluster), max(f.end for f in cluster), best.type, best.score)


def _rank(finding: Finding) -> tuple[float, int]:
    return finding.score, finding.end - finding.start


def _trimmed(findings: Iterable[Finding], text: str) -> Iterable[Finding]:
    for finding in findings:
        found = text[finding.start : finding.end]
        start = finding.start + len(found) - len(found.lstrip())
        end = finding.end - (len(found) - len(found.rstrip()))
        if start < end:
            yield Finding(start, end, finding.type, finding.score)
