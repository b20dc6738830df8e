"""Runs the collector on a port until it is told to end."""

import gc
import logging
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from configs.mistake import Mistake
from configs.settings import CollectSettings
from storage.lake import Lake
from tasks.collect.http.app import Collector, application
from tasks.collect.http.drain import folder, source
from tasks.collect.http.keys import VARIABLE, known_keys
from tasks.collect.http.metrics import Metrics
from tasks.collect.http.spool import Spool
from tasks.inference.listen import address, is_loopback, listening

PORT = 4318
"""OTLP's own: an OpenTelemetry SDK sends there when it is told nothing else."""
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""Longer than the 5 s after which OpenTelemetry's exporters send again on the same connection."""
CONNECTIONS = 2048


class CollectorError(Mistake):
    """A collector that cannot be started."""


def serve(
    lake: Lake, settings: CollectSettings, host: str, port: int, ready: Callable[[str, str], None] = lambda *_: None
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        lake: whose spool it fills.
        settings: of step 1.
        host: name or address to listen on; anything but the loopback needs API keys.
        port: 0 takes a free one.
        ready: called with the address and the spool once the port is open.

    Raises:
        CollectorError: there are no keys for a public address, or no spool.
        ListenError: the port is taken.
        KeysError: the keys cannot be read.
    """
    keys = known_keys(settings.http)
    place = folder(lake, settings.http)
    if place is None:
        raise CollectorError(
            f"The lake {lake.uri} is in an object store: name a local folder as collect.http.spool, which "
            "`collect` can read, too."
        )
    if not keys and not is_loopback(host):
        raise CollectorError(
            f"Without API keys the collector listens on this machine only, not on {host}: make a key with "
            f"`flywheel new-key NAME` and put its line into collect.http.keys_file or {VARIABLE}."
        )
    metrics = Metrics()
    spool = Spool(place, settings.http, metrics.write_seconds.observe)
    if (refusal := spool.refusal()) is not None:
        raise CollectorError(f"The collector cannot take anything into {place}: {refusal}; see collect.http.")
    app = application(Collector(spool, source(place, settings.http), settings, keys, metrics))
    with listening(host, port, BACKLOG) as listener:
        ready(address(listener), str(place))
        gc.collect()
        gc.freeze()  # what was imported is never garbage: looking through it would stop requests for 0.1 s
        config = uvicorn.Config(
            app,
            log_level=logging.WARNING,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            limit_concurrency=CONNECTIONS,
        )
        with suppress(KeyboardInterrupt):  # uvicorn has ended by then, and says so once more
            uvicorn.Server(config).run(sockets=[listener])
