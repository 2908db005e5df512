"""What is told, as lines and back."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.MXSync.Commands import (
    LATEST_DATE,
    LINE_BYTES,
    WORD_BYTES,
    Add,
    Command,
    Delete,
    Flush,
    SyncLineError,
    is_date,
    is_word,
    plain_address,
    read_command,
    shown,
    to_line,
)

ADD = Add("192.0.2.1", "<a@b>", "<c@d>", 5)
PASSED = Delete("192.0.2.1", "<a@b>", "<c@d>", 5, 9)

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
dates = st.integers(0, LATEST_DATE)
addresses = st.ip_addresses().map(str)
commands = st.one_of(
    st.builds(Add, addresses, words, words, dates),
    st.builds(Delete, addresses, words, words, dates, dates),
    st.builds(Delete, addresses, words, words, dates, st.none()),
    st.builds(Flush, addresses),
)


@settings(max_examples=50)
@given(commands)
def test_what_version_3_is_told_it_reads_back(command: Command) -> None:
    line = to_line(command, 3)
    assert line is not None
    assert len(line) <= LINE_BYTES
    assert line.endswith(b"\r\n")
    assert line.count(b"\n") == line.count(b"\r") == 1
    read = read_command(line.decode().split())
    assert to_line(read, 3) == line
    same = plain_address(command.address) == command.address
    assert (read == command) is same


@pytest.mark.parametrize(
    ("command", "version", "line"),
    [
        (ADD, 1, b"add addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n"),
        (ADD, 3, b"add addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n"),
        (PASSED, 1, b"del addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n"),
        (PASSED, 2, b"del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 5 aw 9\r\n"),
        (PASSED, 3, b"del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 5 aw 9\r\n"),
        (
            Delete("::ffff:192.0.2.1", "<>", "<c@d>", 5),
            3,
            b"del addr 192.0.2.1 from <> rcpt <c@d> date 5\r\n",
        ),
        (Flush("2001:DB8:0:0::1"), 3, b"flush addr 2001:db8::1\r\n"),
        (Flush("192.0.2.1"), 2, None),
        (Flush("192.0.2.1"), 1, None),
        (
            Delete("192.0.2.1", "<a@b>", "<c@d>", 2**31, 2**40 // 8),
            2,
            b"del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 2147483648 aw 137438953472\r\n",
        ),
    ],
)
def test_each_version_has_its_lines(command: Command, version: int, line: bytes | None) -> None:
    assert to_line(command, version) == line


@pytest.mark.parametrize(
    "command",
    [
        Add("192.0.2.1", "<a b@c>", "<d@e>", 5),
        Add("192.0.2.1", "<a@b>", "<c@d>\r\nflush addr 192.0.2.1", 5),
        Add("192.0.2.1", "", "<c@d>", 5),
        Add("192.0.2.1", "<a@b>", "<\u00fc@d>", 5),
        Add("192.0.2.1", "<a@b>", "<\x7f@d>", 5),
        Add("192.0.2.1", "<a@b>", "x" * (WORD_BYTES + 1), 5),
        Add("192.0.2.1", "x" * 240, "y" * 240, 5),  # each is well, both are too long
        Add("192.0.2.1", "<a@b>", "<c@d>", -1),
        Delete("192.0.2.1", "<a@b>", "<c@d>", 5, LATEST_DATE + 1),
        Add("mail.example.org", "<a@b>", "<c@d>", 5),
        Flush("192.0.2.0/24"),
        Flush("fe80::1%eth0"),
        Flush("192.0.2.1\r\nquit"),
    ],
)
def test_what_would_break_a_line_is_never_written(command: Command) -> None:
    with pytest.raises(LocalProtocolError):
        to_line(command, 3)


def test_the_longest_line_is_taken_and_one_byte_more_is_not() -> None:
    room = LINE_BYTES - len(b"add addr 192.0.2.1 from  rcpt x date 5\r\n")
    assert room > WORD_BYTES
    recipient = "x" * (room - WORD_BYTES + 1)
    line = to_line(Add("192.0.2.1", "s" * WORD_BYTES, recipient, 5), 3)
    assert line is not None
    assert len(line) == LINE_BYTES
    with pytest.raises(LocalProtocolError, match="511"):
        to_line(Add("192.0.2.1", "s" * WORD_BYTES, recipient + "x", 5), 3)


@settings(max_examples=50)
@given(st.lists(st.one_of(words, st.sampled_from(["add", "addr", "del2", "aw", "date", "5"]))))
def test_any_words_are_a_command_or_an_error_with_a_code(given_words: list[str]) -> None:
    try:
        said = repr(type(read_command(given_words)))
    except SyncLineError as error:
        said = str(error)
    assert said[:4] in ("101 ", "102 ", "103 ", "104 ", "107 ", "<cla")
    assert said.isprintable()


@pytest.mark.parametrize(
    "date", ["-1", "+5", "5s", "0x10", "1_000", "\u0665", str(LATEST_DATE + 1), "9" * 400]
)
def test_a_date_that_is_none_is_an_error_and_not_another_date(date: str) -> None:
    line = ["add", "addr", "192.0.2.1", "from", "<a@b>", "rcpt", "<c@d>", "date", date]
    with pytest.raises(SyncLineError, match=r"^104"):
        read_command(line)


def test_dates_after_2038_are_dates() -> None:
    line = "del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 2147483648 aw 4294967296"
    assert read_command(line.split()) == Delete("192.0.2.1", "<a@b>", "<c@d>", 2**31, 2**32)


@pytest.mark.parametrize("word", ["<\xfc@b>", "<a\x00@b>", "<a\x1b[2J@b>", "x" * (WORD_BYTES + 1)])
def test_a_word_that_could_not_be_told_on_is_refused_and_not_repeated_as_it_is(word: str) -> None:
    with pytest.raises(SyncLineError, match=r"^104") as caught:
        read_command(["add", "addr", "192.0.2.1", "from", word, "rcpt", "<c@d>", "date", "5"])
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 100


def test_addresses_have_one_form() -> None:
    assert plain_address("::FFFF:192.0.2.1") == "192.0.2.1"
    assert plain_address("2001:0db8::0:1") == "2001:db8::1"
    assert [plain_address(text) for text in ("", "1.2.3", "01.2.3.4", "::1%lo", "x")] == [None] * 5
    assert plain_address(str(ipaddress.IPv6Address(2**128 - 1))) == ":".join(["ffff"] * 8)


def test_helpers_say_what_fits() -> None:
    assert is_word("<>")
    assert not is_word("")
    assert is_date(0)
    assert not is_date(LATEST_DATE + 1)
    assert shown('a"\n\xe9' + "x" * 500) == 'a"??' + "x" * 56
