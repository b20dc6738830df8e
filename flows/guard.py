"""What watches over runs on a Prefect server: an end for those that died without a word, and slots for the GPUs.

Running it again changes what differs and nothing else, so that it can stand in every roll-out.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import cast
from uuid import UUID

from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.notify import VARIABLE

SILENCE_SECONDS = 90
"""After which silence a run counts as dead: three heartbeats, which deploy/prefect.yaml asks for every 30 s."""
GPU, TAG = "gpu", "flywheel"
ENDS = ("Completed", "Failed", "Cancelled", "Crashed", "Suspended", "Paused")
"""States in which nothing is to be heard: a run that waits for a person has no process that could say anything."""
MESSAGE = '{"text": {{ ("Flywheel: " ~ flow.name ~ " died without a word (" ~ flow_run.name ~ ")") | tojson }} }'


def guard(environment: Mapping[str, str], gpus: int = 1, silence: float = SILENCE_SECONDS) -> None:
    """Create the automation and the concurrency limit, or bring them up to date.

    Args:
        environment: with PREFECT_API_URL and, if the server asks for it, PREFECT_API_AUTH_STRING; the webhook of
            FLYWHEEL_WEBHOOK, if there is one, hears of runs that died.
        gpus: how many trainings may use a GPU at a time, over all workers.
        silence: seconds without a heartbeat until a run counts as dead.
    """
    with server(environment) as client:
        address = environment.get(VARIABLE)
        wanted = zombies(silence, webhook(address) if address else None)
        client.upsert_global_concurrency_limit_by_name(GPU, gpus)
        if known := client.read_automations_by_name(wanted.name):
            client.update_automation(known[0].id, wanted)
        else:
            client.create_automation(wanted)


@contextmanager
def server(environment: Mapping[str, str]) -> Iterator[SyncPrefectClient]:
    """The server of an environment, to which all of Prefect speaks meanwhile."""
    secret = environment.get("PREFECT_API_AUTH_STRING")
    with (
        temporary_settings({PREFECT_API_URL: environment["PREFECT_API_URL"], PREFECT_API_AUTH_STRING: secret}),
        get_client(sync_client=True) as client,
    ):
        yield client


def zombies(silence: float, told: UUID | None = None) -> AutomationCore:
    """Marks as Crashed what nobody heard of for so long, which can then be retried.

    A run whose process and worker were killed together cannot say so, and would be Running for ever. Only runs of our
    deployments are watched: others say less often that they live.

    Args:
        silence: in seconds.
        told: the webhook that hears of it.
    """
    heartbeat = "prefect.flow-run.heartbeat"
    crash = ChangeFlowRunState(
        name="Crashed", state=StateType.CRASHED, message=f"Nothing was heard of it for {silence:.0f} s.", force=True
    )
    return AutomationCore(
        name="flywheel: runs that died without a word",
        description=f"Nothing was heard of the run for {silence:.0f} s. Retry it: it goes on from its last step.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *(f"prefect.flow-run.{end}" for end in ENDS)},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[crash] if told is None else [crash, CallWebhook(block_document_id=told, payload=MESSAGE)],
    )


def webhook(address: str) -> UUID:
    """The block of Prefect in which the address is kept, encrypted: the automation works where no run of ours does."""
    block = Webhook(url=SecretStr(address), headers=SecretDict({"Content-Type": "application/json"}))
    return cast("UUID", block.save("flywheel", overwrite=True))  # it is a coroutine in async code only
