"""The commands about who serves: export, promote, rollback and serve."""

import logging
from getpass import getuser
from pathlib import Path
from typing import Annotated

import typer

from flows.terminal import ConfigArgument, LakeArgument, SetOption, console, existing, prepare_prefect, settings_of
from storage.verdicts import Decision

serving = typer.Typer()
ByOption = Annotated[str | None, typer.Option(help="Who decides, for the history; the user of this machine.")]


@serving.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write.")],
    lake: LakeArgument = "lake",
    model: Annotated[str | None, typer.Option(help="Id of a model; the champion if not given.")] = None,
    kinds: Annotated[list[str] | None, typer.Option("--gguf", help="f16 or q8_0. Repeatable.")] = None,
) -> None:
    """Write a model for serving: safetensors with its card and, if asked for, GGUF with a Modelfile."""
    from flows.export import export as write

    for kind, found in write(existing(lake), folder, model, kinds or ()).items():
        console.print(
            f"GGUF {kind}: {found.divergence:.4f} nats from the original, same token in {found.agreement:.1%} of cases."
        )
    console.print(f"Exported to [bold]{folder}[/].", soft_wrap=True)


@serving.command()
def promote(
    config: ConfigArgument,
    model: Annotated[str, typer.Argument(help="Id of a model; `flywheel status` lists them.")],
    reason: Annotated[str, typer.Argument(help="Why, for the history.")],
    by: ByOption = None,
    overrides: SetOption = None,
    *,
    decline: Annotated[bool, typer.Option("--decline", help="Turn down a model that waits for approval.")] = False,
) -> None:
    """Let a model serve: one that waits for approval, or any other one, by hand."""
    from tasks.promote.by_hand import decline as turn_down

    settings = settings_of(config, overrides)
    lake = existing(settings.lake)
    if decline:
        decision = turn_down(lake, model, by or getuser(), reason)
        console.print(f"[bold]{model}[/] is declined: {decision.champion} goes on.")
        return
    prepare_prefect(verbose=False)
    from flows.promote import promote as move

    _print_move(move(lake, settings, model, by or getuser(), reason))


@serving.command()
def rollback(
    config: ConfigArgument,
    reason: Annotated[str, typer.Argument(help="Why, for the history.")],
    to: Annotated[str | None, typer.Option(help="Id of a former champion; the one before if not given.")] = None,
    by: ByOption = None,
    overrides: SetOption = None,
) -> None:
    """Let the champion before this one serve again."""
    settings = settings_of(config, overrides)
    lake = existing(settings.lake)
    prepare_prefect(verbose=False)
    from flows.promote import rollback as move

    _print_move(move(lake, settings, by or getuser(), reason, to))


@serving.command()
def serve(
    config: ConfigArgument,
    host: Annotated[str, typer.Option(help="Name or address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    overrides: SetOption = None,
) -> None:
    """Serve the champion with vLLM, OpenAI-compatible, and the next one as soon as it is promoted."""
    from tasks.promote.serve import serve_champion

    def ready(address: str) -> None:
        console.print(f"The champion answers on [bold]{address}/v1[/] once it is loaded. Ctrl-C ends it.")

    settings = settings_of(config, overrides)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    serve_champion(existing(settings.lake), settings, host, port, ready)


def _print_move(decision: Decision) -> None:
    again = "again, " if decision.verdict == "rollback" else ""
    console.print(f"[bold]{decision.model}[/] serves {again}instead of {decision.champion}. {decision.reasons[0]}")
