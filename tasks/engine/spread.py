"""Where heavy work on many chunks runs: on the threads of this machine, or on a Ray cluster."""

import os
import pickle
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa

from configs.mistake import Mistake

PATIENCE = 10.0  # seconds until a cluster counts as gone
A = TypeVar("A")
B = TypeVar("B")


def spread(
    work: Callable[[A], B], items: Iterable[A], *, engine: str, threads: int = 0, gpu: bool = False
) -> Iterator[B]:
    """What `work` makes of each item, in the order of the items, so that the engine changes no result.

    Args:
        work: depends on its item only; on Ray it and its items travel to other processes, so they can be pickled.
        items: taken as they are needed, or for Ray all at once into its object store, which spills to disk.
        engine: "local" or "ray".
        threads: how many items this machine works on at a time; 0 for one per core. Ray decides by itself.
        gpu: whether each item wants a GPU of its own, where Ray's cluster has some.

    Raises:
        Mistake: Ray is not installed, or its cluster does not answer.
    """
    return ENGINES[engine](work, items, threads, gpu)


def _local(work: Callable[[Any], Any], items: Iterable[Any], threads: int, _gpu: bool) -> Iterator[Any]:
    """On threads; no more than two items a thread are under way."""
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _on_ray(work: Callable[[Any], Any], items: Iterable[Any], _threads: int, gpu: bool) -> Iterator[Any]:
    """Through Ray Data: an item is a block; what a lost node had is made again on another."""
    ray = _connected()
    data = ray.data.DataContext.get_current()
    data.execution_options.preserve_order = True
    data.enable_progress_bars = False

    def block(chunk: pa.Table) -> pa.Table:
        return _packed(work(_unpacked(chunk)))

    blocks = [ray.put(_packed(item)) for item in items]
    if not blocks:
        return
    gpus = 1 if gpu and ray.cluster_resources().get("GPU") else None
    made = ray.data.from_arrow_refs(blocks).map_batches(block, batch_size=None, batch_format="pyarrow", num_gpus=gpus)
    for table in made.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from map(pickle.loads, table["item"].to_pylist())


def _packed(item: Any) -> pa.Table:
    return pa.table({"item": pa.array([pickle.dumps(item, protocol=5)], pa.large_binary())})


def _unpacked(block: pa.Table) -> Any:
    return pickle.loads(block["item"][0].as_py())  # what `_packed` made, from our own processes only


def _connected() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise Mistake("engine: ray needs Ray, which is not installed: pip install 'flywheel[ray]'.") from None
    if not ray.is_initialized():
        address = os.environ.get("RAY_ADDRESS")
        _answers(address)
        ray.init(address=address, include_dashboard=None if address else False, log_to_driver=False)
    import ray.data

    return ray


def _answers(address: str | None) -> None:
    """Ask first: Ray itself gives up only after minutes, and in many lines."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdigit():  # none, "auto" or "local"
        return
    try:
        socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=PATIENCE).close()
    except OSError as error:
        raise Mistake(f"No Ray cluster answers at {address} (RAY_ADDRESS): start it, or unset it.") from error


ENGINES: Mapping[str, Callable[[Callable[[Any], Any], Iterable[Any], int, bool], Iterator[Any]]] = {
    "local": _local,
    "ray": _on_ray,
}
