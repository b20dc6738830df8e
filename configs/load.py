"""Reads a config file into `Settings`; every mistake becomes one sentence that says what, where and how to mend it."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from configs.mistake import Mistake
from configs.settings import Settings


class SettingsError(Mistake):
    """A config file or an override that cannot be used."""


def load(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """Settings from a YAML file.

    Args:
        path: the file.
        overrides: `section.key=value` texts, applied on top; a value is read as YAML.

    Raises:
        SettingsError: a file, key, value or source path that cannot be used: one sentence each.
    """
    file = Path(path)
    if not file.is_file():
        ready = ", ".join(sorted(str(found) for found in Path("configs").glob("*.yaml"))) or "none in ./configs"
        raise SettingsError(f"There is no config file {file}; ready ones are: {ready}.")
    try:
        tree = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{file} must hold keys and values, such as `lake: lake`; it holds {type(tree).__name__}.")
    return parse(override(tree, overrides), where=str(file))


def parse(tree: Mapping[str, Any], where: str) -> Settings:
    """Settings from a tree of plain values, checked.

    Args:
        tree: as in the YAML file.
        where: what to call it in errors.

    Raises:
        SettingsError: see `load`.
    """
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        sentences = [_sentence(detail, where) for detail in error.errors()]
        raise SettingsError("\n".join(sentences)) from error
    check_sources(settings, where)
    return settings


def override(tree: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`tree` with `a.b=value` applied; the original stays as it was."""
    result: dict[str, Any] = dict(tree)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SettingsError(f"--set {text}: write it as section.key=value, for example --set mix.max_rows=500.")
        node, *path = result, *key.split(".")
        for part in path[:-1]:
            below = node.get(part)
            node[part] = dict(below) if isinstance(below, dict) else {}
            node = node[part]
        node[path[-1]] = yaml.safe_load(value)
    return result


def check_sources(settings: Settings, where: str) -> None:
    """Refuse sources whose folder does not exist; a glob in it may match nothing yet.

    Raises:
        SettingsError: names the key, the file and the folder.
    """
    names = [source.name for source in settings.collect.sources]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise SettingsError(f"collect.sources in {where}: two sources are named {', '.join(sorted(repeated))}.")
    for index, source in enumerate(settings.collect.sources):
        if "://" in source.path:
            continue
        parts = Path(source.path).parts
        fixed = next((at for at, part in enumerate(parts) if any(mark in part for mark in "*?[")), len(parts))
        place = Path(*parts[:fixed])
        if not place.exists():
            raise SettingsError(
                f"collect.sources.{index}.path in {where}: {place} does not exist (looked from {Path.cwd()}); "
                "give a file, a folder or a glob such as logs/*.jsonl.gz."
            )


def _sentence(detail: ErrorDetails, where: str) -> str:
    place = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        keys = _keys_beside(detail["loc"])
        close = difflib.get_close_matches(str(detail["loc"][-1]), keys, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        return f"{place} in {where}: no such key; {hint}accepted: {', '.join(keys)}."
    if detail["type"] == "value_error":  # a rule of ours: its words say it all
        return f"{place} in {where}: {detail['ctx']['error']}."
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{place} in {where}: {message} (got {detail['input']!r})."


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are known where the unknown one stands."""
    model: type[BaseModel] = Settings
    for part in location[:-1]:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        kind = model.model_fields[part].annotation
        candidates = [kind, *get_args(kind)]
        model = next(one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel))
    return list(model.model_fields)
