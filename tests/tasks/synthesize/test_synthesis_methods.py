"""Every method on a scripted model: what it asks, what it keeps, and what it drops with which reason."""

import json
from itertools import count

import pytest
from pydantic import ValidationError

from configs.settings import SynthesizeSettings
from tasks.inference.engine import EngineError
from tasks.inference.structured import parse
from tasks.lm.generate import Completion
from tasks.synthesize.method import Seeds
from tasks.synthesize.methods import METHODS
from tasks.synthesize.methods.checked import result_of
from tasks.synthesize.methods.document_questions import grounding
from tests.tasks.synthesize.scripted import DOCUMENT, SEEDS, SYSTEM, Scripted, conversation, drafts, reasons
from tests.tiny_model import make_tiny_model


def test_every_setting_of_a_method_exists_and_counts():
    for wanted, _ in METHODS.values():
        assert SynthesizeSettings(**{"instructions": 0, wanted: 3, "translate_to": ("de",)}).conversations == 3


def test_every_method_makes_nothing_of_nothing(run):
    for name in METHODS:
        engine = Scripted()
        engine.folder = None
        if name == "magpie":
            continue  # takes a model of its own
        assert run(name, engine, seeds=Seeds([], [])) == []


def test_evol_instruct_keeps_what_gained_and_is_answered(run):
    engine = Scripted(
        (r"Given prompt:\n.*rename", "How do I rename all notebooks of a team at once, with a date in each name?"),
        (r"Given prompt:\n.*deleted", "Where are my deleted notes, please?"),
        (r"Given prompt:\n.*pens", "Here is the rewritten prompt: we sell three pens."),
        ("all notebooks", "Select them in the sidebar and choose Rename."),
    )
    results = run("evol_instruct", engine, count=3)
    (draft,) = drafts(results)
    assert [turn["role"] for turn in draft.messages] == ["system", "user", "assistant"]
    assert draft.details["evolution"] in {"constraints", "deepening", "concretizing", "reasoning", "input", "breadth"}
    assert reasons(results) == {"instruction_no_gain", "instruction_copies_prompt"}


def test_evol_instruct_goes_only_the_ways_that_are_set(run):
    engine = Scripted(
        ("Given prompt", "Compare the three ways of exporting data."), ("Compare", "They differ in cost.")
    )
    results = run("evol_instruct", engine, count=6, evolutions=("breadth",))
    assert all("brand new prompt" in one.messages[-1]["content"] for one in engine.asked if "Given" in str(one))
    assert {draft.details["evolution"] for draft in drafts(results)} == {"breadth"}


def test_self_instruct_shows_as_many_as_are_set_and_wants_news_as_set(run):
    engine = Scripted(("Write a new message", "Where are my deleted notes now?"), ("deleted notes", "In the Trash."))
    assert reasons(run("self_instruct", engine, count=2, demonstrations=2)) == {"instruction_not_new"}
    assert all(sum(turn["role"] == "assistant" for turn in one.messages) == 2 for one in engine.asked)
    assert len(drafts(run("self_instruct", engine, count=1, max_rouge=1))) == 1


def test_evol_instruct_drops_short_answers_that_are_sorry(run):
    engine = Scripted(
        ("Given prompt", "Compare the three ways of exporting data, in a table with costs."),
        ("Compare", "Sorry, I do not know that."),
    )
    assert reasons(run("evol_instruct", engine, count=3)) == {"answer_sorry"}


def test_magpie_continues_what_the_template_writes_before_a_user(run, tmp_path):
    engine = Scripted(
        ("<\\|im_start\\|>user\n$", "What is new in this version of the app?"), ("What is new", "Faster search.")
    )
    engine.folder = make_tiny_model(tmp_path / "model")
    (first, *_) = drafts(run("magpie", engine, count=3))
    assert [turn["content"] for turn in first.messages[1:]] == [
        "What is new in this version of the app?",
        "Faster search.",
    ]
    assert engine.asked[0].is_text
    assert SYSTEM["content"] in engine.asked[0].messages[0]["content"]


def test_magpie_cannot_use_an_endpoint(run):
    with pytest.raises(EngineError, match="knows the chat template"):
        run("magpie", Scripted())
    for settings in ({"engine": "openai"}, {"endpoints": ("http://127.0.0.1:1/v1",)}):
        with pytest.raises(ValidationError, match="or magpie to 0"):
            SynthesizeSettings(magpie=1, **settings)


def test_personas_ask_in_their_own_way(run):
    engine = Scripted(
        ("Who is likely", Completion("A teacher who plans lessons. She has ma", finished=False, tokens=9)),
        ("This person uses", "Can I copy a notebook for every class?"),
        ("copy a notebook", "Yes: choose Duplicate in its menu."),
    )
    results = drafts(run("persona", engine, count=3))
    assert len(results) == 3
    assert results[0].details == {"persona": "A teacher who plans lessons."}


def test_backtranslation_asks_again_about_a_document_when_there_are_few(run):
    numbers = count(1)
    ask = ("Write the question", lambda _: f"Where is version {next(numbers)} of a note?")
    results = drafts(run("backtranslate", Scripted(ask, ("How well", '{"score": 5}')), count=6))
    assert len({draft.messages[0]["content"] for draft in results}) == 6


