"""
Plays Test/Dialogues/mx-sync-*.sync against both sides. The format, one step a line::

    # a comment
    # only: server      it is no dialogue that the other side would have
    C: a line of who calls, ended as a real peer does: versN and quit with LF, others with CR LF
    S: a line of who is called, ended with LF
    S+ 203              as many more lines as come, each with this beginning
    = refuse, dismiss   the server is told so, before or after it has greeted
    = hang up           the command that came last cannot be applied
    * closed            the connection is over
    * eof               the caller closes its side

What the client is to say is read out of the C lines: it is given the commands that they are.
"""

from pathlib import Path

import pytest

from Kamaelia.Support.Protocol.MXSync.Commands import read_command
from Kamaelia.Support.Protocol.MXSync.SyncClient import (
    Established,
    Failed,
    Outcome,
    Sent,
    SyncClient,
)
from Kamaelia.Support.Protocol.MXSync.SyncServer import SyncServer

FOLDER = Path(__file__).parents[5] / "Test" / "Dialogues"
FILES = sorted(FOLDER.glob("mx-sync-*.sync"))
ASKED_BY_ITSELF = ("vers", "quit")


def steps_of(path: Path) -> list[tuple[str, str]]:
    lines = path.read_text(encoding="ascii").splitlines()
    steps = [line.partition(" ") for line in lines if not line.startswith("# ")]
    return [(kind, text) for kind, _, text in steps]


def files_for(side: str) -> list[Path]:
    other = {"server": "client", "client": "server"}[side]
    return [path for path in FILES if f"# only: {other}\n" not in path.read_text("ascii")]


def wire(text: str) -> bytes:
    return (text + ("\n" if text.startswith(ASKED_BY_ITSELF) else "\r\n")).encode("ascii")


def slices(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def apply_all(server: SyncServer) -> None:
    while server.next_command() is not None:
        server.applied(True)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("path", files_for("server"), ids=lambda path: path.stem)
def test_our_server_says_what_a_real_one_says(path: Path, size: int) -> None:
    server, heard = SyncServer(), b""
    steps = steps_of(path)
    if ("=", "refuse") not in steps:
        server.greet()
    for at, (kind, text) in enumerate(steps):
        heard += server.data_to_send()
        match kind:
            case "C:":
                assert heard == b"", "answers that the dialogue does not expect"
                for piece in slices(wire(text), size):
                    server.receive_data(piece)
                    if steps[at + 1 : at + 2] != [("=", "hang up")]:
                        apply_all(server)
            case "S:":
                line, _, heard = heard.partition(b"\n")
                assert line.decode() == text
            case "S+":
                while heard:
                    line, _, heard = heard.partition(b"\n")
                    assert line.startswith(text.encode())
            case "=":
                do_to_server(server, text)
            case "*":
                assert server.closed is (text == "closed")
    assert heard == server.data_to_send() == b""


def do_to_server(server: SyncServer, text: str) -> None:
    if text == "hang up":
        assert server.next_command() is not None
        server.applied(False)
    else:
        getattr(server, text)()


@pytest.mark.parametrize(
    "path",
    [path for path in files_for("server") if "=" not in [kind for kind, _ in steps_of(path)]],
    ids=lambda path: path.stem,
)
def test_commands_that_come_together_are_answered_in_order(path: Path) -> None:
    steps = steps_of(path)
    server = SyncServer()
    server.greet()
    server.receive_data(b"".join(wire(text) for kind, text in steps if kind == "C:"))
    apply_all(server)
    heard = [line for line in server.data_to_send().decode().splitlines() if line[:3] != "203"]
    assert heard == [text for kind, text in steps if kind == "S:" and text[:3] != "203"]


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("path", files_for("client"), ids=lambda path: path.stem)
def test_our_client_says_what_a_real_one_says(path: Path, size: int) -> None:
    client, expected = SyncClient(), b""
    outcomes: list[Outcome] = []
    given = []
    for kind, text in steps_of(path):
        match kind:
            case "C:":
                if not text.startswith(ASKED_BY_ITSELF):
                    given.append(read_command(text.split()))
                    assert client.offer(given[-1])
                elif text == "quit":
                    client.quit()
                expected += wire(text)
                assert client.data_to_send() == wire(text)
            case "S:":
                for piece in slices(text.encode() + b"\n", size):
                    client.receive_data(piece)
            case "*" | "=":
                client.receive_eof()
                assert client.closed
        while (outcome := client.next_outcome()) is not None:
            outcomes.append(outcome)
    assert [each.command for each in outcomes if isinstance(each, Sent)] == [
        command for command in given if command not in failed(outcomes)
    ]
    established = [each for each in outcomes if isinstance(each, Established)]
    assert len(established) == (b"vers" in expected)


def failed(outcomes: list[Outcome]) -> list[object]:
    return [each.command for each in outcomes if isinstance(each, Failed)]


def test_there_are_dialogues_for_both_sides() -> None:
    assert len(files_for("server")) >= 7
    assert len(files_for("client")) >= 5
