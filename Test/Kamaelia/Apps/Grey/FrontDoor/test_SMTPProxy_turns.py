"""What a command costs in the proxy: turns of components, and calls of its sockets. The table in
Docs/performance.md says the same in words; a row that gets dearer fails here."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from Axon.Instruments import Instrument
from Axon.Microprocess import microprocess
from Test.Kamaelia.Apps.Grey.support import HELLO, MAIL, RCPT, STRANGER, Client, FakeServer, Grey

# They have turns whenever they have something to write, for all clients together.
ASIDE = {"MailLog", "StoreService", "StoreWorker"}


class Cost(Instrument):
    """Counts, in the scheduler's thread, turns by class and what is asked of sockets."""

    def __init__(self) -> None:
        self.turns: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.turns_before_close: int | None = None

    def before_step(self, process: microprocess) -> None:
        kind = type(process).__name__
        if kind not in ASIDE:
            self.turns[kind] += 1

    def called(self, _: FrameType, event: str, function: Any) -> None:  # noqa: ANN401 - any function
        if event == "c_call" and type(getattr(function, "__self__", None)).__name__ == "socket":
            self.calls[function.__name__] += 1
            if function.__name__ == "close" and self.turns_before_close is None:
                self.turns_before_close = self.turns.total()


def cost_of(grey: Grey, act: Callable[[], object]) -> Cost:
    cost = Cost()

    def begin() -> None:
        grey.scheduler.add_instrument(cost)
        sys.setprofile(cost.called)

    def end() -> None:
        sys.setprofile(None)
        grey.scheduler.remove_instrument(cost)

    grey.settle()
    grey.call(begin)
    act()
    grey.call(end)
    return cost


@pytest.fixture
def grey() -> Iterator[Grey]:
    """With a connection to the mail server that has been kept."""
    backend = FakeServer()
    made = Grey(backend.address, backend_connections_kept=32).start()
    first = made.client().to_data()
    assert first.deliver().startswith("250")
    assert first.ask(b"QUIT\r\n").startswith("221")
    made.until(lambda: made.server.pool.kept == 1)
    yield made
    made.close()
    backend.close()


def ask(client: Client, line: bytes, code: str) -> Callable[[], None]:
    def asking() -> None:
        assert client.ask(line).startswith(code)

    return asking


def test_a_command_costs_no_turn_and_each_side_a_read_and_a_write(grey: Grey) -> None:
    client = grey.client()
    for line, code, sides in (
        (HELLO, "250", 1),
        (b"NOOP\r\n", "250", 1),
        (MAIL, "250", 1),
        (RCPT, "250", 2),
        (RCPT, "250", 2),
        (b"DATA\r\n", "354", 2),
        (b"Subject: x\r\n\r\nhello\r\n.\r\n", "250", 2),
        (MAIL, "250", 1),
        (b"RSET\r\n", "250", 1),
    ):
        cost = cost_of(grey, ask(client, line, code))
        # With the first MAIL a desk is made, which has a turn in which it falls asleep.
        assert cost.turns <= Counter(ProxyDesk=int(line == MAIL)), line
        assert cost.calls["send"] <= sides, line
        # With the first RCPT goes MAIL, and this server answers each in a piece of its own.
        assert cost.calls["recv"] <= sides + (line == RCPT), line
        assert set(cost.calls) <= {"send", "recv"}, line


def test_a_recipient_that_memory_decides_on_is_deferred_without_a_turn(grey: Grey) -> None:
    client = grey.client(STRANGER).begin()
    cost = cost_of(grey, ask(client, RCPT, "451"))
    assert not cost.turns
    assert cost.calls <= Counter(recv=1, send=1)


def test_a_whole_message_in_pipelined_commands_costs_no_turn_either(grey: Grey) -> None:
    client = grey.client()
    assert client.ask(HELLO).startswith("250")

    def one_message() -> None:
        client.send(MAIL + RCPT + b"DATA\r\n")
        assert [reply[:3] for reply in client.replies(3)] == ["250", "250", "354"]
        assert client.deliver().startswith("250")

    ask(client, MAIL, "250")()
    ask(client, b"RSET\r\n", "250")()  # the desk is there
    cost = cost_of(grey, one_message)
    assert not cost.turns
    # Two pieces from the client and three to it: the reply to MAIL goes with that to RCPT. Three to
    # the server, whose replies to MAIL and RCPT come in one piece or in two.
    assert cost.calls <= Counter(recv=6, send=6)


@pytest.mark.parametrize("lines", [(), (HELLO, MAIL)], ids=["a caller", "with a desk"])
def test_a_client_that_quits_is_closed_without_another_look_at_it(
    grey: Grey, lines: tuple[bytes, ...]
) -> None:
    client = grey.client()
    for line in lines:
        assert client.ask(line).startswith("250")

    def quit_and_stay() -> None:
        assert client.ask(b"QUIT\r\n").startswith("221")
        assert client.is_closed()

    cost = cost_of(grey, quit_and_stay)
    assert cost.calls["recv"] == cost.calls["send"] == 1
    assert cost.turns_before_close == 0
    # One turn of each for its end, and one of the server when nobody is left.
    ends = Counter(SMTPProxy=1, _ClientSocket=1, GreyServer=1)
    assert cost.turns <= ends + Counter(ProxyDesk=int(bool(lines)))
