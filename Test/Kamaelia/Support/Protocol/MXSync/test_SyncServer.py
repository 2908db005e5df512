"""The side that is called: rules beyond the dialogues."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Exceptions import LocalProtocolError
from Kamaelia.Support.Protocol.MXSync.Commands import LINE_BYTES, Add, Command, Flush
from Kamaelia.Support.Protocol.MXSync.SyncServer import USELESS_LINES, WAITING_BYTES, SyncServer

GREETING = b"200 Yeah, what do you want?\n"
DONE = b"201 All right, I'll do that\n"
STREAM = (
    b"vers2\nvers3\n"
    b"add addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n"
    b"bad\n\r\n"
    b"flush addr 192.0.2.1\n"
    b"del addr ::ffff:192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n"
    b"quit\n"
    b"flush addr 192.0.2.9\n"
)


@pytest.fixture
def server() -> SyncServer:
    server = SyncServer()
    server.greet()
    assert server.data_to_send() == GREETING
    return server


def take_all(server: SyncServer) -> list[Command]:
    taken = []
    while (command := server.next_command()) is not None:
        taken.append(command)
        server.applied(True)
    return taken


@settings(max_examples=50)
@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_any_slicing_of_the_stream_is_the_same(cuts: list[int]) -> None:
    whole, sliced = SyncServer(), SyncServer()
    for each in (whole, sliced):
        each.greet()
    whole.receive_data(STREAM)
    expected, said = take_all(whole), whole.data_to_send()
    assert len(expected) == 3
    assert said.count(b"\n") == 9  # the greeting, and one for each line up to quit
    ends = [0, *sorted(cuts), len(STREAM)]
    found: list[Command] = []
    for begin, end in pairwise(ends):
        sliced.receive_data(STREAM[begin:end])
        found += take_all(sliced)
    assert found == expected
    assert sliced.data_to_send() == said
    assert sliced.closed
    assert sliced.reason == ""


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_no_bytes_at_all_break_it_and_what_it_says_is_clean(pieces: list[bytes]) -> None:
    server = SyncServer()
    server.greet()
    for piece in pieces:
        server.receive_data(piece)
        take_all(server)
    said = server.data_to_send().decode("ascii")
    assert all(line.isprintable() and line[:3].isdigit() for line in said.splitlines())


def test_nothing_is_read_before_the_greeting() -> None:
    server = SyncServer()
    server.receive_data(b"flush addr 192.0.2.1\n")
    assert server.next_command() is None
    assert server.data_to_send() == b""
    assert server.in_line
    server.greet()
    assert server.next_command() == Flush("192.0.2.1")


def test_the_next_command_waits_until_the_one_before_it_is_applied(server: SyncServer) -> None:
    server.receive_data(b"flush addr 192.0.2.1\nadd addr 192.0.2.2 from <a> rcpt <b> date 1\n")
    assert server.next_command() == Flush("192.0.2.1")
    assert server.pending
    assert server.next_command() is None
    assert server.data_to_send() == b""
    server.applied(True)
    assert server.data_to_send() == DONE
    assert server.next_command() == Add("192.0.2.2", "<a>", "<b>", 1)
    server.applied(True)
    assert not server.in_line


def test_what_could_not_be_applied_is_not_answered_and_ends_it(server: SyncServer) -> None:
    server.receive_data(b"flush addr 192.0.2.1\nflush addr 192.0.2.2\n")
    server.next_command()
    server.applied(False)
    assert server.closed
    assert server.reason
    assert not server.pending
    assert server.data_to_send() == b""
    assert server.next_command() is None


def test_a_verdict_that_comes_after_the_dismissal_is_ignored(server: SyncServer) -> None:
    server.receive_data(b"flush addr 192.0.2.1\n")
    server.next_command()
    server.dismiss()
    server.applied(True)
    server.dismiss()  # once is enough
    assert server.data_to_send() == b"105 No more peers, shutting down!\n"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \t\r\n"])
def test_lines_may_end_and_be_spaced_as_they_like(server: SyncServer, end: bytes) -> None:
    server.receive_data(b"  flush \t addr  192.0.2.1" + end)
    assert server.next_command() == Flush("192.0.2.1")


@pytest.mark.parametrize("letter", [b"\x00", b"\xe9", b"\x0b", b"\x1b", b"\xa0", b"\x85"])
def test_what_is_no_ascii_is_no_blank_and_no_word(server: SyncServer, letter: bytes) -> None:
    server.receive_data(b"flush addr 192.0.2.1" + letter + b"\nx" + letter + b"y\n")
    assert server.next_command() is None
    assert server.data_to_send() == b'107 Invalid IP address\n102 Invalid command "x?y"\n'


def test_the_longest_line_is_read(server: SyncServer) -> None:
    blanks = b" " * (LINE_BYTES - len(b"flush addr 192.0.2.1"))
    line = b"flush addr" + blanks + b" 192.0.2.1"
    assert len(line) == LINE_BYTES
    server.receive_data(line + b"\n")
    assert server.next_command() == Flush("192.0.2.1")


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_ends_it_with_or_without_its_end(
    server: SyncServer, end: bytes
) -> None:
    server.receive_data(b"x" * LINE_BYTES)
    assert server.next_command() is None
    assert server.in_line
    assert not server.closed
    server.receive_data(b"x" + end)
    assert server.next_command() is None
    assert server.data_to_send() == b"103 Incomplete command\n"
    assert server.closed
    assert str(LINE_BYTES) in server.reason
    server.receive_data(b"flush addr 192.0.2.1\n")
    assert server.next_command() is None
    assert not server.in_line


@pytest.mark.parametrize("line", [b"\n", b"help\n", b"vers3\n", b"HELO x\r\n"])
def test_a_flood_of_lines_that_are_good_for_nothing_ends_it(
    server: SyncServer, line: bytes
) -> None:
    server.receive_data(line * USELESS_LINES)
    assert server.next_command() is None
    assert not server.closed
    server.receive_data(b"flush addr 192.0.2.1\n")  # somebody of use after all
    take_all(server)
    server.receive_data(line * USELESS_LINES)
    assert server.next_command() is None
    assert not server.closed
    server.receive_data(line * 100)
    assert server.next_command() is None
    assert server.closed
    assert str(USELESS_LINES) in server.reason
    assert len(server.data_to_send()) < 100_000


def test_what_nobody_reads_has_a_limit(server: SyncServer) -> None:
    server.receive_data(b"flush addr 192.0.2.1\n")
    assert server.next_command() is not None
    server.receive_data(b"x" * WAITING_BYTES)
    assert not server.closed
    server.receive_data(b"x")
    assert server.closed
    assert str(WAITING_BYTES) in server.reason


def test_the_version_is_the_highest_that_was_asked_for(server: SyncServer) -> None:
    assert server.version == 1
    server.receive_data(b"vers3\nvers2\n")
    assert server.next_command() is None
    assert server.version == 3


def test_the_owner_is_told_of_what_makes_no_sense(server: SyncServer) -> None:
    for nonsense in (server.greet, server.refuse, lambda: server.applied(True)):
        with pytest.raises(LocalProtocolError):
            nonsense()
    refused = SyncServer()
    refused.refuse()
    for nonsense in (refused.greet, refused.refuse):
        with pytest.raises(LocalProtocolError):
            nonsense()
