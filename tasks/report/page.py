"""The page of a batch: fills the template, and says how figures are written."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from storage.evidence import Comparison
from storage.lake import Lake
from tasks.report import charts
from tasks.report import map as topic_map
from tasks.report.content import content

METRICS: Mapping[str, tuple[str, str]] = {
    "holdout_loss": ("Loss on answers somebody endorsed", "nats per token"),
    "general_loss": ("Loss on general text", "nats per token"),
    "general_loss_since_first": ("Loss on general text since the first model", "nats per token"),
    "preference_accuracy": ("Preferred answer is the likelier one", "share"),
    "answer_reward": ("Reward of answers, by the reward model", "0 to 1"),
    "stop_rate": ("Answers that end by themselves", "share"),
    "empty_rate": ("Empty answers", "share"),
    "repetition": ("Repeated word triples", "share"),
    "task": ("Task", "share"),
}
"""What a metric is called, and its unit; one that is not here is called by its name."""


def render(lake: Lake, batch: str) -> str:
    """The HTML page of a batch: one file, nothing loaded from elsewhere."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "change": change,
        "count": count,
        "duration": duration,
        "hue": topic_map.hue,
        "interval": charts.interval,
        "outcome": charts.outcome,
        "relative": relative,
        "score": score,
        "share": share,
        "spark": charts.spark,
        "title": title,
        "unit": unit,
        "written": written,
    }
    return environment.get_template("page.html").render(content(lake, batch))


def write(lake: Lake, batch: str) -> Path:
    """Write the page of a batch, over an earlier one, and return its path; it lies in the lake's folder reports."""
    path = lake.folder("reports") / f"{batch}.html"
    whole = path.with_suffix(".part")
    whole.write_text(render(lake, batch), encoding="utf-8")
    whole.replace(path)  # who looks at the old one while this is written sees a whole page
    lake.save("reports", path.name)
    return path


def title(metric: str) -> str:
    """What a metric is called; of a slice, `metric:slice`, with the slice."""
    name, _, part = metric.partition(":")
    words = METRICS[name][0] if name in METRICS else name.replace("_", " ").capitalize()
    return f"{words}: {part}" if part else words


def unit(metric: str) -> str:
    """Its unit, or nothing."""
    return METRICS.get(metric.partition(":")[0], ("", ""))[1]


def score(value: float, metric: str) -> str:
    """A model's score: `41.2%` or `2.310`."""
    return f"{value:.1%}" if unit(metric) == "share" else f"{value:.3f}"


def change(comparison: Comparison) -> str:
    """By how much the challenger is better: `+1.5 points` or `+0.120`."""
    if unit(comparison.name) == "share":
        return f"{comparison.delta * 100:+.1f} points"
    return f"{comparison.delta:+.3f}"


def written(value: float | None, how: str) -> str:
    """A figure, as a count, a share or a plain figure; a dash where there is none."""
    if value is None:
        return "–"
    return {"count": count, "share": share}.get(how, "{:.2f}".format)(value)


def relative(value: float | None) -> str:
    """A relative change: `+12%`; `=` where nothing changed to speak of, nothing where it cannot be said."""
    if value is None:
        return ""
    return f"{value:+.0%}" if round(value, 2) else "="


def count(value: float) -> str:
    """A whole number: `12,345`."""
    return f"{value:,.0f}"


def share(value: float) -> str:
    """A share: `41%`, and `0.4%` where that would be nothing."""
    return f"{value:.0%}" if value >= 0.1 or value == 0 else f"{value:.1%}"


def duration(seconds: float) -> str:
    """A time: `95 s`, `12 min`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
