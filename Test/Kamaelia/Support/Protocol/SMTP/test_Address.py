"""Paths of MAIL and RCPT: what is read, what is refused and with which code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.SMTP.Address import AddressError, Path, parse_path, simple_command


def sender(text: bytes, *, smtputf8: bool = False) -> tuple[Path, bytes]:
    return parse_path(text, smtputf8=smtputf8, recipient=False)


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        (b"<a@b>", b"a", b"b"),
        (b" <a@b>", b"a", b"b"),
        (b"   <a@b>", b"a", b"b"),
        (b"<User.Name+tag@Example.ORG>", b"User.Name+tag", b"Example.ORG"),
        (b"<a!#$%&'*+-/=?^_`{|}~@b>", b"a!#$%&'*+-/=?^_`{|}~", b"b"),
        (b"<user%other@here>", b"user%other", b"here"),
        (b"<..a..b..@b>", b"..a..b..", b"b"),
        (b"<a@my_host.b-c.d>", b"a", b"my_host.b-c.d"),
        (b'<"user@other"@here>', b"user@other", b"here"),
        (b'<"a b"@here>', b"a b", b"here"),
        (b'<"a\\"b\\\\c"@here>', b'a"b\\c', b"here"),
        (b'<"a>b"@here>', b"a>b", b"here"),
        (b'<""@here>', b"", b"here"),
        (b"<@a,@b.c:user@d>", b"user", b"d"),
        (b"<@a:user@[192.0.2.1]>", b"user", b"[192.0.2.1]"),
        (b"<user@[IPv6:2001:db8::1]>", b"user", b"[IPv6:2001:db8::1]"),
    ],
)
def test_an_address_is_taken_apart_at_the_last_unquoted_at(
    text: bytes, local: bytes, domain: bytes
) -> None:
    path, rest = sender(text)
    assert (path.local, path.domain, rest) == (local, domain, b"")
    assert path == parse_path(text, smtputf8=False, recipient=True)[0]


def test_the_raw_path_is_as_written_without_route_and_brackets() -> None:
    assert sender(b'<@x:"a\\b"@D>')[0].raw == b'"a\\b"@D'


def test_parameters_are_handed_back_without_the_blanks_around() -> None:
    assert sender(b"<a@b>  SIZE=1 BODY=7BIT ")[1] == b"SIZE=1 BODY=7BIT"


def test_the_null_path_is_for_senders_only() -> None:
    path, rest = sender(b"<> SIZE=1")
    assert (path.is_null, path.text, rest) == (True, "", b"SIZE=1")
    with pytest.raises(AddressError):
        parse_path(b"<>", smtputf8=False, recipient=True)


@pytest.mark.parametrize("text", [b"<postmaster>", b"<PostMaster>"])
def test_a_postmaster_without_domain_is_for_recipients_only(text: bytes) -> None:
    path, _ = parse_path(text, smtputf8=False, recipient=True)
    assert (path.raw, path.local, path.domain, path.is_null) == (text[1:-1], text[1:-1], b"", False)
    with pytest.raises(AddressError):
        sender(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a@b",
        b"<a@b",
        b"a@b>",
        b"<a@b>SIZE=1",
        b"<user>",
        b"<user@>",
        b"<@here>",
        b"<user@here.>",
        b"<user@.here>",
        b"<user@a..b>",
        b"<user@-a>",
        b"<user@a->",
        b"<user@allowed@other>",
        b"<@here:user@other@x>",
        b"<@a.:user@b>",
        b"<a b@c>",
        b'<"a@b>',
        b'<"a"b@c>',
        b'<"a"."b"@c>',
        b'<"a\\"@c>',
        b'<"a\rRCPT TO:<x>"@d>',
        b'<"a\\\r\\\nb"@d>',
        b'<"a\\\x00b"@d>',
        b'<"a\x7fb"@d>',
        b"<a\x00@b>",
        b"<a\n@b>",
        b"<a@b\r\n>",
        b"<a\x1b[31m@b>",
        b"<user@[127.0.0.1>",
        b"<user@[127.0.0.256]>",
        b"<user@[127.1]>",
        b"<user@[::1]>",
        b"<user@[IPv6:::g]>",
        b"<user@[tag:whatever]>",
        b"<user@[IPv6:\xc3\xa9]>",
        b"<user@[127.0.0.1]x>",
        b"<" + b"a" * 65 + b"@b>",
        b"<a@" + b"b" * 64 + b">",
        b"<a@" + b".".join([b"b" * 63] * 4) + b">",
        b"<@" + b"r" * 60 + b"." + b"r" * 60 + b":" + b"a" * 64 + b"@" + b"b" * 63 + b".cccccccc>",
    ],
)
@pytest.mark.parametrize("recipient", [False, True])
def test_bad_syntax_gets_501_and_the_code_of_its_side(text: bytes, recipient: bool) -> None:
    with pytest.raises(AddressError) as caught:
        parse_path(text, smtputf8=True, recipient=recipient)
    reply = caught.value.reply
    assert (reply.code, reply.lines[0][:5]) == (501, b"5.1.3" if recipient else b"5.1.7")


def test_the_longest_parts_are_taken() -> None:
    assert sender(b"<" + b"a" * 64 + b"@b>")[0].local == b"a" * 64
    domain = b".".join([b"b" * 63] * 3) + b".cc"
    raw = b"a" * (254 - len(domain) - 1) + b"@" + domain
    assert sender(b"<" + raw + b">")[0].raw == raw  # 256 with the brackets
    with pytest.raises(AddressError):
        sender(b"<a" + raw + b">")


def test_the_limit_of_the_local_part_can_be_set() -> None:
    text = b"<" + b"a" * 100 + b"@b>"
    path, _ = parse_path(text, smtputf8=False, recipient=False, local_bytes=128)
    assert len(path.local) == 100


def test_non_ascii_addresses_need_smtputf8() -> None:
    text = "<d\u00f6rte@ex\u00e4mple.org>".encode()
    path, _ = sender(text, smtputf8=True)
    assert path.text == "d\u00f6rte@ex\u00e4mple.org"
    for bad in (text, b"<\xff@b>"):
        with pytest.raises(AddressError) as caught:
            sender(bad)
        assert caught.value.reply.code == 553
        assert caught.value.reply.lines[0].startswith(b"5.6.7 ")


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"\xc0\xaf",  # overlong
        b"\xed\xa0\x80",  # lone surrogate
        "\u2028".encode(),  # line separator
        "\u202e".encode(),  # turns the direction of what follows
        "\u0085".encode(),  # next line
    ],
)
def test_bytes_that_are_no_printable_utf8_are_refused_even_with_smtputf8(text: bytes) -> None:
    with pytest.raises(AddressError) as caught:
        sender(b"<a" + text + b"@b>", smtputf8=True)
    assert caught.value.reply.code == 501


def test_joiners_are_part_of_words() -> None:
    assert sender("<a\u200cb@c>".encode(), smtputf8=True)[0].text == "a\u200cb@c"


def test_non_ascii_behind_the_path_is_not_the_paths_affair() -> None:
    assert sender(b"<a@b> \xff")[1] == b"\xff"


def test_the_text_of_a_mailbox_is_the_same_with_quotes_that_are_not_needed() -> None:
    assert sender(b'<"a\\b"@c>')[0].text == "ab@c"
    assert sender(b'<"a b"@c>')[0].text == '"a b"@c'


def test_text_of_a_handmade_path_is_escaped() -> None:
    assert Path(b"\xff@b", b"\xff", b"b").text == "\\xff@b"


@given(st.binary(max_size=80), st.booleans(), st.booleans())
def test_whatever_is_taken_is_harmless_and_reads_the_same_again(
    inner: bytes, smtputf8: bool, recipient: bool
) -> None:
    try:
        path, _ = parse_path(b"<" + inner + b">", smtputf8=smtputf8, recipient=recipient)
    except AddressError:
        return
    assert not any(byte < 32 or byte == 127 for byte in path.raw)
    again, _ = parse_path(b"<" + path.raw + b">", smtputf8=smtputf8, recipient=recipient)
    assert again == path


@given(st.from_regex(rb"<([a-z.%!]{1,8}|\"[ -~]{0,6}\")@[a-z-]{1,4}(\.[a-z]{1,3}){0,2}>"))
def test_addresses_of_the_likely_shape_are_read_or_refused_never_worse(text: bytes) -> None:
    try:
        path, _ = sender(text)
    except AddressError as error:
        code = error.reply.code
    else:
        code = 0
        assert path.raw.endswith(b"@" + path.domain)
    assert code in (0, 501)


LETTERS = st.text("aZ09._%+-=!/", min_size=1, max_size=8)
lines = st.builds(
    "{} FROM:<{}@{}>{}\r\n".format,
    st.sampled_from(["MAIL", "mail", "Mail"]),
    LETTERS,
    st.lists(st.text("aZ09_-", max_size=4), min_size=1, max_size=3).map(".".join),
    st.sampled_from(["", " SIZE=1", "  ", "x"]),
).map(str.encode)


@given(lines)
def test_the_short_way_reads_what_the_long_way_reads(line: bytes) -> None:
    found = simple_command(line)
    try:
        path, rest = sender(line[10:-2])
    except AddressError:
        assert found is None
    else:
        # Here the short way is not so short that it would never be gone.
        assert found is not None
        assert Path(found[2], found[3], found[4]) == path
        assert (found[5] or b"").strip(b" ") == rest


@pytest.mark.parametrize(
    "line",
    [
        b"MAIL FROM:<a@b>\n",
        b"MAIL FROM:<a@b>\r\r\n",
        b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
        b"MAIL FROM:<a@b> X\0\r\n",
        b"MAIL FROM:<a@b> X\tY\r\n",
        b"MAIL FROM:<a\r@b>\r\n",
        b"MAIL FROM:<a@b@c>\r\n",
        b'MAIL FROM:<"a"@b>\r\n',
        b"MAIL FROM:<\xc3\xa9@b>\r\n",
        b"MAIL FROM:<a@[127.0.0.1]>\r\n",
        b"MAIL FROM:<" + b"a" * 191 + b"@b>\r\n",
        b"MAIL TO:<a@b>\r\n",
    ],
)
def test_what_needs_a_closer_look_goes_the_long_way(line: bytes) -> None:
    assert simple_command(line) is None
