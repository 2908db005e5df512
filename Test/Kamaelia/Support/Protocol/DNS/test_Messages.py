"""Questions say what is wrong with them where they are made."""

import pytest

from Axon.Component import component
from Kamaelia.Support.Protocol.DNS.Messages import Answer, Failure, Kind, Outcome, Question


def test_a_kind_may_be_said_in_text() -> None:
    assert Question("a.org", "MX") == Question("a.org", Kind.MX)


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="ANY"):
        Question("a.org", "ANY")


def test_a_name_in_bytes_is_refused() -> None:
    with pytest.raises(TypeError, match="text"):
        Question(b"a.org")  # type: ignore[arg-type]


def test_a_box_that_there_is_not_is_refused() -> None:
    asker = component()
    assert Question("a.org", reply_to=(asker, "inbox")).reply_to == (asker, "inbox")
    with pytest.raises(KeyError, match="names"):
        Question("a.org", reply_to=(asker, "names"))


def test_facts_are_not_temporary() -> None:
    assert {f for f in Failure if not f.temporary} == {
        Failure.NXDOMAIN,
        Failure.NODATA,
        Failure.BAD_NAME,
    }


def test_an_answer_has_whole_seconds_of_which_none_is_too_long() -> None:
    question = Question("a.org")
    assert Answer.of(question, Outcome(("x",), 9.9, None, "b.org")) == Answer(
        question, ("x",), 9, None, "b.org"
    )
