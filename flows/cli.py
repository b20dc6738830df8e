"""The `flywheel` command."""

import os
import sys
from contextlib import suppress
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from configs.mistake import Mistake
from flows.batches import unfinished_batches
from flows.cli_serving import serving
from flows.terminal import (
    BatchOption,
    ConfigArgument,
    LakeArgument,
    SetOption,
    console,
    existing,
    prepare_prefect,
    settings_of,
)
from storage import verdicts
from storage.lake import Lake
from tasks.collect.run import anything_new

app = typer.Typer(
    help="Turn what users asked, and how they liked the answers, into a measurably better model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # their frames would show users' texts
)
review = typer.Typer(help="Let people decide about the rows that the scores are least sure of.", no_args_is_help=True)
app.add_typer(review, name="review")
app.add_typer(serving)
LOOPBACK = "127.0.0.1"


@app.command()
def run(config: ConfigArgument, overrides: SetOption = None, *, verbose: bool = False) -> None:
    """Run the whole pipeline once: collect, curate, synthesize, train, evaluate, promote."""
    settings = settings_of(config, overrides)
    lake = Lake(settings.lake)
    if not anything_new(lake, settings.collect) and not unfinished_batches(lake, settings):
        champion = verdicts.champion(lake) or "none yet"
        console.print(f"[bold]Nothing new[/] in {settings.lake}: trained nothing, wrote nothing. Champion: {champion}")
        return
    prepare_prefect(verbose=verbose)
    from flows.nightly import flywheel
    from tasks.lm.load import resolve

    resolve(settings.model_name_or_path)  # before Prefect starts: its words, not a failed run
    result = flywheel(settings)
    if result.batch is None:
        return
    from flows.summary import print_summary

    print_summary(console, lake, result.batch, result.report)


@app.command()
def curate(config: ConfigArgument, overrides: SetOption = None, *, verbose: bool = False) -> None:
    """Collect and curate what is new; train nothing."""
    settings = settings_of(config, overrides)
    prepare_prefect(verbose=verbose)
    from flows.curate import curate as flow
    from flows.summary import print_funnel

    for snapshot in flow(settings):
        print_funnel(console, Lake(settings.lake), snapshot.batch)


@app.command()
def collector(
    config: Annotated[Path | None, typer.Argument(help="Config file; by default the lake is ./lake.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than the loopback need API keys.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port; 4318 is OpenTelemetry's, 0 takes a free one.")] = 4318,
    overrides: SetOption = None,
) -> None:
    """Take interactions, feedback and OpenTelemetry traces over HTTP, for the next `run` to collect."""
    from tasks.collect.http.serve import serve

    settings = settings_of(config, overrides)

    def ready(address: str, spool: str) -> None:
        console.print(f"Collecting on [bold]{address}[/] into {spool}. Ctrl-C ends it.", soft_wrap=True)

    serve(Lake(settings.lake), settings.collect, host, port, ready)


@app.command()
def new_key(name: Annotated[str, typer.Argument(help="Who will send with it, such as web-app.")]) -> None:
    """Make an API key for the collector; only its hash is to be kept."""
    from tasks.collect.http.keys import new_key as make

    key, line = make(name)
    console.print(f"The key, for the application; it is not shown again:\n  {key}", soft_wrap=True, highlight=False)
    console.print(
        f"Its line, for collect.http.keys_file or FLYWHEEL_COLLECTOR_KEYS:\n  {line}", soft_wrap=True, highlight=False
    )


@app.command()
def status(lake: LakeArgument = "lake") -> None:
    """What the lake holds: tables, rows, versions, the champion and the last verdicts."""
    from flows.summary import print_status

    print_status(console, existing(lake))


@app.command()
def metrics(
    lake: LakeArgument = "lake",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = LOOPBACK,
    port: Annotated[int | None, typer.Option(help="Answer GET /metrics there; without it, print once.")] = None,
) -> None:
    """Figures of the runs for Prometheus: to scrape, or for a textfile collector."""
    from prometheus_client import generate_latest

    from flows.metrics import figures, serve

    found = existing(lake)
    if port is None:
        sys.stdout.write(generate_latest(figures(found)).decode())
        return
    server, thread = serve(found, host, port)
    console.print(f"Metrics on [bold]http://{host}:{server.server_port}/metrics[/]. Ctrl-C ends it.")
    with suppress(KeyboardInterrupt):
        thread.join()


@app.command()
def report(lake: LakeArgument = "lake", batch: BatchOption = None) -> None:
    """Write the report of a batch again and say where it lies."""
    from flows.summary import write_report

    console.print(write_report(existing(lake), batch))


@app.command()
def mix(
    config: Annotated[Path | None, typer.Argument(help="Config file; by default the lake is ./lake.")] = None,
    stage: Annotated[str | None, typer.Option(help="One stage; by default every enabled one.")] = None,
    overrides: SetOption = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the mixtures, and write nothing.")] = False,
) -> None:
    """Mix what each stage reads, and show what it is made of; train nothing."""
    from flows.mixing import mixtures
    from flows.summary import print_mixture

    settings = settings_of(config, overrides)
    for shown in mixtures(existing(settings.lake), settings, stage, dry_run=dry_run):
        print_mixture(console, shown.manifest, shown.skipped)


