"""ISBNs: one form for all notations, and an error that says what is wrong."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from catalog import isbn
from tests.factories import make_book


@pytest.mark.parametrize(
    "raw",
    [
        "9780804429573",
        "978-0-8044-2957-3",
        "978 0 8044 2957 3",
        "080442957X",
        "080442957x",
        "0-8044-2957-X",
        " 0-8044-2957-X ",
    ],
)
def test_every_notation_of_a_book_is_one_isbn(raw: str) -> None:
    assert isbn.normalise(raw) == "9780804429573"


@pytest.mark.parametrize("raw", ["9780804429574", "0804429571", "978-0-8044-2957-0"])
def test_a_wrong_check_digit_is_told_apart(raw: str) -> None:
    with pytest.raises(ValidationError, match="check digit") as error:
        isbn.normalise(raw)
    assert error.value.code == "checksum"


@pytest.mark.parametrize(
    "raw", ["1", "97808044295", "abcdefghij", "978080442957X", "4006381333931"]
)
def test_what_is_no_isbn_is_refused(raw: str) -> None:
    with pytest.raises(ValidationError) as error:
        isbn.normalise(raw)
    assert error.value.code == "isbn"


@pytest.mark.parametrize(
    ("thirteen", "ten"), [("9780804429573", "080442957X"), ("9791090636071", "")]
)
def test_only_a_978_number_has_ten_digits_too(thirteen: str, ten: str) -> None:
    assert isbn.isbn10(thirteen) == ten


@given(st.text(max_size=20))
def test_any_text_is_an_isbn_or_a_clear_error(raw: str) -> None:
    try:
        normalised = isbn.normalise(raw)
    except ValidationError:
        return
    assert len(normalised) == 13
    assert isbn.normalise(normalised) == normalised


def test_a_book_keeps_its_isbn_in_one_form(db: None) -> None:
    assert make_book(isbn="0-8044-2957-X").isbn == "9780804429573"
