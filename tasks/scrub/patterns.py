"""Runs Presidio's pattern recognizers over a text: the same API and scores, but a timeout is an error.

Presidio's own loop logs a timeout and goes on, as if nothing had been found, and needs lemmas for context words. Here
a word of context counts when it stands near the match, in any language, at the beginning of a word.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex
from presidio_analyzer import EntityRecognizer, PatternRecognizer

from tasks.scrub.finding import Finding, ScrubError

TIMEOUT = 5.0  # seconds of one pattern on one text
BEFORE, AFTER = 80, 40  # characters beside a match that may hold context
BOOST, BOOSTED = 0.35, 0.4  # Presidio's LemmaContextAwareEnhancer: added to the score, and the least it becomes


def scan(recognizer: EntityRecognizer, text: str, threshold: float) -> Iterator[Finding]:
    """What one recognizer finds in `text` with at least `threshold`.

    Raises:
        ScrubError: a pattern took too long.
    """
    found = _matches(recognizer, text) if isinstance(recognizer, PatternRecognizer) else _analyzed(recognizer, text)
    for finding in found:
        score = finding.score
        if score < threshold and recognizer.context and near(tuple(recognizer.context), text, finding):
            score = max(score + BOOST, BOOSTED)
        if score >= threshold:
            yield Finding(finding.start, finding.end, finding.type, score)


def near(words: tuple[str, ...], text: str, finding: Finding) -> bool:
    """Whether one of `words` stands near the finding, case aside."""
    before = text[max(0, finding.start - BEFORE) : finding.start]
    after = text[finding.end : finding.end + AFTER]
    return _words(words).search(f"{before}\n{after}") is not None


def compile_patterns(recognizer: Any) -> None:
    """Compile what `scan` will need; for all recognizers together it takes seconds, which no text should wait for."""
    for pattern in getattr(recognizer, "patterns", ()):
        _compiled(pattern.regex, recognizer.global_regex_flags)
    if recognizer.context:
        _words(tuple(recognizer.context))


def _matches(recognizer: Any, text: str) -> Iterator[Finding]:
    """Presidio's rules: a passed validation is certain, a failed one or an invalidation is nothing."""
    for pattern in recognizer.patterns:
        compiled = _compiled(pattern.regex, recognizer.global_regex_flags)
        try:
            for match in compiled.finditer(text, timeout=TIMEOUT):
                valid = recognizer.validate_result(match[0]) if match[0] else False
                if valid is False or recognizer.invalidate_result(match[0]):
                    continue
                score = EntityRecognizer.MAX_SCORE if valid else pattern.score
                yield Finding(match.start(), match.end(), recognizer.supported_entities[0], score)
        except TimeoutError as error:
            raise ScrubError(f"{recognizer.name}: pattern {pattern.name} took over {TIMEOUT:.0f} s") from error


def _analyzed(recognizer: Any, text: str) -> Iterator[Finding]:
    for result in recognizer.analyze(text, recognizer.supported_entities, None):
        yield Finding(result.start, result.end, result.entity_type, result.score)


@lru_cache(maxsize=1024)
def _compiled(pattern: str, flags: int) -> "regex.Pattern[str]":
    return regex.compile(pattern, flags)


@lru_cache(maxsize=1024)
def _words(words: tuple[str, ...]) -> "regex.Pattern[str]":
    listed = "|".join(regex.escape(word) for word in sorted(words, key=len, reverse=True))
    return regex.compile(rf"(?<!\p{{Latin}})(?:{listed})", regex.IGNORECASE)
