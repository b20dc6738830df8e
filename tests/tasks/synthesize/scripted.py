"""An engine that answers by a script, and seeds to ask it about."""

import re
from collections.abc import Callable

from tasks.lm.generate import Completion
from tasks.synthesize.method import Draft, Dropped, Seed, Seeds

Reply = str | Completion
SYSTEM = {"role": "system", "content": "You are the assistant of Quillbay."}
DOCUMENT = (
    "Quillbay keeps every version of a note for ninety days.\nTo see them, open the note and choose History in the "
    "menu. Any version can be restored, and the present one is kept as a version too.\n"
)


def conversation(number: int, question: str, answer: str, language: str = "en") -> Seed:
    turns = (SYSTEM, {"role": "user", "content": question}, {"role": "assistant", "content": answer})
    return Seed(f"row-{number}", turns, language, "product")


SEEDS = Seeds(
    [
        conversation(0, "How do I rename a notebook?", "Open its menu and choose Rename."),
        conversation(1, "We sell 3 pens at 4 dollars each. What do we earn?", "3 * 4 = 12\n#### 12"),
        conversation(2, "Where are my deleted notes?", "In the Trash, for thirty days."),
    ],
    [Seed("document-0", ({"role": "document", "content": DOCUMENT},), "en", "help")],
)


class Scripted:
    """An engine that answers by the first pattern that is found in the last message, and notes what it was asked.

    A reply is a text or a completion, or makes one of that message.
    """

    model = identity = "scripted"
    folder = None

    def __init__(self, *script: tuple[str, Reply | Callable[[str], Reply]]) -> None:
        self.script = script
        self.asked = []

    def generate(self, requests, sampling):
        for position, request in enumerate(requests):
            self.asked.append(request)
            content = str(request.messages[-1]["content"])
            reply = next(reply for pattern, reply in self.script if re.search(pattern, content, re.DOTALL))
            said = reply(content) if callable(reply) else reply
            if isinstance(said, str):
                said = Completion(said, finished=True, tokens=len(said.split()))
            yield position, said


def drafts(results) -> list[Draft]:
    return [result for result in results if isinstance(result, Draft)]


def reasons(results) -> set[str]:
    return {result.reason for result in results if isinstance(result, Dropped)}
