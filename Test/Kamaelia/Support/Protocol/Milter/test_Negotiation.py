"""Negotiation, with the offers that were recorded from Postfix and Sendmail."""

from struct import unpack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.Milter.Commands import Negotiate
from Kamaelia.Support.Protocol.Milter.Negotiation import (
    Action,
    Agreement,
    Stage,
    Step,
    Wishes,
    negotiate,
)
from Kamaelia.Support.Protocol.Milter.Packets import MilterProtocolError

POSTFIX = {
    2: Negotiate(2, 0x1FF, 0x7F),
    3: Negotiate(3, 0x1FF, 0x17F),
    4: Negotiate(4, 0x1FF, 0x37F),
    6: Negotiate(6, 0x1FF, 0x1FFFFF),
}
SENDMAIL = Negotiate(6, 0x1FF, 0x1FFFFF)
GREYLISTER = Wishes(Action.ADD_HEADERS, replies=b"R")
NOSY = Wishes(
    Action.ADD_HEADERS | Action.CHANGE_BODY,
    headers=True,
    body=True,
    data=True,
    unknown=True,
    refused_recipients=True,
    exact_headers=True,
    replies=b"RB",
)


def on_the_wire(agreement: Agreement) -> tuple[int, int, int]:
    wire = agreement.wire
    assert int.from_bytes(wire[:4], "big") == len(wire) - 4
    assert wire[4:5] == b"O"
    version, actions, steps = unpack(">III", wire[5:17])
    assert (version, actions, steps) == (
        agreement.version,
        agreement.actions,
        agreement.protocol,
    )
    return version, actions, steps


@pytest.mark.parametrize(
    ("offer", "wishes", "agreed"),
    [
        (POSTFIX[2], GREYLISTER, (2, 0x1, 0x70)),
        (POSTFIX[3], GREYLISTER, (3, 0x1, 0x170)),
        (POSTFIX[4], GREYLISTER, (4, 0x1, 0x370)),
        # Of what is not sent it is said as well that it is not answered: it does no harm.
        (POSTFIX[6], GREYLISTER, (6, 0x1, 0xF73F0)),
        (SENDMAIL, GREYLISTER, (6, 0x1, 0xF73F0)),
        (POSTFIX[2], NOSY, (2, 0x3, 0)),
        (POSTFIX[6], NOSY, (6, 0x3, 0x177C80)),
        (Negotiate(7, 0x3FF, 0xFFFFFFFF), GREYLISTER, (6, 0x1, 0xF73F0)),
        (Negotiate(6, 0, 0), NOSY, (6, 0, 0)),
    ],
)
def test_recorded_offers(offer: Negotiate, wishes: Wishes, agreed: tuple[int, int, int]) -> None:
    assert on_the_wire(negotiate(offer, wishes)) == agreed


def test_an_agreement_knows_what_comes_and_what_is_waited_for() -> None:
    agreed = negotiate(SENDMAIL, GREYLISTER)
    assert [command for command in "CHMRTULNBE" if agreed.sends(command.encode())] == [*"CHMRE"]
    assert [command for command in "CHMREAQKD" if agreed.wants_answer(command.encode())] == [*"RE"]
    old = negotiate(POSTFIX[2], GREYLISTER)
    assert [command for command in "CHMRLNBE" if old.sends(command.encode())] == [*"CHMRE"]
    assert [command for command in "CHMREAQ" if old.wants_answer(command.encode())] == [*"CHMRE"]


def test_the_blank_behind_the_colon_is_known() -> None:
    assert negotiate(SENDMAIL, NOSY).leading_space
    assert not negotiate(POSTFIX[2], NOSY).leading_space
    assert not negotiate(SENDMAIL, GREYLISTER).leading_space


def test_a_list_of_macros_is_sent_where_it_was_offered() -> None:
    wishes = Wishes(macros={Stage.RCPT: ("i", "rcpt_addr"), Stage.CONNECT: ("j",)})
    agreed = negotiate(SENDMAIL, wishes)
    assert agreed.actions == Action.SET_MACROS
    assert agreed.wire[17:] == b"\0\0\0\0j\0" + b"\0\0\0\3i {rcpt_addr}\0"
    plain = negotiate(Negotiate(6, 0xFF, 0x1FFFFF), wishes)
    assert (plain.actions, plain.wire[17:]) == (Action.NONE, b"")


def test_the_right_to_ask_is_not_asked_for_without_a_list() -> None:
    agreed = negotiate(SENDMAIL, Wishes(Action.SET_MACROS | Action.QUARANTINE))
    assert (agreed.actions, agreed.wire[17:]) == (Action.QUARANTINE, b"")


@pytest.mark.parametrize("name", ["", "a b", "{i}", "a\0", "\u00e9"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a macro"):
        negotiate(SENDMAIL, Wishes(macros={Stage.MAIL: (name,)}))


def test_a_version_of_long_ago_is_an_error() -> None:
    with pytest.raises(MilterProtocolError, match="version 1"):
        negotiate(Negotiate(1, 0x1FF, 0), GREYLISTER)


@settings(max_examples=50, deadline=None)
@given(
    version=st.integers(2, 2**32 - 1),
    actions=st.integers(0, 2**32 - 1),
    steps=st.integers(0, 2**32 - 1),
    wishes=st.builds(
        Wishes,
        actions=st.just(Action.ALL),
        headers=st.booleans(),
        body=st.booleans(),
        data=st.booleans(),
        unknown=st.booleans(),
        refused_recipients=st.booleans(),
        replies=st.binary(max_size=3),
        exact_headers=st.booleans(),
    ),
)
def test_nothing_is_answered_that_was_not_offered(
    version: int, actions: int, steps: int, wishes: Wishes
) -> None:
    agreed = negotiate(Negotiate(version, actions, steps), wishes)
    found = on_the_wire(agreed)
    assert found[0] == min(version, 6)
    assert found[1] & ~actions == 0
    assert found[2] & ~steps == 0
    assert not found[2] & ~Step.ALL
