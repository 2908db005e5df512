"""FortuneCookieProtocol: a saying for everybody, at the pace of somebody who reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, drive, harness
from Kamaelia.Protocol.FortuneCookieProtocol import SAYINGS, FortuneCookieProtocol, fortune
from Test.Kamaelia.network import Script, World
from Test.Kamaelia.shutdown import Ends

GAMES = "Kamaelia.Protocol.FortuneCookieProtocol.GAMES"


class WithoutFortune(FortuneCookieProtocol):
    """As on a machine that has no such command."""

    find = staticmethod(lambda: "")


SHUTDOWN = {FortuneCookieProtocol: Ends(WithoutFortune, ends_alone=True)}


def last(sayings: Any) -> str:  # noqa: ANN401 - of any kind
    return str(sayings[-1])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first `fortune` on the path; it says its arguments."""
    path = tmp_path / "fortune"
    path.write_text('#!/bin/sh\nprintf "%s." "$*"\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return path


def heard(world: World, cookie: FortuneCookieProtocol) -> list[bytes]:
    class Ear(component):
        """Keeps what comes."""

        got: list[bytes]

        def main(self) -> Iterator[object]:
            self.got = []
            while not self.told_to_stop():
                self.got.extend(self.Inbox("inbox"))
                self.pause()
                yield 1
            self.got.extend(self.Inbox("inbox"))

    ear = Ear()
    ear.link((cookie, "outbox"), (ear, "inbox"))
    ear.link((cookie, "signal"), (ear, "control"))

    def script() -> Script:
        world.run(ear, cookie)
        yield from world.until(ear._isStopped)

    world.play(script())
    return ear.got


def test_without_the_command_it_says_something_of_its_own() -> None:
    assert b"".join(drive(WithoutFortune())["outbox"]).decode()[:-1] in SAYINGS


def test_it_says_forty_bytes_a_second_one_by_one() -> None:
    clock = FakeClock()
    out = drive(WithoutFortune(choose=last), clock=clock)
    saying = SAYINGS[-1].encode() + b"\n"
    assert out["outbox"] == [bytes([byte]) for byte in saying]
    assert clock() == pytest.approx(len(saying) / 40)


def test_the_sayings_are_of_one_line_and_ascii() -> None:
    assert len(set(SAYINGS)) == 12
    assert all(saying.isascii() and saying.isprintable() for saying in SAYINGS)


def test_with_the_command_it_says_what_that_says(command: Path, real_time_world: World) -> None:
    assert fortune() == (str(command), "-a")
    got = heard(real_time_world, FortuneCookieProtocol(bitrate=80_000.0, chunkrate=10_000))
    assert got == [b"-", b"a", b"."]


def test_games_are_found_that_are_on_nobodys_path(
    command: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(GAMES, str(command.parent))
    assert fortune() == (str(command), "-a")
    monkeypatch.setattr(GAMES, "/nowhere")
    assert fortune() == ""


def test_a_command_that_has_nothing_to_say_is_helped_out(
    command: Path, real_time_world: World
) -> None:
    command.write_text("#!/bin/sh\nexit 1\n")
    got = heard(real_time_world, FortuneCookieProtocol(bitrate=800_000.0, choose=last))
    assert b"".join(got) == SAYINGS[-1].encode() + b"\n"


def test_a_saying_is_finished_though_the_peer_has_ended_its_side() -> None:
    out = drive(WithoutFortune(choose=last), control=[message := producerFinished()])
    assert (len(out["outbox"]), out["signal"]) == (len(SAYINGS[-1]) + 1, [message])


def test_a_shutdown_ends_it_in_the_middle() -> None:
    with harness(WithoutFortune(choose=last)) as h:
        h.expect("outbox", b"E")
        h.finish(message := shutdownMicroprocess())
        h.expect("signal", message)
        assert len(h.take()) < 10


def test_a_peer_that_does_not_read_is_waited_for() -> None:
    with harness(WithoutFortune(choose=last)) as h:
        h.limit(1)
        h.run_for(60.0)
        h.not_ended()
        h.limit(None)
        h.expect_end()
        assert b"".join(h.take()) == SAYINGS[-1].encode() + b"\n"


def test_each_client_of_a_server_hears_one(world: World, clock: FakeClock) -> None:
    def script() -> Script:
        server = world.serve(WithoutFortune)
        clients = [world.connect(server) for _ in range(3)]
        yield from world.until(lambda: server.connections == 3)
        for _ in range(12):
            clock.advance(0.25)
            yield from world.settle()
        for client in clients:
            said: bytes = yield from world.receive_all(client)
            assert said.decode()[:-1] in SAYINGS

    world.play(script())
