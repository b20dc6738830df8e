"""`python -m tests.bench NAME [--quick]`: runs one benchmark; the last line is its figures as JSON."""

import argparse
import importlib
import json
import sys
from pathlib import Path

NAMES = sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks of Flywheel.")
    parser.add_argument("name", choices=NAMES, help="which benchmark")
    parser.add_argument("--quick", action="store_true", help="small inputs: to see that it runs, not to quote")
    options = parser.parse_args()
    figures = importlib.import_module(f"tests.bench.{options.name}").run(quick=options.quick)
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
