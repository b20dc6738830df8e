"""Whose turn it is on the GPUs."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency

from configs.mistake import Mistake


@contextmanager
def gpu_slots(count: int) -> Iterator[None]:
    """Hold slots of Prefect's concurrency limit `gpu`, so that runs wait for each other; none where count is 0.

    Raises:
        Mistake: there is no such limit.
    """
    if not count:
        yield
        return
    try:
        with concurrency("gpu", occupy=count, strict=True):
            yield
    except ConcurrencySlotAcquisitionError as error:
        raise Mistake(
            f"train.gpu_slots is {count}, and Prefect gives no slot of the limit gpu ({error}): `flywheel deploy "
            "--gpus COUNT` makes it; or set train.gpu_slots to 0."
        ) from error
