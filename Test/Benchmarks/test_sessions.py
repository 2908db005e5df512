"""The benchmark of SMTP sessions runs, reports ratios, and notices every lost message."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent / "Benchmarks" / "proxy"
MODULES = ("load", "processes", "sink", "targets", "sessions")


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "sessions.py"), *options],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The benchmark's modules, which find each other as scripts do: in their own folder."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return {name: importlib.import_module(name) for name in MODULES}


# ---- the whole


def test_a_tiny_run_measures_greylister_and_sink_and_loses_nothing() -> None:
    # Shorter, and the processor time of the sink may be less than a tick of the kernel's clock: 0.
    quick = ("--rounds", "1", "--seconds", "1")
    done = run(*quick, "--targets", "direct,kamaelia-grey", "--scenarios", "reject,accept")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["problems"] == []
    assert report["messages_checked"] > 0
    assert list(report["medians"]) == ["reject", "accept"]
    for scenario, numbers in report["medians"].items():
        assert list(numbers) == ["direct", "kamaelia-grey"]
        assert all(value > 0 for one in numbers.values() for value in one.values())
        ratio = report["ratios"][scenario]["kamaelia-grey/direct"]["cpu_s_per_1000"]
        ours, theirs = (numbers[name]["cpu_s_per_1000"] for name in ("kamaelia-grey", "direct"))
        assert ratio == pytest.approx(ours / theirs, rel=0.01)


def test_rivals_are_measured_or_left_out_with_a_reason() -> None:
    rivals = ["aiosmtpd", "haproxy"]
    quick = ("--rounds", "1", "--seconds", "0.2")
    done = run(*quick, "--targets", ",".join(rivals), "--scenarios", "reject,accept_single,connect")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert sorted([*report["versions"], *report["left_out"]]) == rivals
    assert report["medians"]["reject"] == {}  # they do not greylist
    for scenario in ("accept_single", "connect"):
        assert list(report["medians"][scenario]) == list(report["versions"])


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--rounds", "0", "--rounds is 1 to 100"),
        ("--seconds", "0", "--seconds 0.1 to 60"),
        ("--seconds", "nan", "--seconds 0.1 to 60"),
        ("--targets", "sendmail", "sendmail: not one of direct, "),
        ("--scenarios", "accept,", "not one of reject, "),
    ],
)
def test_options_that_make_no_sense_are_refused(option: str, value: str, complaint: str) -> None:
    done = run(option, value)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert not done.stdout


# ---- the sink

WIRE = (
    b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<user@b>\r\nDATA\r\n"
    b"Received: by a proxy\r\nX-Bench: 7\r\n\r\ntext\r\n..\r\n.\r\n"
    b"MAIL FROM:<a@b>\r\nRCPT TO:<stranger1@b>\r\nRCPT TO:<user@b>\r\nDATA\r\n"
    b"X-Bench: 5\r\n\r\n.\r\n"
    b"NONSENSE\r\nQUIT\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, len(WIRE)])
def test_the_sink_counts_messages_however_the_stream_is_sliced(
    bench: dict[str, ModuleType], size: int
) -> None:
    sink = bench["sink"]
    count = sink.Count()
    session = sink.Session(count)
    said = b"".join(session.take(WIRE[i : i + size]) for i in range(0, len(WIRE), size))
    assert (count.messages, count.number_sum, count.strangers) == (2, 12, 1)
    codes = [int(line[:3]) for line in said.splitlines() if line[3:4] == b" "]
    assert codes == [250, 250, 250, 354, 250, 250, 451, 250, 354, 250, 500, 221]
    assert session.over


def test_the_sink_hangs_up_on_a_command_without_end(bench: dict[str, ModuleType]) -> None:
    session = bench["sink"].Session(bench["sink"].Count())
    assert session.take(b"x" * 4097) == b""
    assert session.over


def test_a_message_without_its_number_counts_as_number_zero(bench: dict[str, ModuleType]) -> None:
    assert bench["sink"].number_of(b"X-Bench: 12\r\n") == 12
    assert bench["sink"].number_of(b"Subject: X-Bench\r\n") == 0


# ---- what is noticed


class FakeSink:
    """Reports what it is told to."""

    def __init__(self, **came: int) -> None:
        self.came = {"messages": 0, "number_sum": 0, "bytes": 0, "strangers": 0} | came

    def report(self) -> dict[str, int]:
        return self.came


def problems(
    bench: dict[str, ModuleType], scenario: str, came: dict[str, int], outcome: dict[str, Any]
) -> list[str]:
    checked = bench["sessions"].Bench(FakeSink(**came), seconds=1.0)
    target = bench["targets"].Target("kamaelia-grey", 0, 0, "", greylists=True)
    checked._check(scenario, target, bench["load"].Outcome(**outcome))
    return list(checked.problems)


def test_what_was_acknowledged_and_arrived_is_no_problem(bench: dict[str, ModuleType]) -> None:
    came = {"messages": 3, "number_sum": 6}
    assert problems(bench, "accept", came, {"done": 3, "number_sum": 6}) == []
    assert problems(bench, "reject", {}, {"done": 3, "number_sum": 6}) == []


@pytest.mark.parametrize(
    ("scenario", "came", "outcome"),
    [
        ("accept", {"messages": 2, "number_sum": 3}, {"done": 3, "number_sum": 6}),  # lost
        ("accept", {"messages": 4, "number_sum": 9}, {"done": 3, "number_sum": 6}),  # doubled
        ("accept", {"messages": 3, "number_sum": 7}, {"done": 3, "number_sum": 6}),  # another
        ("connect", {"messages": 1, "number_sum": 1}, {"done": 3, "number_sum": 6}),
        ("reject", {"strangers": 1}, {"done": 3, "number_sum": 6}),
        ("reject", {}, {"done": 3, "number_sum": 6, "errors": 1, "first_error": "554"}),
        ("reject", {}, {"done": 0}),
    ],
)
def test_a_message_lost_doubled_or_from_nowhere_is_a_problem(
    bench: dict[str, ModuleType], scenario: str, came: dict[str, int], outcome: dict[str, Any]
) -> None:
    (problem,) = problems(bench, scenario, came, outcome)
    assert problem.startswith(f"{scenario}, kamaelia-grey: ")


def test_a_reply_that_does_not_belong_there_ends_the_session(bench: dict[str, ModuleType]) -> None:
    load = bench["load"]
    with pytest.raises(load.UnexpectedError, match=r"b'421 \\x1b' instead of 250"):
        load.expect(b"250", b"421 \x1b")
