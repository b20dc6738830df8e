"""What people thought of answers, logged apart from them."""

from collections.abc import Iterable
from typing import Any

from tasks.records.record import KINDS, BadRecord, Feedback, Item, Record, first, text, time, word

THUMBS = {"up": 1.0, "down": -1.0, "1": 1.0, "-1": -1.0, "true": 1.0, "false": -1.0}
LIKED = {
    *("up", "thumbs_up", "like", "liked", "good", "positive", "pass", "yes", "true"),
    *("correct", "relevant", "helpful", "accurate"),
}
DISLIKED = {
    *("down", "thumbs_down", "dislike", "disliked", "bad", "negative", "fail", "no", "false"),
    *("incorrect", "irrelevant", "not_relevant", "not_helpful", "unhelpful", "inaccurate"),
}


def is_feedback(record: Record) -> bool:
    return "target_id" in record and "kind" in record


def parse_feedback(record: Record) -> Iterable[Item]:
    """`{target_id, kind, value?, preferred?, rejected?, comment?, user?, timestamp?, id?}`.

    `target_id` is the id of the response that it is about. A thumb is 1 or -1 (also true, false, "up", "down"), a
    rating 0 to 1. An edit has the text that is `preferred`; the logged answer is rejected by it. Comparisons and
    regenerations have both texts.
    """
    kind, target = record.get("kind"), word(record.get("target_id"))
    if kind not in KINDS:
        raise BadRecord(f"feedback of the kind {str(kind)[:40]!r}; known are {', '.join(KINDS)}")
    if target is None:
        raise BadRecord("feedback without a target_id")
    preferred, rejected = text(record.get("preferred"), "preferred"), text(record.get("rejected"), "rejected")
    comment = text(record.get("comment"), "the comment")
    if kind == "edit" and not preferred:
        raise BadRecord("an edit without the preferred text")
    if kind in ("regenerate", "comparison") and not (preferred and rejected):
        raise BadRecord(f"a {kind} without the preferred and the rejected text")
    if kind == "comment" and not comment:
        raise BadRecord("a comment without text")
    yield Feedback(
        kind=str(kind),
        target=target,
        value=value_of(str(kind), record.get("value")),
        preferred=preferred,
        rejected=rejected,
        comment=comment,
        user=word(first(record, "user", "user_id", "client_id")),
        native_id=word(record.get("id")),
        occurred_at=time(first(record, "timestamp", "created_at", "occurred_at")),
    )


def value_of(kind: str, value: Any) -> float | None:
    """A thumb as 1 or -1, a rating as 0 to 1, nothing for other kinds.

    Raises:
        BadRecord: it is neither.
    """
    if kind == "thumb":
        thumb = THUMBS.get(str(value).lower().removesuffix(".0"))
        if thumb is None:
            raise BadRecord("a thumb that is neither 1 nor -1")
        return thumb
    if kind == "rating":
        try:
            rating = float(value)
        except (TypeError, ValueError):
            rating = -1.0
        if not 0 <= rating <= 1:
            raise BadRecord("a rating outside 0 to 1")
        return rating
    return None


def liked(label: Any) -> float | None:
    """What a label of an evaluation says as a thumb; None when it is not one of praise or blame."""
    said = str(label).strip().lower().replace(" ", "_").replace("-", "_")
    return 1.0 if said in LIKED else -1.0 if said in DISLIKED else None


def rated(score: Any, *, boolean: bool = False) -> tuple[str, float]:
    """A number as (kind, value): a yes or no and -1 are thumbs, 0 to 1 is a rating.

    Raises:
        BadRecord: it is on no scale that is known.
    """
    try:
        number = float(score)
    except (TypeError, ValueError):
        number = float("nan")
    if boolean and number in (0, 1):
        return "thumb", 2 * number - 1
    if number == -1:
        return "thumb", -1.0
    if 0 <= number <= 1:
        return "rating", number
    raise BadRecord("a score outside 0 to 1")