@app.command()
def export_mixture(
    file: Annotated[Path, typer.Argument(help="Where to write, such as sft.jsonl or sft.parquet.")],
    lake: LakeArgument = "lake",
    mixture: Annotated[str | None, typer.Option(help="Its id; by default the champion's.")] = None,
    form: Annotated[str, typer.Option(help="trl, openai, sharegpt or alpaca.")] = "trl",
) -> None:
    """Write the rows of a mixture for other tools, with its manifest beside them."""
    from flows.mixing import export_mixture as write

    written, left = write(existing(lake), file, form, mixture)
    rest = f" {left:,} are left out: {form} cannot hold their turns." if left else ""
    console.print(f"{written:,} rows in [bold]{file}[/].{rest}", soft_wrap=True)


@review.command("export")
def review_export(
    file: Annotated[Path, typer.Argument(help="Where to write, such as review.csv.")],
    lake: LakeArgument = "lake",
    count: Annotated[int, typer.Option(help="Rows at most.", min=1)] = 100,
    format: Annotated[str | None, typer.Option(help="csv, jsonl, label-studio or argilla; else by the name.")] = None,
) -> None:
    """Write the most uncertain rows of the training side, to be marked keep or drop, and rated from 1 to 5."""
    from flows.review import export_rows

    found = export_rows(existing(lake), file, count, format)
    console.print(f"{found:,} rows in [bold]{file}[/]: mark them keep or drop, then `flywheel review import {file}`.")


@review.command("import")
def review_import(
    file: Annotated[Path, typer.Argument(help="The filled-in file, or the export of Label Studio or Argilla.")],
    lake: LakeArgument = "lake",
    reviewer: Annotated[str, typer.Option(help="Who decided, where the file does not say.")] = "reviewer",
) -> None:
    """Take decisions: from the next mixture on they count for more than any score, and are labels to learn from."""
    from flows.review import import_decisions
    from tasks.review.decide import ratings

    counts = import_decisions(existing(lake), file, reviewer)
    console.print(", ".join(f"[bold]{count:,}[/] {name.replace('_', ' ')}" for name, count in sorted(counts.items())))
    if rated := ratings(existing(lake)):
        told = ", ".join(f"{name} [bold]{mean:.1f}[/] of 5 ({count:,})" for name, (mean, count) in rated.items())
        console.print(f"Answers rated so far: {told}")


@app.command()
def deploy(
    pools: Annotated[
        Literal["process", "kubernetes"], typer.Option(help="Whether runs are processes of the workers, or jobs.")
    ] = "process",
    gpus: Annotated[int, typer.Option(min=1, help="GPUs, over all workers: so many trainings run at a time.")] = 1,
) -> None:
    """Set up the Prefect server of PREFECT_API_URL, or bring it up to date: pools, deployments, guards."""
    from flows.setup import SetupError, set_up

    if "PREFECT_API_URL" not in os.environ:
        raise SetupError("PREFECT_API_URL is not set: give the address of your server, such as http://HOST:4200/api.")
    set_up(os.environ, pools, gpus)
    console.print("Work pools, deployments, GPU slots and the end of silent runs are set up.")


@app.command()
def maintain(config: ConfigArgument, overrides: SetOption = None) -> None:
    """Merge small files, empty raw text past its time, remove old versions and weights that nobody needs."""
    from storage.maintain import maintain as work

    settings = settings_of(config, overrides)
    for what, count in work(existing(settings.lake), settings.maintain).items():
        console.print(f"{count:>15,}  {what.replace('_', ' ')}")


@app.command()
def trace(
    name: Annotated[str, typer.Argument(metavar="ID", help="Of a record, as logged or as in a table; of a model.")],
    lake: LakeArgument = "lake",
    *,
    json: Annotated[bool, typer.Option("--json", help="All of it, for programs.")] = False,
) -> None:
    """What was made of a record, down to the models that learned it; what a model was made of, down to its rows."""
    from flows.trace import as_tree
    from flows.trace import trace as follow

    node = follow(existing(lake), name)
    if json:
        sys.stdout.write(dumps(node.to_dict(), default=str) + "\n")
    else:
        console.print(as_tree(node), soft_wrap=True)


@app.command()
def erase(
    config: Annotated[Path | None, typer.Argument(help="Config file; by default the lake is ./lake.")] = None,
    user: Annotated[str | None, typer.Option(help="A user, as logged, or their hash.")] = None,
    conversation: Annotated[str | None, typer.Option(help="A conversation, as logged, or its id.")] = None,
    name: Annotated[str | None, typer.Option("--id", help="A record, as logged, or its id.")] = None,
    overrides: SetOption = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Erase. Without it, only what would go is listed.")] = False,
) -> None:
    """Forget a user, a conversation or a record, with all that was made of it; it stays out when collected again."""
    from flows.erase import erase as forget
    from flows.erase import plan, wish
    from flows.summary import print_erasure

    settings = settings_of(config, overrides)
    lake = existing(settings.lake)
    what = plan(lake, *wish(user, conversation, name), settings.collect)
    if yes:
        forget(lake, what)
    print_erasure(console, what, erased=yes)


def main() -> None:
    """Entry point: a person's mistake ends with its sentence, not with a traceback."""
    try:
        app()
    except Mistake as error:
        Console(stderr=True).print(f"[red]{error}[/]", soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
