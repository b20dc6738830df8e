"""What watches over runs on a Prefect server: an end for those that died without a word, and slots for the GPUs.

Running it again changes what differs and nothing else, so that it can stand in every roll-out.
"""

from collections.abc import Mapping
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

HEARTBEAT_SECONDS, SILENCE_SECONDS = 30, 90
"""How often a run says that it lives (PREFECT_FLOWS_HEARTBEAT_FREQUENCY), and after which silence it counts as dead."""
GPU = "gpu"
ENDS = ("Completed", "Failed", "Cancelled", "Crashed")


def guard(environment: Mapping[str, str], gpus: int = 1, silence: float = SILENCE_SECONDS) -> None:
    """Create the automation and the concurrency limit, or bring them up to date.

    Args:
        environment: with PREFECT_API_URL and, if the server asks for it, PREFECT_API_AUTH_STRING.
        gpus: how many trainings may use a GPU at a time, over all workers.
        silence: seconds without a heartbeat until a run counts as dead.
    """
    address, secret = environment["PREFECT_API_URL"], environment.get("PREFECT_API_AUTH_STRING")
    with SyncPrefectClient(address, auth_string=secret) as client:
        client.upsert_global_concurrency_limit_by_name(GPU, gpus)
        wanted = zombies(silence)
        if known := client.read_automations_by_name(wanted.name):
            client.update_automation(known[0].id, wanted)
        else:
            client.create_automation(wanted)


def zombies(silence: float) -> AutomationCore:
    """Marks as Crashed what nobody heard of for so long, which can then be retried.

    A run whose process and worker were killed together cannot say so, and would be Running for ever.
    """
    heartbeat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name="flywheel: runs that died without a word",
        description=f"Nothing was heard of the run for {silence:.0f} s. Retry it: it goes on from its last step.",
        trigger=EventTrigger(
            after={heartbeat},
            expect={heartbeat, *(f"prefect.flow-run.{end}" for end in ENDS)},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[
            ChangeFlowRunState(
                name="Crashed",
                state=StateType.CRASHED,
                message=f"Nothing was heard of it for {silence:.0f} s.",
                force=True,
            )
        ],
    )
