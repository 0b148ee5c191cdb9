import os

from iris_communication.outbox.writer.tokens import Tokens


def test_each_word_is_16_hexadecimal_digits_and_comes_once():
    tokens = Tokens()
    text = [tokens() for _ in range(1000)]
    assert len(set(text)) == 1000
    assert all(len(word) == 16 and int(word, 16) >= 0 for word in text)


def test_the_system_is_asked_once_for_many_words(monkeypatch):
    asked, urandom = [], os.urandom
    monkeypatch.setattr(os, "urandom", lambda size: (asked.append(size), urandom(size))[1])
    tokens = Tokens()
    for _ in range(100):
        tokens()
    assert len(asked) == 1
