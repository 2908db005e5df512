"""Which part of a host name an organisation has registered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Lookups.Organisations import organisation_of


@pytest.mark.parametrize(
    ("name", "organisation"),
    [
        ("example.org", "example.org"),
        ("mail-wr1-f47.google.com", "google.com"),
        ("MX.Example.CO.UK.", "example.co.uk"),
        ("a.b.c.example.com.au", "example.com.au"),
        ("com", ""),
        ("co.uk", ""),
        ("", ""),
        (".", ""),
        ("x" * 300 + ".example.org", ""),
        ("exämple.org", ""),
    ],
)
def test_the_part_above_what_is_open_to_all(name: str, organisation: str) -> None:
    assert organisation_of(name) == organisation


@given(st.text(max_size=80))
def test_any_text_has_an_answer(name: str) -> None:
    found = organisation_of(name)
    assert not found or name.rstrip(".").lower().endswith(found)
