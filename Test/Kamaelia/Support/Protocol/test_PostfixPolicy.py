"""PolicyParser, PolicyRequest, action: slices, limits, what makes no sense, what can be said."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError, ProtocolError
from Kamaelia.Support.Protocol.PostfixPolicy import (
    ACTION_CHARACTERS,
    PolicyParser,
    PolicyRequest,
    PolicySyntaxError,
    action,
    decoded_xtext,
)

KIND = b"request=smtpd_access_policy\n"
# As Postfix 3.7 sends it, without the lines in its middle.
WIRE = KIND + (
    b"protocol_state=RCPT\nprotocol_name=ESMTP\nhelo_name=mx.example.net\nqueue_id=\n"
    b"sender=a=b@example.net\nrecipient=c@example.org\nclient_address=192.0.2.7\n"
    b"client_name=unknown\ninstance=7b.65a.1.0\nsize=0\npolicy_context=\nnew_in_2040=yes\n\n"
)

# All of what Postfix 3.7 sends, in its order.
ALL = [
    *("request", "protocol_state", "protocol_name", "client_address", "client_name"),
    *("client_port", "reverse_client_name", "server_address", "server_port", "helo_name", "sender"),
    *("recipient", "recipient_count", "queue_id", "instance", "size", "etrn_domain", "stress"),
    *("sasl_method", "sasl_username", "sasl_sender", "ccert_subject", "ccert_issuer"),
    *("ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol"),
    *("encryption_cipher", "encryption_keysize", "policy_context"),
]

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
names = texts.filter(lambda name: name and "=" not in name and name != "request")


def parsed(*data: bytes, limit: int = 65_536) -> list[PolicyRequest]:
    parser = PolicyParser(limit)
    found = []
    for each in data:
        parser.receive_data(each)
        while (request := parser.next_request()) is not None:
            found.append(request)
    return found


def test_what_postfix_asks_is_read() -> None:
    (request,) = parsed(WIRE)
    assert request["protocol_state"] == "RCPT"
    assert request["sender"] == "a=b@example.net"
    assert request["new_in_2040"] == "yes"
    assert len(request.attributes) == 13


def test_an_empty_value_and_a_missing_line_say_the_same() -> None:
    (request,) = parsed(WIRE)
    assert request["queue_id"] == request["ccert_subject"] == ""


def usual(*values: bytes) -> bytes:
    """A request of Postfix's, in which these are the first values."""
    given = [b"smtpd_access_policy", *values, *[b""] * len(ALL)]
    lines = [name.encode() + b"=" + value for name, value in zip(ALL, given, strict=False)]
    return b"\n".join([*lines, b"", b""])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=12).filter(lambda value: b"\n" not in value), max_size=28))
def test_what_postfix_sends_means_the_same_read_at_once_and_line_by_line(
    values: list[bytes],
) -> None:
    wire = usual(*values)
    parser = PolicyParser()
    parser.receive_data(wire)
    at_once = parser.only_request()
    if any(byte < 32 or byte == 127 for value in values for byte in value):
        assert at_once is None
        assert len(parser) == len(wire)  # it is there for next_request
    else:
        assert at_once == PolicyRequest.parse(wire[:-2])
        assert not len(parser)
        assert parser.only_request() is parser.next_request() is None


def test_what_postfix_sends_is_read_at_once() -> None:
    parser = PolicyParser(len(usual()) - 2)
    parser.receive_data(usual())
    request = parser.only_request()
    assert request is not None
    assert list(request.attributes) == ALL


def test_what_a_later_one_has_put_behind_it_is_read_at_once_too() -> None:
    wire = usual()[:-1] + b"mail_version=3.9=x\nnew=\nnew=2\nsender=c@d\n\n"
    parser = PolicyParser()
    parser.receive_data(wire)
    request = parser.only_request()
    assert request == PolicyRequest.parse(wire[:-2])
    assert request is not None
    assert (request["mail_version"], request["new"], request["sender"]) == ("3.9=x", "", "")


