"""Texts that somebody reads are in plain words: none of those that the project once had for itself comes back."""

import re

from scripts.texts import texts

DIALECT = re.compile(
    r"\b(told|tells?|knock\w*|desk|errand|visitor|luck|anew|lanes?|keeper|hears? nobody|in words|own words"
    r"|without a word|whoever|anybody)\b",
    re.IGNORECASE,
)


def test_the_texts_of_the_program_are_found():
    assert len(texts()) > 1000


def test_no_text_of_the_program_has_a_word_of_the_dialect():
    assert [text for text in texts() if DIALECT.search(text.text)] == []
