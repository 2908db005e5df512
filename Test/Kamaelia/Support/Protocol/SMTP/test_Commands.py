"""Command lines and the parameters of MAIL and RCPT."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.Commands import (
    Command,
    CommandError,
    parse_command,
    parse_parameters,
)

ALL = Capabilities(size_offered=True, eightbitmime=True, smtputf8=True, dsn=True)
MORE = Capabilities(deliverby=True, mt_priority=True, requiretls=True, auth=(b"PLAIN",))


def code_of(text: bytes, for_verb: str, capabilities: Capabilities = ALL) -> tuple[int, bytes]:
    with pytest.raises(CommandError) as caught:
        parse_parameters(text, for_verb=for_verb, capabilities=capabilities)
    return caught.value.reply.code, caught.value.reply.lines[0][:5]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"QUIT", Command("QUIT", b"")),
        (b"quit", Command("QUIT", b"")),
        (b"Quit  ", Command("QUIT", b"")),
        (b"DATA\t", None),
        (b"DATA \t", Command("DATA", b"")),
        (b"ehLO  a.b ", Command("EHLO", b"a.b")),
        (b"MAIL FROM:<a@b> SIZE=1", Command("MAIL", b"FROM:<a@b> SIZE=1")),
        (b"", None),
        (b" QUIT", None),
        (b"Subject: x", None),
        (b"QU\x00IT", None),
        (b"\xc3\xa9", None),
        (b"250 ok", None),
    ],
)
def test_a_line_is_a_verb_of_letters_and_an_argument(line: bytes, command: Command | None) -> None:
    if command is None:
        with pytest.raises(CommandError) as caught:
            parse_command(line)
        assert caught.value.reply.to_wire().startswith(b"500 5.5.2 ")
    else:
        assert parse_command(line) == command


def test_parameters_keep_their_order_and_values() -> None:
    text = b"ret=HDRS  SIZE=12345678901234567890 smtputf8 body=8bitmime ENVID=a+2Bb"
    found = parse_parameters(text, for_verb="MAIL", capabilities=ALL)
    assert list(found.items()) == [
        ("RET", b"HDRS"),
        ("SIZE", b"12345678901234567890"),
        ("SMTPUTF8", None),
        ("BODY", b"8bitmime"),
        ("ENVID", b"a+2Bb"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"NOTIFY=NEVER",
        b"NOTIFY=success,Failure,DELAY",
        b"ORCPT=rfc822;a+40b@c",
        b"ORCPT=x-local;",
        b"NOTIFY=DELAY ORCPT=rfc822;a@b",
    ],
)
def test_good_recipient_parameters_are_taken(text: bytes) -> None:
    assert parse_parameters(text, for_verb="RCPT", capabilities=ALL)


@pytest.mark.parametrize(
    ("text", "for_verb"),
    [
        (b"SIZE=1 size=2", "MAIL"),
        (b"SIZE", "MAIL"),
        (b"SIZE=", "MAIL"),
        (b"SIZE=-1", "MAIL"),
        (b"SIZE=1%0d", "MAIL"),
        (b"SIZE=123456789012345678901", "MAIL"),
        (b"SIZE=1=2", "MAIL"),
        (b"BODY=BINARYMIME", "MAIL"),
        (b"BODY", "MAIL"),
        (b"SMTPUTF8=yes", "MAIL"),
        (b"RET=ALL", "MAIL"),
        (b"ENVID", "MAIL"),
        (b"ENVID=+0D+0A", "MAIL"),
        (b"ENVID=a+", "MAIL"),
        (b"ENVID=a+2b", "MAIL"),
        (b"ENVID=" + b"a" * 101, "MAIL"),
        (b"=1", "MAIL"),
        (b"-A=1", "MAIL"),
        (b"SIZE=\xff", "MAIL"),
        (b"SIZE=1\rRSET", "MAIL"),
        (b"SIZE=1\n", "MAIL"),
        (b"NOTIFY=NEVER,DELAY", "RCPT"),
        (b"NOTIFY=", "RCPT"),
        (b"NOTIFY", "RCPT"),
        (b"ORCPT", "RCPT"),
        (b"ORCPT=a@b", "RCPT"),
        (b"ORCPT=;a@b", "RCPT"),
        (b"ORCPT=rfc822;a+0D+0ARCPT", "RCPT"),
        (b"ORCPT=rfc822;a+00", "RCPT"),
        (b"ORCPT=rfc822;a+7F", "RCPT"),
        (b"ORCPT=rfc822;" + b"a" * 500, "RCPT"),
    ],
)
def test_bad_parameters_get_501(text: bytes, for_verb: str) -> None:
    assert code_of(text, for_verb) == (501, b"5.5.4")


@pytest.mark.parametrize(
    ("text", "for_verb"),
    [
        (b"AUTH=<>", "MAIL"),
        (b"NOTIFY=NEVER", "MAIL"),
        (b"SIZE=1", "RCPT"),
        (b"X", "RCPT"),
    ],
)
def test_unknown_parameters_get_555(text: bytes, for_verb: str) -> None:
    assert code_of(text, for_verb) == (555, b"5.5.4")


@pytest.mark.parametrize("text", [b"SIZE=1", b"BODY=7BIT", b"SMTPUTF8", b"RET=FULL", b"ENVID=1"])
def test_parameters_that_were_not_offered_get_555(text: bytes) -> None:
    assert code_of(text, "MAIL", Capabilities()) == (555, b"5.5.4")


@pytest.mark.parametrize("body", [b"8BITMIME", b"7BIT"])
def test_the_commonest_parameters_mean_what_they_mean_in_any_other_order(body: bytes) -> None:
    text = b"SIZE=12 BODY=" + body
    found = parse_parameters(text, for_verb="MAIL", capabilities=ALL)
    assert found == {"SIZE": b"12", "BODY": body}
    other = parse_parameters(b"body=" + body + b" size=12", for_verb="MAIL", capabilities=ALL)
    assert found == other
    assert code_of(text, "MAIL", Capabilities(size_offered=True)) == (555, b"5.5.4")
    assert code_of(text, "MAIL", Capabilities(eightbitmime=True)) == (555, b"5.5.4")
    assert code_of(text, "RCPT") == (555, b"5.5.4")


@pytest.mark.parametrize(
    "text",
    [
        b"BY=120;R",
        b"BY=+1;rt",
        b"BY=-5;N",
        b"by=0;NT",
        b"BY=999999999;R",
        b"MT-PRIORITY=0",
        b"MT-PRIORITY=-9",
        b"MT-PRIORITY=4",
        b"REQUIRETLS",
        b"AUTH=<>",
        b"AUTH=a@example.org",
        b"AUTH=a+2Bb@example.org",
        b"AUTH=+22a+20b+22@example.org",
        b"AUTH=+C3+A9@example.org",
        b"REQUIRETLS BY=1;N MT-PRIORITY=3 AUTH=<>",
    ],
)
def test_parameters_of_more_extensions_are_taken_where_they_are_offered(text: bytes) -> None:
    assert parse_parameters(text, for_verb="MAIL", capabilities=MORE)
    assert code_of(text, "MAIL", ALL) == (555, b"5.5.4")
    assert code_of(text, "RCPT", MORE) == (555, b"5.5.4")


@pytest.mark.parametrize(
    "text",
    [
        b"BY",
        b"BY=120",
        b"BY=120;",
        b"BY=120;X",
        b"BY=0;R",
        b"BY=-1;R",
        b"BY=1234567890123;N",
        b"BY=1;RTT",
        b"MT-PRIORITY",
        b"MT-PRIORITY=10",
        b"MT-PRIORITY=+1",
        b"MT-PRIORITY=-0",
        b"MT-PRIORITY=-10",
        b"REQUIRETLS=yes",
        b"AUTH",
        b"AUTH=a",
        b"AUTH=<a@example.org>",
        b"AUTH=a@example.org+3E+20SIZE+3D1",
        b"AUTH=a+0D+0ARSET@example.org",
        b"AUTH=+FF@example.org",
        b"AUTH=a+2bb@example.org",
        b"AUTH=" + b"a" * 500 + b"@x",
    ],
)
def test_bad_parameters_of_more_extensions_get_501(text: bytes) -> None:
    assert code_of(text, "MAIL", MORE) == (501, b"5.5.4")


@given(st.binary(max_size=60), st.sampled_from(["MAIL", "RCPT"]))
def test_any_bytes_are_read_or_refused_and_what_is_read_is_printable(
    text: bytes, for_verb: str
) -> None:
    try:
        found = parse_parameters(text, for_verb=for_verb, capabilities=ALL)
    except CommandError as error:
        code = error.reply.code
    else:
        code = 0
        assert all(32 < byte < 127 for value in found.values() for byte in value or b"")
    assert code in (0, 501, 555)
