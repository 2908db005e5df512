"""The dialogues once more, on a wire: Tools/ReplayDialogue.py against sessions that run as
components behind a real port."""

import runpy
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from Axon.Scheduler import scheduler
from Kamaelia.Apps.Grey.Demo import Mailbox, MailboxKeeper
from Kamaelia.Chassis.ConnectedServer import ServerCore
from Kamaelia.Chassis.Graphline import Graphline
from Kamaelia.IPC import serverShutdown
from Kamaelia.Protocol.SMTP import SMTPServerSession
from Kamaelia.Support.Protocol.SMTP.Capabilities import Capabilities
from Kamaelia.Support.Protocol.SMTP.ServerSession import ServerSession

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / "Tools" / "ReplayDialogue.py"))
main, steps, unescape = TOOL["main"], TOOL["steps"], TOOL["unescape"]
DIALOGUES = sorted((ROOT / "Test" / "Dialogues").glob("*.smtp"))
ABILITIES = Capabilities(10_000_000, True, True, True, True, True, True)


def is_for_an_agreeable_server(dialogue: Path) -> bool:
    """Whether nobody has to refuse anything, and the mail is for where the server takes it."""
    text = dialogue.read_text(encoding="utf-8")
    answers = [rest for _, kind, rest in steps(text) if kind == "= "]
    return all(answer == "accept" for answer in answers) and "elsewhere" not in text


@pytest.fixture
def server() -> Iterator[str]:
    def protocol(**_: object) -> Graphline:
        session = ServerSession("mx.example.org", capabilities=lambda: ABILITIES)
        return Graphline(
            {
                ("self", "inbox"): ("SESSION", "inbox"),
                ("self", "control"): ("SESSION", "control"),
                ("SESSION", "outbox"): ("self", "outbox"),
                ("SESSION", "signal"): ("self", "signal"),
                ("SESSION", "events"): ("KEEPER", "inbox"),
                ("KEEPER", "outbox"): ("SESSION", "replies"),
            },
            SESSION=SMTPServerSession(session),
            KEEPER=MailboxKeeper(Mailbox(), domain=None),
        )

    engine = scheduler()
    core = ServerCore(protocol=protocol, host="127.0.0.1", port=0).activate(engine)
    runner = threading.Thread(target=engine.runThreads)
    runner.start()
    host, port = core.address
    yield f"{host}:{port}"
    engine.call_from_thread(lambda: core.inboxes["control"].deliver(serverShutdown()))
    runner.join(10)
    assert not runner.is_alive()


def test_dialogues_that_need_no_refusal_hold_on_a_real_connection(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fitting = [str(path) for path in DIALOGUES if is_for_an_agreeable_server(path)]
    assert len(fitting) >= 10
    code = main([server, *fitting, "--quiet"])
    shown = capsys.readouterr()
    assert (code, shown.err) == (0, "")
    assert shown.out.count("replies as expected") == len(fitting)


def test_a_wrong_reply_is_named_with_its_line(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dialogue = tmp_path / "wrong.smtp"
    dialogue.write_text("# first\nS: 220\nC: NOOP\nS: 354\n")
    assert main([server, str(dialogue)]) == 1
    shown = capsys.readouterr()
    assert f"{dialogue}: line 4: expected '354', got '250" in shown.err
    assert "C: b'NOOP\\r\\n'" in shown.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("S: 220\n* closed\n", "timed out"),
        ("S: 220\nC: QUIT\nS: 221\nS: 250\n", "closed the connection"),
        ("what?\n", "no such step"),
        ("S: 220\n* dance\n", "no such step"),
    ],
)
def test_what_does_not_come_and_what_is_no_step_fail(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    dialogue = tmp_path / "wrong.smtp"
    dialogue.write_text(text)
    assert main([server, str(dialogue), "--timeout", "0.3"]) == 1
    assert said in capsys.readouterr().err


def test_raw_bytes_are_written_with_escapes() -> None:
    assert unescape(r"a\r\n\0\x7F\\x") == b"a\r\n\x00\x7f\\\\x"


def test_a_server_without_a_port_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["localhost", "x.smtp"])
    assert ended.value.code == 2
    assert "is not host:port" in capsys.readouterr().err
