"""Ways to make conversations: a module each, under the contract of `tasks.synthesize.method.Method`."""

from collections.abc import Mapping

from tasks.synthesize.method import Method
from tasks.synthesize.methods.backtranslate import backtranslate
from tasks.synthesize.methods.best_of_n import best_of_n
from tasks.synthesize.methods.checked import checked
from tasks.synthesize.methods.document_questions import document_questions
from tasks.synthesize.methods.evol_instruct import evol_instruct
from tasks.synthesize.methods.extend import extend
from tasks.synthesize.methods.magpie import magpie
from tasks.synthesize.methods.persona import persona
from tasks.synthesize.methods.regenerate import regenerate
from tasks.synthesize.methods.self_instruct import self_instruct
from tasks.synthesize.methods.translate import translate

METHODS: Mapping[str, tuple[str, Method]] = {
    "self_instruct": ("instructions", self_instruct),
    "evol_instruct": ("evolve", evol_instruct),
    "magpie": ("magpie", magpie),
    "persona": ("personas", persona),
    "backtranslate": ("backtranslate", backtranslate),
    "document_questions": ("document_questions", document_questions),
    "regenerate": ("regenerate", regenerate),
    "best_of_n": ("best_of_n", best_of_n),
    "checked": ("checked", checked),
    "translate": ("translate", translate),
    "extend": ("extend", extend),
}
"""By name, as rows carry it: the setting that says how many, and the method."""