def test_backtranslation_keeps_what_is_rated_well(run):
    script = [("Write the question", "How long does Quillbay keep old versions?")]
    good = Scripted(*script, ("How well", '{"score": 5}'))
    (draft, *_) = drafts(run("backtranslate", good, count=2))
    assert draft.messages[0] == {"role": "user", "content": "How long does Quillbay keep old versions?"}
    assert draft.messages[1]["content"] in DOCUMENT
    assert json.loads(good.asked[-1].schema)["properties"]["score"]["maximum"] == 5
    lenient = Scripted(*script, ("How well", 'I think {"score": 2}'))
    lenient.identity = "another"
    assert reasons(run("backtranslate", lenient, count=1)) == {"rated_low"}
    assert len(drafts(run("backtranslate", lenient, count=1, min_rating=2))) == 1


@pytest.mark.parametrize(
    ("rating", "reason"),
    [('{"score": 2}', "rated_low"), ("it is great", "rating_not_parsed"), ('{"score": 9}', "rating_not_parsed")],
)
def test_backtranslation_says_why_not(run, rating, reason):
    engine = Scripted(("Write the question", "How long does Quillbay keep versions?"), ("How well", rating))
    assert reasons(run("backtranslate", engine, count=1)) == {reason}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('{"question": "How long are versions kept?", "answer": "For ninety days."}', None),
        ('```json\n{"question": "Where is the history?", "answer": "In the menu of the note."}\n```', None),
        (
            '{"question": "How long are versions kept?", "answer": "My horse likes apples."}',
            "answer_not_grounded",
        ),
        ('{"question": "Why?", "answer": "For ninety days."}', "instruction_too_short"),
        ("How long are versions kept? For ninety days.", "not_parsed"),
        ('{"question": "How long are ver', "not_parsed"),
    ],
)
def test_document_questions_are_grounded(run, reply, reason):
    results = run("document_questions", Scripted(("Text:", reply)), count=1)
    assert reasons(results) == ({reason} if reason else set())


def test_how_grounded_an_answer_must_be_is_a_setting(run):
    engine = Scripted(
        ("Text:", '{"question": "How long are versions kept?", "answer": "For ninety days, dear friend."}')
    )
    assert reasons(run("document_questions", engine, count=1)) == set()
    assert reasons(run("document_questions", engine, count=1, min_grounding=0.9)) == {"answer_not_grounded"}


def test_grounding_is_the_share_of_the_answers_words():
    assert grounding("ninety days", "kept for ninety days") == 1
    assert grounding("ninety ninety", "kept for ninety days") == 0.5


def test_regenerated_answers_replace_the_old_one(run):
    same = "In the Trash, for thirty days."
    engine = Scripted(("rename", "Right-click it, then Rename."), ("deleted", same), ("", "?"))
    results = run("regenerate", engine, count=3)
    (draft,) = drafts(results)
    assert draft.messages[:-1] == SEEDS.conversations[0].messages[:-1]
    assert draft.messages[-1]["content"] == "Right-click it, then Rename."
    assert reasons(results) == {"answer_same", "answer_no_words"}


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("3 * 4 = 12\n#### 12", "12"),
        ("So we get \\boxed{1,200.50}", "1200.5"),
        ("Each has 4.\nThe answer is $12.", "12"),
        ("The answer is: Paris", "paris"),
        ("We cannot know.", None),
    ],
)
def test_results_are_found_and_compared_as_numbers(answer, result):
    assert result_of(answer) == result


def test_checked_answers_are_kept_when_their_result_is_right(run):
    engine = Scripted(("step by step", "3 pens at 4 dollars are 12 dollars. The answer is 12.0"))
    (draft,) = drafts(run("checked", engine, count=1))
    assert draft.messages[1] == SEEDS.conversations[1].messages[1]  # without our hint
    wrong = Scripted(("step by step", "The answer is 7"))
    wrong.identity = "another"
    assert reasons(run("checked", wrong, count=2)) == {"answer_wrong"}


def test_translations_take_turns_and_say_their_language(run):
    engine = Scripted(("into German", "Ein deutscher Text ist das."), ("into French", "Un texte en français."))
    seeds = Seeds([conversation(0, "How do I rename a notebook?", "Open its menu and choose Rename.")], [])
    results = drafts(run("translate", engine, count=2, seeds=seeds, translate_to=("de", "fr")))
    assert [draft.language for draft in results] == ["de", "fr"]
    assert all(len(draft.messages) == 3 for draft in results)


def test_translation_without_a_known_language_is_a_mistake(run):
    with pytest.raises(ValidationError, match="translate_to is empty"):
        SynthesizeSettings(translate=1)
    with pytest.raises(ValidationError, match="translate_to is xx"):
        SynthesizeSettings(translate_to=("de", "xx"))


def test_extended_conversations_go_on(run):
    engine = Scripted(
        ("choose Rename", "And how do I give it another colour?"),
        ("deleted notes|thirty days", "Where are my deleted notes?"),
        ("another colour", "Choose Colour in the same menu."),
    )
    seeds = Seeds([SEEDS.conversations[0], SEEDS.conversations[2]], [])
    results = run("extend", engine, count=2, seeds=seeds)
    (draft,) = drafts(results)
    assert [turn["role"] for turn in draft.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert reasons(results) == {"instruction_not_new"}
    played = engine.asked[0].messages
    assert [turn["role"] for turn in played] == ["system", "user", "assistant", "user"]


def test_json_is_found_in_what_stands_round_it():
    from tasks.synthesize.methods.backtranslate import Rating

    assert parse(Rating, 'Sure! {"score": 4} Bye') == Rating(score=4)
    assert parse(Rating, "no") is None