@pytest.mark.parametrize(
    "wire",
    [
        usual()[:-1],
        usual() * 2,
        usual() + b"request",
        usual().replace(b"stress=\n", b""),
        usual().replace(b"stress=\n", b"stress\n"),
        usual().replace(b"stress=\n", b"stress=\nstress=\n"),
        usual().replace(b"stress=\n", b"stress=\nnew=\n"),
        usual()[:-1] + b"new\n\n",
        usual()[:-1] + b"=new\n\n",
        usual().replace(b"smtpd_", b""),
        WIRE,
        b"\n\n",
    ],
)
def test_what_is_more_or_less_than_one_such_request_is_not_read_at_once(wire: bytes) -> None:
    parser = PolicyParser()
    parser.receive_data(wire)
    assert parser.only_request() is None
    assert len(parser) == len(wire)


def test_what_is_too_long_is_not_read_at_once() -> None:
    parser = PolicyParser(len(usual()) - 3)
    parser.receive_data(usual())
    assert parser.only_request() is None
    with pytest.raises(PolicySyntaxError, match="a request of more than"):
        parser.next_request()


def test_the_last_of_several_may_be_read_at_once_when_more_comes() -> None:
    parser = PolicyParser()
    parser.receive_data(WIRE + usual())
    assert parser.next_request() is not None
    assert parser.only_request() is None  # its beginning is in the middle of what is kept
    parser.receive_data(b"")
    assert parser.only_request() is not None
    parser.receive_data(usual()[:9])
    assert parser.next_request() is None
    parser.receive_data(usual()[9:])
    assert parser.only_request() is not None
    parser.receive_data(usual()[:9])
    assert parser.next_request() is None


@pytest.mark.parametrize("size", [1, 7, 300, 10_000])
def test_requests_survive_any_slicing_of_the_stream(size: int) -> None:
    wire = WIRE * 3
    assert parsed(*[wire[at : at + size] for at in range(0, len(wire), size)]) == parsed(WIRE) * 3


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.dictionaries(names, texts, max_size=4), min_size=1, max_size=4),
    st.lists(st.integers(0, 400), max_size=6),
)
def test_what_is_sent_comes_back_from_any_slices(
    given: list[dict[str, str]], cuts: list[int]
) -> None:
    requests = [PolicyRequest({"request": "smtpd_access_policy", **each}) for each in given]
    wire = b"".join(request.to_wire() for request in requests)
    ends = [0, *sorted(cuts), len(wire)]
    assert parsed(*[wire[a:b] for a, b in pairwise(ends)]) == requests


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_requests_or_an_error_on_one_line(data: bytes, size: int) -> None:
    slices = [data[at : at + size] for at in range(0, len(data), size)]
    try:
        assert parsed(*slices, b"\n\n", limit=100) == []
    except PolicySyntaxError as error:
        text = str(error)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 500


def test_several_requests_of_one_read_come_one_by_one() -> None:
    parser = PolicyParser()
    parser.receive_data(WIRE + WIRE + b"reque")
    assert parser.next_request() == parser.next_request() == PolicyRequest.parse(WIRE[:-2])
    assert len(parser) == len(b"reque")
    assert parser.next_request() is None
    parser.receive_data(WIRE.removeprefix(b"reque"))
    assert parser.next_request() == PolicyRequest.parse(WIRE[:-2])
    assert parser.next_request() is None
    assert len(parser) == 0


def test_a_blank_line_in_two_pieces_is_found() -> None:
    parser = PolicyParser()
    parser.receive_data(WIRE[:-1])
    assert parser.next_request() is None
    parser.receive_data(b"\n" + KIND)
    assert parser.next_request() is not None
    assert parser.next_request() is None
    parser.receive_data(b"a=b\n")
    assert parser.next_request() is None
    parser.receive_data(b"\n")
    (request,) = [parser.next_request()]
    assert request is not None
    assert request["a"] == "b"


def test_of_a_name_that_comes_twice_the_first_line_counts() -> None:
    (request,) = parsed(KIND + b"sender=\nrecipient=a\nsender=b\nrecipient=c\nrequest=other\n\n")
    assert (request["sender"], request["recipient"]) == ("", "a")


def test_what_is_no_utf8_is_spelt_out() -> None:
    (request,) = parsed(KIND + b"sender=a\xff\xc3\xbc@b\n\n")
    assert request["sender"] == "a\\xffü@b"


