"""What people ask the assistant, and what it answers: composed from the sentences in `banks/`."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.sample.people import People

BANKS = Path(__file__).parent / "banks"
ASKING = {"how", "what", "where", "which", "can", "is", "do", "does", "who", "why", "will", "are", "when", "did"}


def bank(name: str) -> Any:
    """A file of `banks/`."""
    return yaml.safe_load((BANKS / f"{name}.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Turn:
    """A question, the logged answer, and a good one. `steps` are tool messages between question and answer."""

    question: str
    answer: str
    better: str
    good: bool
    steps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Talk:
    """A conversation. `rated` is false where nobody would bother to leave feedback."""

    turns: tuple[Turn, ...]
    consent: bool | None = None
    rated: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)


class Writer:
    """Composes talks; every choice follows from `random`."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.product = bank("product")
        self.noise = bank("noise")
        self.people = People(random, bank("people"))
        self.asked = [(key, ask) for key, topic in self.product["topics"].items() for ask in topic["ask"]]

    def question(self, ask: str, *, plain: bool = False) -> str:
        """An ask in a situation, as people type it: capitals and marks come and go."""
        situation = "" if plain else self.random.choice(self.product["situations"])
        tail = "" if plain else self.random.choice(self.product["tails"])
        mark = "?" if ask.split()[0] in ASKING else "."
        text = situation + (ask if situation.endswith((": ", ", ")) else ask[0].upper() + ask[1:]) + mark + tail
        return text.lower().rstrip("?.") if self.random.random() < 0.12 else text

    def answer(self, key: str) -> str:
        """A good answer to a topic: opening, fact, closing."""
        say = self.random.choice(self.product["topics"][key]["say"])
        return f"{self.random.choice(self.product['openings'])} {say} {self.random.choice(self.product['closings'])}"

    def bad_answer(self) -> str:
        """Curt, wrong, off the topic or rambling."""
        answers: list[str] = self.noise[self.random.choice(["curt", "wrong", "off_topic", "ramble"])]
        return self.random.choice(answers)

    def turn(self, key: str, question: str, *, bad_share: float = 0.0, before: str = "") -> Turn:
        better = before + self.answer(key)
        bad = self.random.random() < bad_share
        return Turn(question, self.bad_answer() if bad else better, better, not bad)

    def product_talk(self, key: str, ask: str, **choices: bool) -> Talk:
        """One question about the product."""
        return Talk((self.turn(key, self.question(ask, **choices), bad_share=0.22),))

    def long_talk(self) -> Talk:
        """Two or three questions in a row."""
        picks = self.random.sample(self.asked, self.random.choice([2, 2, 3]))
        turns = [self.turn(picks[0][0], self.question(picks[0][1]))]
        for number, (key, ask) in enumerate(picks[1:], 2):
            follow = self.random.choice(self.product["follow_ups"]) + ask + "?"
            turns.append(self.turn(key, follow, bad_share=0.15 if number == len(picks) else 0))
        return Talk(tuple(turns))

    def personal_talk(self) -> Talk:
        """A question with somebody's data in it, sometimes repeated by the answer."""
        person = self.people.person()
        key, ask = self.random.choice(self.asked)
        told = self.random.choice(self.people.bank["say"]).format(**person)
        before = self.random.choice([*self.people.bank["reply"], "", ""]).format(**person)
        question = self.random.choice([f"{self.question(ask)} {told}", f"{told} {self.question(ask)}"])
        return Talk((self.turn(key, question, bad_share=0.15, before=before + " " if before else ""),))

    def tool_talk(self) -> Talk:
        """The assistant looks something up before it answers."""
        plan, used = self.random.choice([("Free", 1.8), ("Team", 31.5), ("Team", 49.0), ("Business", 12.4)])
        limit = 2 if plan == "Free" else 50
        call = f"call_{self.people.letters(12)}"
        asks = ["How much storage do we have left?", "Which plan are we on?", "Are we close to our storage limit?"]
        question = f"{self.random.choice(asks)} The workspace is {self.random.choice(['Harbour', 'North', 'Atlas'])}."
        workspace = question.rsplit(" ", 1)[1].rstrip(".")
        function = {"name": "get_workspace", "arguments": json.dumps({"workspace": workspace})}
        tool = {"id": call, "type": "function", "function": function}
        steps: tuple[dict[str, Any], ...] = (
            {"role": "assistant", "content": None, "tool_calls": [tool]},
            {"role": "tool", "tool_call_id": call, "content": json.dumps({"plan": plan, "used_gb": used})},
        )
        left = round(limit - used, 1)
        fact = f"{workspace} is on {plan} and uses {used} of {limit} GB, so {left} GB are left."
        answer = f"{self.random.choice(self.product['openings'])} {fact} {self.random.choice(self.product['closings'])}"
        return Talk((Turn(question, answer, answer, True, steps),))

    def foreign_talk(self, language: str, number: int) -> Talk:
        """A question in another language."""
        spoken = bank("languages")[language]
        asks, say = spoken["topics"][number % len(spoken["topics"])]
        ask = asks[number // len(spoken["topics"]) % len(asks)]
        greet = spoken["greet"][number % len(spoken["greet"])]
        mark = {"zh": "？", "fr": " ?"}.get(language, "?")
        bad = self.random.random() < 0.15
        text = greet + ask + mark
        return Talk((Turn(text[0].upper() + text[1:], self.bad_answer() if bad else say, say, not bad),))

    def junk_talk(self, number: int) -> Talk:
        """Keyboard noise, an empty message, one line over and over."""
        junk = [*self.noise["junk"], "", "   ", "buy now! " * 40]
        answer = self.random.choice(["Could you tell me what you would like to do in Quillbay?", "Sorry?", "Yes."])
        return Talk((Turn(junk[number % len(junk)], answer, answer, False),), rated=False)

    def refusal_talk(self, number: int) -> Talk:
        """Something that the assistant refuses."""
        question, answer = self.noise["refusals"][number % len(self.noise["refusals"])]
        return Talk((Turn(question, answer, answer, False),), rated=False)

    def near_duplicate(self, text: str) -> str:
        """The same question typed a little differently: case, spaces, marks, or one word."""
        words = text.split()
        longest = max(range(len(words)), key=lambda place: len(words[place]))
        changed = [*words[:longest], words[longest] + self.random.choice(["s", "!", " now"]), *words[longest + 1 :]]
        bare = re.sub(r"[?.!,:]", "", text)
        return self.random.choice([text.upper(), text.lower(), "  ".join(words), bare, text + "!!", " ".join(changed)])
