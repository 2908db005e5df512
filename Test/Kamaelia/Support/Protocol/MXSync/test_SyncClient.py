"""The side that calls: rules beyond the dialogues."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Support.Protocol.MXSync.Commands import LINE_BYTES, Add, Command, Delete, Flush
from Kamaelia.Support.Protocol.MXSync.SyncClient import (
    Established,
    Failed,
    Outcome,
    Sent,
    Skipped,
    SyncClient,
)
from Kamaelia.Support.Protocol.MXSync.SyncServer import SyncServer

GREETING = b"200 Yeah, what do you want?\n"
VERS3 = b"803 Yes, I speak version 3, what do you think?\n"
DONE = b"201 All right, I'll do that\n"
UNKNOWN = b'102 Invalid command "vers3"\n'
ADD = Add("192.0.2.1", "<a@b>", "<c@d>", 5)
PASSED = Delete("192.0.2.1", "<a@b>", "<c@d>", 5, 9)
FLUSH = Flush("192.0.2.1")


def outcomes_of(client: SyncClient) -> list[Outcome]:
    found = []
    while (outcome := client.next_outcome()) is not None:
        found.append(outcome)
    return found


def established(*answers: bytes) -> SyncClient:
    client = SyncClient()
    for answer in (GREETING, *(answers or (VERS3,))):
        client.receive_data(answer)
    client.data_to_send()
    assert client.idle
    assert len(outcomes_of(client)) == 1
    return client


@pytest.mark.parametrize(
    ("answers", "version"),
    [([VERS3], 3), ([UNKNOWN, b"802 Yes\n"], 2), ([UNKNOWN, UNKNOWN], 1), ([b"999\n"] * 2, 1)],
)
def test_the_highest_version_of_the_peer_is_found(answers: list[bytes], version: int) -> None:
    client = SyncClient()
    assert (client.version, client.waiting, client.idle) == (0, True, False)
    assert not client.offer(ADD)
    client.receive_data(GREETING)
    asked = []
    for answer in answers:
        asked.append(client.data_to_send())
        client.receive_data(answer)
    assert asked == [b"vers3\n", b"vers2\n"][: len(answers)]
    assert outcomes_of(client) == [Established(version)]
    assert client.version == version
    assert (client.waiting, client.idle, client.closed) == (False, True, False)


def test_one_command_is_under_way_at_a_time() -> None:
    client = established()
    assert client.offer(ADD)
    assert client.under_way == ADD
    assert client.waiting
    assert not client.offer(PASSED)
    assert client.data_to_send().count(b"\n") == 1
    client.receive_data(DONE)
    assert outcomes_of(client) == [Sent(ADD)]
    assert client.under_way is None
    assert client.offer(PASSED)


@pytest.mark.parametrize(
    ("answers", "line"),
    [
        ([VERS3], b"del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 5 aw 9\r\n"),
        ([UNKNOWN, b"802\n"], b"del2 addr 192.0.2.1 from <a@b> rcpt <c@d> date 5 aw 9\r\n"),
        ([UNKNOWN] * 2, b"del addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n"),
    ],
)
def test_the_peer_hears_its_own_version(answers: list[bytes], line: bytes) -> None:
    client = established(*answers)
    assert client.offer(PASSED)
    assert client.data_to_send() == line


def test_what_this_peer_cannot_be_told_is_skipped_and_the_connection_goes_on() -> None:
    client = established(UNKNOWN, b"802\n")
    long = Add("192.0.2.1", "x" * 300, "y" * 300, 5)
    assert client.offer(FLUSH)
    assert client.offer(long)
    assert client.idle
    assert client.data_to_send() == b""
    flush, other = outcomes_of(client)
    assert isinstance(flush, Skipped)
    assert flush.command == FLUSH
    assert "version 2" in flush.why
    assert isinstance(other, Skipped)
    assert other.command == long


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        (b"107 Invalid IP address\n", True),
        (b"105 No more peers, shutting down!\n", False),
        (b"106 You have no permission to talk, go away!\n", False),
        (b"103\n", True),
        (b"200 Yeah, what do you want?\n", False),
        (b"2010\n", False),
        (b"2011 yes\n", False),
        (b"\n", False),
        (b"yes\x1b[2J\n", False),
        (b"x" * (LINE_BYTES + 1), False),
        (b"1\xb2\xb3 digits of sorts\n", False),
    ],
)
def test_anything_but_the_answer_ends_it_and_gives_the_command_back(
    answer: bytes, refused: bool
) -> None:
    client = established()
    client.offer(ADD)
    client.receive_data(answer)
    (outcome,) = outcomes_of(client)
    assert isinstance(outcome, Failed)
    assert (outcome.command, outcome.refused) == (ADD, refused)
    assert outcome.why.isprintable()
    assert len(outcome.why) < 100
    assert client.closed
    assert not client.waiting
    assert not client.offer(ADD)
    client.receive_data(DONE)
    client.receive_eof()
    client.fail("again")
    assert outcomes_of(client) == []


@pytest.mark.parametrize("greeting", [b"106 You have none\n", b"220 mx\n", b"101 No\n", b"\n"])
def test_a_greeting_that_is_none_ends_it_before_anything_is_said(greeting: bytes) -> None:
    client = SyncClient()
    client.receive_data(greeting)
    (outcome,) = outcomes_of(client)
    assert isinstance(outcome, Failed)
    assert (outcome.command, outcome.refused) == (None, False)
    assert client.data_to_send() == b""


@pytest.mark.parametrize("answer", [b"105 No more peers\n", b"106 Go away\n", b"what?\n"])
def test_who_does_not_listen_on_after_a_version_is_not_asked_for_another(answer: bytes) -> None:
    client = SyncClient()
    client.receive_data(GREETING + b"")
    client.data_to_send()
    client.receive_data(answer)
    assert client.closed
    assert isinstance(outcomes_of(client)[0], Failed)
    assert client.data_to_send() == b""


@pytest.mark.parametrize("more", [b"2", b"201 yes\n", b"201 yes\n201 yes\n"])
def test_an_answer_to_nothing_ends_it_though_the_command_is_told(more: bytes) -> None:
    client = established()
    client.offer(ADD)
    client.receive_data(DONE + more)
    sent, over = outcomes_of(client)
    assert sent == Sent(ADD)
    assert isinstance(over, Failed)
    assert over.command is None


def test_the_end_of_the_connection_gives_the_command_back() -> None:
    client = established()
    client.offer(ADD)
    client.receive_eof()
    assert outcomes_of(client) == [Failed(ADD, "connection closed by the peer")]


def test_time_is_the_owners() -> None:
    client = SyncClient()
    client.fail("Connection refused")
    assert outcomes_of(client) == [Failed(None, "Connection refused")]


@pytest.mark.parametrize("last", [b"202 Good bye\n", b"what?\n", None])
def test_good_bye_is_said_and_whatever_comes_then_is_well(last: bytes | None) -> None:
    client = established()
    client.quit()
    assert client.data_to_send() == b"quit\n"
    assert client.leaving
    assert client.waiting
    if last is None:
        client.receive_eof()
    else:
        client.receive_data(last)
    assert client.closed
    assert not client.leaving
    assert outcomes_of(client) == []


def test_time_may_end_while_good_bye_is_not_answered() -> None:
    client = established()
    client.quit()
    client.receive_data(b"x" * (LINE_BYTES + 1))
    assert client.closed
    assert outcomes_of(client) == []


def test_without_time_for_a_good_bye_it_just_ends() -> None:
    client = established()
    client.offer(ADD)
    client.quit()
    (outcome,) = outcomes_of(client)
    assert isinstance(outcome, Failed)
    assert outcome.command == ADD
    assert client.data_to_send() == b""


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([ADD, PASSED, FLUSH, Flush("::1")]), max_size=5),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_our_two_sides_understand_each_other_in_any_slices(
    news: list[Command], sizes: list[int]
) -> None:
    client, server = SyncClient(), SyncServer()
    server.greet()
    applied: list[Command] = []
    found: list[Outcome] = []
    given_so_far = 0
    turn = 0
    while not (client.idle and given_so_far == len(news)):
        if client.idle:
            assert client.offer(news[given_so_far])
            given_so_far += 1
        for data, receive in (
            (client.data_to_send(), server.receive_data),
            (server.data_to_send(), client.receive_data),
        ):
            while data:
                size = sizes[turn % len(sizes)]
                turn += 1
                receive(data[:size])
                data = data[size:]
                if (command := server.next_command()) is not None:
                    applied.append(command)
                    server.applied(True)
        found += outcomes_of(client)
    assert applied == news
    assert found == [Established(3), *map(Sent, news)]
    client.quit()
    server.receive_data(client.data_to_send())
    assert server.next_command() is None
    client.receive_data(server.data_to_send())
    assert client.closed
    assert server.closed
