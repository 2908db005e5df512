"""The components of MX sync: boxes, time, how they end, and the two of them over TCP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from Axon.AtOnce import act_at_once
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.Internet.TCPClient import TCPClient
from Kamaelia.Protocol.MXSync import COMMANDS_A_TURN, MXSyncClient, MXSyncServer
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Command, Delete, Flush
from Kamaelia.Support.Protocol.MXSync.SyncClient import Established, Failed, Sent, Skipped
from Test.Kamaelia.network import Script, Silent, World
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    MXSyncServer: Ends(lambda: MXSyncServer()),
    MXSyncClient: Ends(lambda: MXSyncClient(timeout=0)),
}

GREETING = b"200 Yeah, what do you want?\n"
VERS3 = b"803 Yes, I speak version 3, what do you think?\n"
DONE = b"201 All right, I'll do that\n"
FLUSH = Flush("192.0.2.1")
OTHER = Flush("192.0.2.2")
ADD = Add("192.0.2.1", "<a@b>", "<c@d>", 5)
FLUSH_LINE = b"flush addr 192.0.2.1\r\n"
OTHER_LINE = b"flush addr 192.0.2.2\r\n"


class Keeper(component):
    """Has applied each command within the send that brings it."""

    Inboxes = {"inbox": "Command: to be applied", "control": "the shutdown"}
    Outboxes = {"outbox": "bool: done", "signal": "the shutdown"}

    def __init__(self, does: Callable[[Command], bool] = lambda command: True) -> None:
        super().__init__()
        self.kept: list[Command] = []
        self.does = does
        act_at_once(self, "inbox", self.apply)

    def apply(self, command: Command) -> None:
        self.kept.append(command)
        self.send(self.does(command), "outbox")

    def main(self) -> Iterator[object]:
        while not self.told_to_stop():
            self.pause()
            yield 1


def kept_by(server: MXSyncServer, keeper: Keeper) -> MXSyncServer:
    server.link((server, "commands"), (keeper, "inbox"))
    keeper.link((keeper, "outbox"), (server, "applied"))
    return server


# ---- the side that is called


def test_a_command_is_answered_when_it_has_been_applied_and_the_next_one_waits() -> None:
    with harness(MXSyncServer()) as h:
        h.expect("outbox", GREETING)
        h.put(FLUSH_LINE + OTHER_LINE)
        h.put(b"quit\n")
        h.expect("commands", FLUSH)
        h.expect_nothing("commands")
        assert h.take("outbox") == []
        h.put(True, "applied")
        h.expect("outbox", DONE)
        h.expect("commands", OTHER)
        h.put(True, "applied")
        h.expect_end()
        assert b"".join(h.take("outbox")) == DONE + b"202 Good bye\n"
        h.expect("signal", producerFinished)


def test_who_applies_at_once_is_sent_one_after_the_other_in_the_same_turn() -> None:
    server, keeper = MXSyncServer(), Keeper()
    kept_by(server, keeper)
    with harness(server) as h:
        h.put(b"vers3\n" + FLUSH_LINE * 3)
        h.settle()
        assert keeper.kept == [FLUSH] * 3
        assert b"".join(h.take("outbox")) == GREETING + VERS3 + DONE * 3


def test_so_many_commands_a_turn_and_then_others_have_theirs() -> None:
    server, keeper = MXSyncServer(), Keeper()
    kept_by(server, keeper)
    with harness(server) as h:
        h.settle()
        h.put(FLUSH_LINE * 3 * COMMANDS_A_TURN)
        h.step()
        assert 0 < len(keeper.kept) <= COMMANDS_A_TURN
        h.settle()
        assert len(keeper.kept) == 3 * COMMANDS_A_TURN
        assert b"".join(h.take("outbox")).count(DONE) == 3 * COMMANDS_A_TURN


def test_what_cannot_be_applied_ends_the_connection_without_an_answer() -> None:
    with harness(MXSyncServer()) as h:
        h.expect("outbox", GREETING)
        h.put(FLUSH_LINE + OTHER_LINE)
        h.expect("commands", FLUSH)
        h.put(False, "applied")
        h.expect_end()
        assert h.take("outbox") == []
        assert h.take("commands") == []
        h.expect("signal", producerFinished)


def test_nobody_is_greeted_or_heard_before_there_is_permission() -> None:
    server = MXSyncServer(ask=True)
    with harness(server) as h:
        h.put(FLUSH_LINE)
        h.expect_nothing("outbox", during=50)
        assert server.dataReady("inbox")  # so that whoever sends is held back
        h.put(True, "permission")
        h.expect("outbox", GREETING)
        h.expect("commands", FLUSH)
        h.put(False, "permission")  # too late, and not asked
        h.put(True, "applied")
        h.expect("outbox", DONE)


def test_who_has_no_permission_is_told_so_and_nothing_of_his_is_read() -> None:
    with harness(MXSyncServer(ask=True)) as h:
        h.put(FLUSH_LINE)
        h.put(False, "permission")
        h.put(True, "permission")
        h.expect("outbox", b"106 You have no permission to talk, go away!\n")
        h.expect_end()
        assert h.take("commands") == h.take("outbox") == []


def test_a_permission_that_does_not_come_is_a_refusal_in_the_end() -> None:
    with harness(MXSyncServer(ask=True, patience=60)) as h:
        h.put(FLUSH_LINE)
        h.run_for(59)
        h.not_ended()
        h.expect_end(within=2)
        assert h.take("outbox") == h.take("commands") == []


def test_half_a_line_has_little_time_however_its_bytes_come() -> None:
    with harness(MXSyncServer(patience=60)) as h:
        h.run_for(5_000)  # with nothing to say one may be as long as one likes
        for letter in (b"f", b"l", b"u"):
            h.put(letter)
            h.run_for(19)
        h.not_ended()
        h.put(b"s")
        h.expect_end(within=5)


def test_a_whole_line_gives_the_next_one_its_time() -> None:
    with harness(MXSyncServer(patience=60)) as h:
        for _ in range(10):
            h.put(b"vers3\nver")
            h.run_for(50)
            h.put(b"s2\n")
            h.run_for(50)
        h.not_ended()


@pytest.mark.parametrize(("idle", "ends"), [(100.0, True), (0.0, False)])
def test_silence_has_its_limit_too_unless_it_is_for_ever(idle: float, ends: bool) -> None:
    with harness(MXSyncServer(idle=idle)) as h:
        h.run_for(60)
        h.put(b"vers3\n")
        h.run_for(99)
        h.not_ended()
        if ends:
            h.expect_end(within=2)
        else:
            h.run_for(100_000)
            h.not_ended()


def test_a_store_that_never_answers_ends_only_this_connection() -> None:
    with harness(MXSyncServer(patience=60)) as h:
        h.put(FLUSH_LINE + OTHER_LINE)
        h.expect("commands", FLUSH)
        h.expect_end(within=61)
        assert DONE not in h.take("outbox")
        assert h.take("commands") == []


def test_what_was_answered_before_does_not_wait_for_the_store() -> None:
    with harness(MXSyncServer()) as h:
        h.put(b"vers3\n" + FLUSH_LINE)
        h.expect("commands", FLUSH)
        assert b"".join(h.take("outbox")) == GREETING + VERS3


def test_as_many_messages_as_lines_are_taken_in_a_turn_and_none_is_left_lying() -> None:
    with harness(MXSyncServer()) as h:
        h.settle()
        h.put_all([b"vers3\n"] * COMMANDS_A_TURN)
        h.settle()
        assert b"".join(h.take("outbox")).count(VERS3) == COMMANDS_A_TURN


def test_told_to_stop_it_finishes_the_command_under_way_and_no_other() -> None:
    server = MXSyncServer()
    with harness(server) as h:
        h.expect("outbox", GREETING)
        h.put(FLUSH_LINE + OTHER_LINE)
        h.expect("commands", FLUSH)
        stop = shutdownMicroprocess()
        h.put(stop, "control")
        h.run_for(10)
        h.not_ended()
        h.put(True, "applied")
        h.expect_end()
        h.expect("outbox", DONE)
        assert h.take("commands") == []
        assert h.take("signal") == [stop]
    assert server.reason == ""


def test_told_to_stop_while_its_owner_takes_nothing_it_ends() -> None:
    with harness(MXSyncServer()) as h:
        h.limit(0, "commands")
        h.put(b"vers3\n" + FLUSH_LINE)
        h.run_for(10)
        assert b"".join(h.take("outbox")) == GREETING + VERS3
        h.put(shutdownMicroprocess(), "control")
        h.expect_end()
        assert DONE not in h.take("outbox")


def test_what_a_peer_sent_before_it_left_is_applied() -> None:
    out = drive(
        MXSyncServer(),
        inbox=[FLUSH_LINE, OTHER_LINE, b"flush"],
        applied=[],
        control=[producerFinished()],
    )
    assert out["commands"] == [FLUSH]  # and the next one waits for its answer
    with harness(MXSyncServer()) as h:
        h.put(FLUSH_LINE + OTHER_LINE)
        h.put(producerFinished(), "control")
        for command in (FLUSH, OTHER):
            h.expect("commands", command)
            h.put(True, "applied")
        h.expect_end()


def test_a_flood_or_an_endless_line_ends_it_with_a_reason_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    for flood in (b"what?\n" * 1_000, b"x" * 100_000):
        server = MXSyncServer()
        with harness(server) as h:
            h.put(flood)
            h.expect_end()
        assert server.reason
        assert server.reason in caplog.text
        caplog.clear()


def test_a_peer_that_is_taken_out_of_the_configuration_is_told() -> None:
    server = MXSyncServer()
    with harness(server) as h:
        h.expect("outbox", GREETING)
        server.dismiss()
        h.expect("outbox", b"105 No more peers, shutting down!\n")
        h.expect_end()
    unknown = MXSyncServer(ask=True)
    with harness(unknown) as h:
        h.settle()
        unknown.dismiss()
        h.put(True, "permission")  # which nobody asks for any more
        h.expect("outbox", b"105 No more peers, shutting down!\n")
        h.expect_end()


# ---- the side that calls


def established(h: Any, version: int = 3) -> None:  # noqa: ANN401 - a Harness
    h.put(GREETING)
    h.expect("outbox", b"vers3\n")
    if version == 3:
        h.put(VERS3)
    else:
        h.put(b'102 Invalid command "vers3"\n')
        h.expect("outbox", b"vers2\n")
        h.put(b"802 Yes\n" if version == 2 else b"102 what?\n")
    h.expect("outcomes", Established(version))


def test_commands_are_told_one_at_a_time_and_each_has_its_outcome() -> None:
    client = MXSyncClient()
    with harness(client) as h:
        h.put_all([FLUSH, OTHER], "commands")
        h.run_for(1)
        assert h.take("outbox") == []
        assert client.version == 0
        established(h)
        assert client.version == 3
        h.expect("outbox", FLUSH_LINE)
        h.expect_nothing("outbox")
        h.put(DONE)
        h.expect("outcomes", Sent(FLUSH))
        h.expect("outbox", OTHER_LINE)
        h.put(DONE)
        h.expect("outcomes", Sent(OTHER))
        h.run_for(100_000)  # nothing is waited for: it stays connected
        h.not_ended()


def test_what_an_old_peer_cannot_be_told_is_skipped() -> None:
    with harness(MXSyncClient()) as h:
        established(h, 2)
        h.put_all([FLUSH, ADD], "commands")
        assert isinstance(h.expect("outcomes"), Skipped)
        h.expect("outbox", b"add addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n")
    with harness(MXSyncClient()) as h:
        established(h, 1)
        h.put(Delete("192.0.2.1", "<a@b>", "<c@d>", 5, 9), "commands")
        h.expect("outbox", b"del addr 192.0.2.1 from <a@b> rcpt <c@d> date 5\r\n")


def test_an_answer_has_its_time_and_then_all_is_given_back() -> None:
    with harness(MXSyncClient(timeout=3)) as h:
        established(h)
        h.run_for(60)
        h.put_all([FLUSH, OTHER], "commands")
        h.settle()
        h.put_all([b"2", b"0", b"1"])
        h.run_for(2.9)
        h.not_ended()
        h.expect_end(within=0.2)
        assert h.take("outcomes") == [
            Failed(FLUSH, "timed out"),
            Failed(OTHER, "the connection is over"),
        ]
        h.expect("signal", producerFinished)


def test_a_peer_that_says_nothing_at_all_is_left() -> None:
    for greeting, seconds in ((None, 3.0), (20.0, 20.0)):
        with harness(MXSyncClient(timeout=3, greeting=greeting)) as h:
            h.run_for(seconds - 0.1)
            h.not_ended()
            h.expect_end(within=0.2)
            assert h.take("outcomes") == [Failed(None, "timed out")]


def test_a_long_wait_for_the_greeting_is_for_that_alone() -> None:
    with harness(MXSyncClient(timeout=3, greeting=20)) as h:
        h.run_for(19)
        established(h)
        h.put(FLUSH, "commands")
        h.run_for(2.9)
        h.not_ended()
        h.expect_end(within=0.2)


def test_with_no_limit_it_waits_for_ever() -> None:
    with harness(MXSyncClient(timeout=0)) as h:
        h.run_for(100_000)
        established(h)
        h.put(FLUSH, "commands")
        h.run_for(100_000)
        h.not_ended()


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (OSError("no address"), "no address"),
        ("inactive", "inactive"),
        (None, "connection closed by the peer"),
    ],
)
def test_a_connection_that_fails_says_why(reason: object, why: str) -> None:
    with harness(MXSyncClient()) as h:
        h.put(FLUSH, "commands")
        h.put(producerFinished(None, reason), "closed")
        h.expect_end()
        assert h.take("outcomes") == [Failed(None, why), Failed(FLUSH, "the connection is over")]


def test_the_last_words_of_a_peer_count_before_its_end() -> None:
    with harness(MXSyncClient()) as h:
        established(h)
        h.put(FLUSH, "commands")
        h.expect("outbox", FLUSH_LINE)
        h.put(DONE)
        h.put(shutdownMicroprocess(), "closed")  # whatever it is
        h.expect_end()
        assert h.take("outcomes") == [
            Sent(FLUSH),
            Failed(None, "connection closed by the peer"),
        ]


def test_told_to_finish_it_tells_what_there_is_and_says_good_bye() -> None:
    with harness(MXSyncClient()) as h:
        established(h)
        h.put(FLUSH, "commands")
        h.put(producerFinished(), "control")
        h.expect("outbox", FLUSH_LINE)
        h.not_ended()
        h.put(DONE)
        h.expect_end(within=0.1)  # the answer to that is not waited for
        h.expect("outbox", b"quit\n")
        assert h.take("outcomes") == [Sent(FLUSH)]


def test_told_to_finish_before_it_is_connected_it_tells_what_there_is_first() -> None:
    with harness(MXSyncClient()) as h:
        h.put(FLUSH, "commands")
        h.put(producerFinished(), "control")
        h.settle()
        h.not_ended()
        established(h)
        h.expect("outbox", FLUSH_LINE)
        h.put(DONE)
        h.expect("outcomes", Sent(FLUSH))
        h.expect_end(within=0.1)


def test_an_owner_may_give_the_next_command_within_the_outcome_of_the_last() -> None:
    class Owner(component):
        left = [ADD, OTHER]

        def hear(self, outcome: object) -> None:
            if self.left:
                self.send(self.left.pop(0), "outbox")

    owner, client = Owner(), MXSyncClient()
    act_at_once(owner, "inbox", owner.hear)
    owner.link((client, "outcomes"), (owner, "inbox"))
    owner.link((owner, "outbox"), (client, "commands"))
    with harness(client) as h:
        for answer in (GREETING, VERS3, DONE):
            h.put(answer)
            h.settle()
        said = h.take("outbox")
        assert said[0] == b"vers3\n"
        assert said[1].startswith(b"add ")
        assert said[2:] == [OTHER_LINE]


def test_told_to_stop_it_gives_all_back() -> None:
    with harness(MXSyncClient()) as h:
        established(h)
        h.put_all([FLUSH, OTHER], "commands")
        h.expect("outbox", FLUSH_LINE)
        stop = shutdownMicroprocess()
        h.put(stop, "control")
        h.expect_end()
        assert h.take("outbox") == []
        assert [each.command for each in h.take("outcomes")] == [FLUSH, OTHER]
        assert h.take("signal") == [stop]


# ---- both, over TCP


def peer_of(world: World, address: tuple[str, int]) -> tuple[Silent, MXSyncClient]:
    owner, client = Silent(Outboxes={"outbox": "", "signal": ""}), MXSyncClient()
    connection = TCPClient(*address[:2])
    owner.link((owner, "outbox"), (client, "commands"))
    owner.link((owner, "signal"), (client, "control"))
    client.link((client, "outcomes"), (owner, "inbox"))
    client.link((client, "outbox"), (connection, "inbox"))
    client.link((client, "signal"), (connection, "control"))
    connection.link((connection, "outbox"), (client, "inbox"))
    connection.link((connection, "signal"), (client, "closed"))
    world.run(owner, client, connection)
    return owner, client


def serving(keeper: Keeper) -> Callable[..., component]:
    def protocol(**peer: Any) -> component:  # noqa: ANN401 - what ServerCore says
        return Graphline(
            SERVER=MXSyncServer(**peer),
            KEEPER=keeper,
            linkages={
                ("", "inbox"): ("SERVER", "inbox"),
                ("", "control"): ("SERVER", "control"),
                ("SERVER", "outbox"): ("", "outbox"),
                ("SERVER", "commands"): ("KEEPER", "inbox"),
                ("KEEPER", "outbox"): ("SERVER", "applied"),
                ("SERVER", "signal"): ("KEEPER", "control"),
                ("KEEPER", "signal"): ("", "signal"),
            },
        )

    return protocol


def test_news_spread_over_a_connection(world: World) -> None:
    keeper = Keeper()
    news: list[Command] = [ADD, FLUSH, Add("2001:db8::1", "<>", "<c@d>", 2**33)]

    def script() -> Script:
        server = world.serve(serving(keeper))
        owner, client = peer_of(world, server.address)
        for command in news:
            owner.send(command, "outbox")
        yield from world.until(lambda: len(keeper.kept) == len(news))
        yield from world.until(lambda: len(owner.inboxes["inbox"].q) == len(news) + 1)
        owner.send(producerFinished(), "signal")
        yield from world.until(client._isStopped)
        yield from world.until(lambda: server.connections == 0)
        assert list(owner.Inbox("inbox")) == [Established(3), *map(Sent, news)]

    world.play(script())
    assert keeper.kept == news


def test_a_server_that_goes_away_gives_the_command_back(world: World) -> None:
    keeper = Keeper(lambda command: False)

    def script() -> Script:
        server = world.serve(serving(keeper))
        owner, client = peer_of(world, server.address)
        owner.send(ADD, "outbox")
        yield from world.until(client._isStopped)
        assert list(owner.Inbox("inbox")) == [
            Established(3),
            Failed(ADD, "connection closed by the peer"),
        ]

    world.play(script())
    assert keeper.kept == [ADD]