def test_what_strangers_put_into_an_address_is_spelt_out() -> None:
    (request,) = parsed(KIND + b"sender=a\x01\t\x7f\x1b[2Jb@c\nrecipient=d@e\n\n")
    assert request["sender"] == "a\\x01\\x09\\x7f\\x1b[2Jb@c"
    assert request["recipient"] == "d@e"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (KIND + b"sender\n\n", "a line without '=': 'sender'"),
        (b"\n" + WIRE, "a line without '=': ''"),
        (b"\n\n", "a line without '=': ''"),
        (b"sender=a\n\n", "no request=smtpd_access_policy in 'sender=a'"),
        (b"request=junk\n\n", "no request=smtpd_access_policy in 'request=junk'"),
        (KIND + b"=odd\n\n", "an attribute without a name: '=odd'"),
        (KIND + b"sender=a\r\n\n", "NUL or CR in 'request=smtpd_access_policy\\nsender=a\\r'"),
        (KIND + b"sender=a\0\n\n", "NUL or CR in "),
    ],
)
def test_what_makes_no_sense_is_an_error(data: bytes, text: str) -> None:
    with pytest.raises(PolicySyntaxError) as caught:
        parsed(data)
    assert str(caught.value).startswith(text)
    assert isinstance(caught.value, ProtocolError)


def test_after_an_error_there_is_nothing_but_that_error() -> None:
    parser = PolicyParser()
    parser.receive_data(WIRE + b"junk\n\n" + WIRE)
    assert parser.next_request() is not None
    for _ in range(2):
        with pytest.raises(PolicySyntaxError, match="junk"):
            parser.next_request()
        parser.receive_data(WIRE)
    assert len(parser) == 0


def test_a_request_may_be_as_long_as_the_limit() -> None:
    long = KIND + b"a=" + b"x" * 70  # 100 bytes
    assert len(long) == 100
    assert len(parsed(long + b"\n\n", limit=100)) == 1
    with pytest.raises(PolicySyntaxError, match="more than 99 bytes"):
        parsed(long + b"\n\n", limit=99)


def test_a_request_without_end_is_an_error_as_soon_as_it_is_too_long() -> None:
    parser = PolicyParser(100)
    parser.receive_data(WIRE[:50] * 2)
    assert parser.next_request() is None
    parser.receive_data(b"x")
    with pytest.raises(PolicySyntaxError, match="more than 100 bytes"):
        parser.next_request()


def test_many_short_requests_are_not_one_long_one() -> None:
    assert len(parsed((KIND + b"\n") * 50, limit=100)) == 50


@pytest.mark.parametrize(
    "attributes", [{"a": "b\nc"}, {"a\n": "b"}, {"": "a"}, {"a=b": "c"}, {"a": "\0"}]
)
def test_what_no_request_can_have_is_not_sent(attributes: dict[str, str]) -> None:
    with pytest.raises(LocalProtocolError):
        PolicyRequest(attributes).to_wire()


def test_an_action_is_one_line() -> None:
    assert action("DUNNO") == b"action=DUNNO\n\n"
    assert action("451 a\r\n\naction=OK\0\x7fü") == b"action=451 a???action=OK??\\xfc\n\n"
    assert action("x" * 2_000) == b"action=" + b"x" * ACTION_CHARACTERS + b"\n\n"
    assert len(action("\u20ac" * 2_000)) == len(b"action=\n\n") + ACTION_CHARACTERS


@settings(max_examples=50, deadline=None)
@given(st.text(min_size=1, max_size=200))
def test_whatever_is_said_it_is_one_action(text: str) -> None:
    if text.isspace():
        text += "x"
    wire = action(text)
    assert wire.startswith(b"action=")
    assert wire.endswith(b"\n\n")
    assert wire[:-2].decode("ascii").isprintable()


@pytest.mark.parametrize("text", ["", "  "])
def test_an_action_says_something(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        action(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mx.example.net", "mx.example.net"),
        ("Anna+20M+C3+BCller", "Anna Müller"),
        ("a+2Bb+3dc", "a+b=c"),
        ("a+0Ab+00", "a?b?"),
        ("a+ffb", "a\\xffb"),
        ("a+b+2", "a+b+2"),
    ],
)
def test_names_of_certificates_are_decoded(text: str, name: str) -> None:
    assert decoded_xtext(text) == name
