"""The files of a source, wherever they lie: local paths, globs, folders and fsspec URIs are read alike."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec

from configs.mistake import Mistake
from configs.settings import Source

SAMPLE = 64 * 1024
"""Bytes at the beginning and at the end that tell one file from another."""
GLOB = "*?["
DESCRIPTIONS = ("/README.md", "/dataset_info.json", "/dataset_infos.json", "/dataset_dict.json", "/state.json")


class SourceError(Mistake):
    """A source that cannot be read; the message says which, and what to do."""


@dataclass(frozen=True)
class File:
    """A file as it is now.

    Args:
        uri: absolute path or URI.
        size: bytes.
        stamp: changes when the file does: ETag, or inode and time of change.
        system: the fsspec file system it lies in.
    """

    uri: str
    size: int
    stamp: str
    system: Any

    def read(self, start: int, end: int) -> bytes:
        """Bytes from `start` to `end`."""
        return bytes(self.system.cat_file(self.uri, start=start, end=min(end, self.size))) if end > start else b""

    def digest(self, end: int) -> str:
        """What the first `end` bytes are known by: hashes of their beginning and of their end, 64 KiB each."""
        return f"{self.heads([end])[end]}-{_hash(self.read(max(0, end - SAMPLE), end))}"

    def heads(self, ends: Iterable[int]) -> dict[int, str]:
        """The first halves of the digests for many `ends`, from one read: they sort out strangers cheaply."""
        data, state, done = self.read(0, SAMPLE), _blake(), 0
        found: dict[int, str] = {}
        for end in sorted(set(ends)):
            state.update(data[done : min(end, SAMPLE)])
            done = max(done, min(end, SAMPLE))
            found[end] = state.hexdigest()
        return found


def _blake(data: bytes = b"") -> "hashlib.blake2b":
    return hashlib.blake2b(data, digest_size=12)


def _hash(data: bytes) -> str:
    return _blake(data).hexdigest()


def files(source: Source) -> list[File]:
    """The files of a source in order of their names; hidden and empty ones are left out.

    Raises:
        SourceError: a plain path that does not exist, or a URI whose file system is not installed or not reachable.
    """
    try:
        system, path = fsspec.core.url_to_fs(source.path)
        system.invalidate_cache()
        found = list(_found(system, path))
        there = bool(found) or any(mark in path for mark in GLOB) or system.exists(path)
    except FileNotFoundError:  # a bucket
        found, there = [], False
    except Exception as error:  # every file system has errors of its own: no package, no credentials, no network
        raise SourceError(f"Source {source.name}: {source.path} cannot be opened: {error}.") from error
    if not there:
        raise SourceError(
            f"Source {source.name}: {source.path} does not exist; give a file, a folder, a glob such as "
            "logs/*.jsonl.gz, or a URI such as s3://bucket/logs."
        )
    return sorted((file for file in _described(found) if file.size), key=lambda file: file.uri)


def _described(found: Sequence[File]) -> Sequence[File]:
    """The files without those that only describe a Hugging Face data set."""
    if not any(file.uri.endswith((".parquet", ".arrow")) for file in found):
        return found
    return [file for file in found if not file.uri.endswith(DESCRIPTIONS)]


def _found(system: Any, path: str) -> Iterator[File]:
    if any(mark in path for mark in GLOB):
        infos = list(system.glob(path, detail=True).values())
    else:
        infos = list(system.find(path, detail=True).values())
    root = re.split(r"[*?\[]", path)[0].rpartition("/")[0] if any(mark in path for mark in GLOB) else path
    for info in infos:
        below = info["name"].removeprefix(root)
        if info["type"] == "file" and not any(part.startswith(".") for part in below.split("/")):
            yield File(info["name"], int(info["size"] or 0), _stamp(info), system)


def _stamp(info: dict[str, Any]) -> str:
    if etag := info.get("ETag") or info.get("etag"):
        return str(etag).strip('"')
    return f"{info.get('ino', '')}-{info.get('mtime', info.get('LastModified', info.get('created', '')))}"


def by_source(sources: Sequence[Source]) -> dict[str, list[File]]:
    """The files of each source."""
    return {source.name: files(source) for source in sources}
