"""A process that looks at paragraphs: `python -m tasks.scrub.worker DESCRIPTOR`, started by `tasks.scrub.workers`.

It is a program of its own and no `multiprocessing` child: it needs no guarded main module in the caller's script, and
loads neither Prefect nor torch.
"""

import os
import sys
import threading
import time
from multiprocessing.connection import Connection

from configs.settings import ScrubSettings

READY = "ready"


def main(descriptor: int) -> None:
    """Answer requests until the other side is gone."""
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    connection = Connection(descriptor)
    settings = connection.recv()
    hide_torch(settings)
    from tasks.scrub.analyze import Analyzer

    analyzer = Analyzer(settings)
    connection.send(READY)
    while True:
        try:
            model, texts = connection.recv()
        except EOFError:
            return
        connection.send(analyzer.look(texts, model))


def hide_torch(settings: ScrubSettings) -> None:
    """Keep spaCy and Presidio from loading PyTorch, which they do if they can: seconds, and 200 MB."""
    if not any(chosen.on_torch for chosen in settings.engines):
        for unused in ("torch", "transformers"):
            sys.modules[unused] = None  # type: ignore[assignment]


def _die_with_parent(parent: int) -> None:
    """A killed parent cannot end us, and in the middle of a text we do not see that it is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
