"""Answers in JSON: servers enforce the schema, and what still does not fit is told from what does."""

import json
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Form = TypeVar("Form", bound=BaseModel)


def schema_of(form: type[BaseModel]) -> str:
    """The JSON schema of a form, as a request carries it."""
    return json.dumps(form.model_json_schema(), sort_keys=True)


def parse(form: type[Form], text: str) -> Form | None:
    """The form in an answer, also when words or a code fence stand round it; None when there is none."""
    start, end = text.find("{"), text.rfind("}")
    try:
        return form.model_validate_json(text[start : end + 1])
    except ValidationError:
        return None
