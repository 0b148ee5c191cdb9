"""A handle that is lent twice is noticed; one that is lent again rightly is not."""

import pytest

from iris_communication.sftp.handle_book import HandleBook

A, B = b"1", b"2"


@pytest.fixture
def book():
    return HandleBook()


def test_handles_of_their_own_are_trusted(book):
    assert book.lent(A, 1)
    assert book.lent(B, 2)
    assert book.closed(A)
    assert book.closed(B)


def test_a_handle_lent_while_it_is_in_use_spoils_all_files_under_it(book):
    assert book.lent(A, 1)
    assert not book.lent(A, 2)
    assert not book.lent(A, 3)
    assert [book.closed(A) for _ in range(3)] == [False] * 3


def test_a_spoilt_handle_is_trusted_again_once_all_files_under_it_are_closed(book):
    book.lent(A, 1)
    book.lent(A, 2)
    book.closed(A)
    book.closed(A)
    assert book.lent(A, 3)
    assert book.closed(A)


def test_a_handle_lent_again_after_its_close_is_trusted(book):
    book.lent(A, 1)
    book.closing(A, 2)
    assert book.closed(A)
    assert book.lent(A, 3)


def test_a_later_open_that_is_answered_before_the_close_it_followed_is_trusted(book):
    book.lent(A, 1)
    book.closing(A, 2)
    assert book.lent(A, 3)
    assert book.closed(A)
    assert book.closed(A)


def test_an_open_that_was_sent_before_the_close_is_not(book):
    book.lent(A, 1)
    book.closing(A, 3)
    assert not book.lent(A, 2)


def test_an_id_after_the_last_one_is_later(book):
    book.lent(A, 0xFFFFFFFE)
    book.closing(A, 0xFFFFFFFF)
    assert book.lent(A, 0)


def test_closing_what_was_never_lent_is_nobodys_business(book):
    book.closing(A, 1)
    assert book.closed(A)
