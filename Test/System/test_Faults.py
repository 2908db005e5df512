"""
What becomes of the mail of 100 sessions when, at the places of the dialogue that the test names,
the mail server or the proxy is killed or stopped, or connections are cut or slow.

Benchmarks/proxy/faults.py does the same with twice as many, for as long as one likes, at places
chosen by chance.
"""

import asyncio
import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from Test.System.clients import Mail, deliver_until_taken
from Test.System.cutting_relay import Point
from Test.System.faults import LATE, Fault, Kind, Run, Side, World
from Test.System.processes import FRIEND, CheckingSink, Grey, wait_until

SESSIONS = 100
PLACES = {
    "greeting": (Point.BANNER, Point.GREETED, Point.EHLO),
    "envelope": (Point.MAIL, Point.RCPT, Point.DATA),
    "message": (Point.BODY, Point.UNDOTTED, Point.QUIT),
    "reply": LATE,
}
Send = Callable[..., Run]


@pytest.fixture(scope="module")
def start_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Send]]:
    """Give the function that starts a World and gives one that sends through it."""
    with asyncio.Runner() as runner, ExitStack() as stack:

        def start(servers: int = 1, **settings: object) -> Send:
            world = World(tmp_path_factory.mktemp("world"), servers, **settings)
            runner.run(world.__aenter__())
            stack.callback(lambda: runner.run(world.__aexit__()))

            def send(*faults: Fault) -> Run:
                pid = world.grey.pid
                run = runner.run(world.send(SESSIONS, *faults))
                killed = any(f.kind is Kind.KILL and f.side is Side.FRONT for f in faults)
                # The proxy lives, unless it was the one to die, and serves the next client.
                assert (world.grey.pid == pid) is not killed
                assert runner.run(world.serves()).code == 250
                assert "Traceback" not in world.grey.said()
                return run

            return send

        yield start


@pytest.fixture(scope="module")
def send(start_world: Callable[..., Send]) -> Send:
    return start_world()


def check(run: Run, faults: list[Fault]) -> None:
    assert run.problems() == []
    for fault in faults:
        # Few connections to the server say QUIT: it keeps most.
        optional = fault.side is Side.BACK and fault.point is Point.QUIT
        assert run.struck[fault] or optional, fault
    if all(fault.harmless for fault in faults):
        assert run.codes == {250: SESSIONS}
    if not any(fault.may_double for fault in faults):
        assert run.doubled == 0


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("side", list(Side), ids=lambda side: side.value)
@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
def test_no_mail_is_lost_with(kind: Kind, side: Side, places: str, send: Send) -> None:
    faults = [Fault(kind, side, point) for point in PLACES[places]]
    check(send(*faults), faults)


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
def test_no_mail_is_lost_without_kept_connections_with(kind: Kind, send_unkept: Send) -> None:
    points = list(Point) if kind in (Kind.CUT, Kind.SLOW) else [Point.EHLO, Point.DOT, Point.QUIT]
    faults = [Fault(kind, Side.BACK, point, each=20) for point in points]
    run = send_unkept(*faults)
    check(run, faults)
    if kind is not Kind.STOP:  # who stands still may be told to end without it
        assert any(fault.point is Point.QUIT for fault in run.struck)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("kind", [Kind.KILL, Kind.CUT], ids=lambda kind: kind.name.lower())
def test_no_mail_is_lost_before_two_servers_with(
    kind: Kind, places: str, send_to_two: Send
) -> None:
    faults = [Fault(kind, Side.BACK, point) for point in PLACES[places]]
    check(send_to_two(*faults), faults)


def test_without_file_descriptors_clients_wait_and_are_served_when_there_are_some(
    grey: Grey, sink: CheckingSink
) -> None:
    resource.prlimit(grey.pid, resource.RLIMIT_NOFILE, (64, 64))
    with ExitStack() as stack:
        for _ in range(100):
            # Of one who has no limit of his own.
            client = socket.create_connection(grey.address, source_address=(FRIEND, 0))
            stack.enter_context(closing(client))
        wait_until("no descriptor to be left", lambda: grey.open_files() == 64)
        before = cpu_seconds(grey.pid)
        grey.wait_for("cannot accept connections for now")
        threading.Event().wait(1.0)
        assert cpu_seconds(grey.pid) - before < 0.3  # it does not try again and again
    assert deliver_until_taken(grey.address, Mail("after"), FRIEND)[-1].code == 250
    assert [entry["id"] for entry in sink.kept()] == ["after"]
    assert "Traceback" not in grey.said()


def cpu_seconds(pid: int) -> float:
    """Processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def send_unkept(start_world: Callable[..., Send]) -> Send:
    return start_world(backend_connections_kept=0)


@pytest.fixture(scope="module")
def send_to_two(start_world: Callable[..., Send]) -> Send:
    return start_world(servers=2)
