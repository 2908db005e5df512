"""Real servers that refuse, hang up or fall silent: the client hears the truth, and never a 250."""

from collections.abc import Callable
from pathlib import Path

import pytest

from Test.System.clients import Mail, deliver
from Test.System.processes import FRIEND, CheckingSink, Grey, SmtpSink


def test_server_that_falls_silent_after_the_dot(tmp_path: Path, sink: CheckingSink) -> None:
    with Grey(tmp_path, sink.port, backend_final_timeout="1s") as grey:
        sink.restart(hang_at="kept")
        answer = deliver(grey.address, Mail("m1"), FRIEND)
        assert answer.code == 451
        assert answer.text.startswith("4.4.2 ")
        grey.wait_for_log("event=message", "outcome=unknown", "reply=timeout")
    assert [entry["id"] for entry in sink.kept()] == ["m1"]


# How smtp-sink can be asked to misbehave, and what the client hears then.
MISBEHAVIOURS = {
    "hangs up at MAIL": (["-q", "mail"], "451 4.4.2"),
    "hangs up at RCPT": (["-q", "rcpt"], "451 4.4.2"),
    "hangs up at DATA": (["-q", "data"], "451 4.4.2"),
    "hangs up at the dot": (["-q", "."], "451 4.4.2"),
    "says 421 at RCPT": (["-Q", "rcpt"], "421 "),
    "says 421 at DATA": (["-Q", "data"], "421 "),
    "says 421 at the dot": (["-Q", "."], "421 "),
    "defers RCPT": (["-r", "rcpt"], "450 4.3.0 Error: command failed"),
    "refuses RCPT": (["-f", "rcpt"], "500 5.3.0 Error: command failed"),
    "refuses the sender": (["-f", "mail"], "500 5.3.0 Error: command failed"),
    "refuses the message": (["-f", "."], "500 5.3.0 Error: command failed"),
    "has no extensions": (["-e"], "250 2.0.0 Ok"),
    "has no pipelining": (["-p"], "250 2.0.0 Ok"),
}


@pytest.mark.needs("smtp-sink")
@pytest.mark.parametrize("kind", MISBEHAVIOURS)
def test_what_the_client_hears_of_a_server_that(
    kind: str, find_program: Callable[[str], Path], tmp_path: Path
) -> None:
    options, wanted = MISBEHAVIOURS[kind]
    with (
        SmtpSink(find_program("smtp-sink"), tmp_path, *options) as server,
        Grey(tmp_path, server.port) as grey,
    ):
        answer = deliver(grey.address, Mail("m1"), FRIEND)
        assert f"{answer.code} {answer.text}".startswith(wanted)
        kept = [found for found in server.messages() if b"X-Id: m1" in found]
        assert answer.code != 250 or len(kept) == 1


def test_refusal_at_the_beginning_of_a_message_reaches_the_client(
    grey: Grey, sink: CheckingSink
) -> None:
    sink.restart(hang_at="early")
    for number in range(20):
        answer = deliver(grey.address, Mail(f"m{number}", 2_000_000), FRIEND)
        assert answer.code == 552, number
        assert answer.text.startswith("5.3.4 we do not like the beginning")
    assert sink.kept() == []
