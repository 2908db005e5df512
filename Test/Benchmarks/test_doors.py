"""The mail servers of the benchmark, against greylisters that are known; judging what was seen."""

import importlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from Kamaelia.Support.Protocol.Milter.Commands import Connect, MailFrom, Recipient
from Kamaelia.Support.Protocol.Milter.FilterSession import FilterSession
from Kamaelia.Support.Protocol.Milter.Negotiation import Wishes
from Kamaelia.Support.Protocol.Milter.Responses import CONTINUE, reply

FOLDER = Path(__file__).resolve().parent.parent.parent / "Benchmarks" / "doors"
PROXY = FOLDER.parent / "proxy"
MODULES = ("door_targets", "door_goals", "doors")
FORGOTTEN = (*MODULES, "processes", "targets", "rivals", "goal_list", "sessions", "load", "sink")

Seen = set[tuple[str, str, str]]  # client, sender, recipient


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The benchmark's modules, which find each other as scripts do."""
    for folder in (PROXY, FOLDER):
        monkeypatch.syspath_prepend(folder)
    for name in FORGOTTEN:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return {name: importlib.import_module(name) for name in MODULES}


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("doors") / "door_load"
    warnings = ("-Wall", "-Wextra", "-Werror")
    source = str(FOLDER / "door_load.c")
    subprocess.run(["cc", "-O1", "-std=gnu11", *warnings, "-o", str(made), source], check=True)
    return made


# ---- greylisters that are asked


def greylist(seen: Seen, triplet: tuple[str, str, str]) -> bool:
    """Whether it is let in: the second time."""
    known = triplet in seen
    seen.add(triplet)
    return known


def policy_service(sock: socket.socket, seen: Seen) -> None:
    """One connection."""
    with sock.makefile("rwb") as file:
        request: dict[str, str] = {}
        for line in file:
            name, _, value = line.decode().rstrip("\n").partition("=")
            if name:
                request[name] = value
                continue
            assert (request["request"], request["protocol_state"]) == (
                "smtpd_access_policy",
                "RCPT",
            )
            triplet = (request["client_address"], request["sender"], request["recipient"])
            passes = greylist(seen, triplet)
            file.write(b"action=DUNNO\n\n" if passes else b"action=DEFER_IF_PERMIT later\n\n")
            file.flush()


def milter(sock: socket.socket, seen: Seen) -> None:
    """One connection, answered at RCPT."""
    session = FilterSession(Wishes(replies=b"R"))
    client = sender = ""
    while not session.closed and (data := sock.recv(65536)):
        session.receive_data(data)
        while (event := session.next_event()) is not None:
            if isinstance(event, Connect):
                client = event.address
            elif isinstance(event, MailFrom):
                sender = event.address
            elif isinstance(event, Recipient):
                passes = greylist(seen, (client, sender, event.address))
                session.answer(CONTINUE if passes else reply(451, "4.7.1", "later"))
        if said := session.data_to_send():
            sock.sendall(said)


Served = Callable[[socket.socket, Seen], None]


@contextmanager
def listening(served: Served, path: Path | None = None) -> Iterator[tuple[list[str], Seen]]:
    """A greylister: where it is (options of the generator), and what it was asked about."""
    seen: Seen = set()
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen(64)

    def serve(sock: socket.socket) -> None:
        with sock, suppress(ConnectionError):
            served(sock, seen)

    def accept() -> None:
        with suppress(OSError):  # closed: it is over
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    where = ["-u", str(path)] if path else ["-p", str(listener.getsockname()[1])]
    try:
        yield [*where, "-d", "policy" if served is policy_service else "milter"], seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def load(generator: Path, where: list[str], *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(generator), *where, "-t", "10", *options],
        stdout=subprocess.PIPE,
        check=True,
        timeout=30,
    )
    outcome: dict[str, Any] = json.loads(done.stdout)
    return outcome


DOORS = pytest.mark.parametrize(
    ("served", "options"),
    [(policy_service, ()), (milter, ()), (milter, ("-s",))],
    ids=["policy", "milter", "spare milter"],
)


@pytest.mark.needs("cc")
@DOORS
def test_strangers_are_all_different_and_counted_to_the_last(
    generator: Path, served: Served, options: tuple[str, ...]
) -> None:
    with listening(served) as (where, seen):
        outcome = load(generator, where, "-c", "3", "-n", "50", *options)
        assert (outcome["done"], outcome["deferred"], outcome["errors"]) == (50, 50, 0)
        assert len(seen) == 50
        again = load(generator, where, "-c", "3", "-n", "50", "-f", str(outcome["last"]), *options)
        assert (again["deferred"], again["errors"]) == (50, 0)
        assert len(seen) == 100


@pytest.mark.needs("cc")
@DOORS
def test_friends_are_introduced_and_known_from_then_on(
    generator: Path, served: Served, options: tuple[str, ...]
) -> None:
    with listening(served) as (where, seen):
        friends = (*options, "-F", "20", "-c", "4")
        first = load(generator, where, "-m", "introduction", "-n", "20", *friends)
        assert (first["deferred"], first["passed"], len(seen)) == (20, 0, 20)
        known = load(generator, where, "-m", "known", "-n", "60", "-k", "7", *friends)
        assert (known["passed"], known["deferred"], known["errors"]) == (60, 0, 0)
        assert len(seen) == 20
        assert known["opened"] >= 60 / 7
        assert 0 < known["p50_ms"] <= known["p99_ms"] <= known["max_ms"]


@pytest.mark.needs("cc")
def test_an_answer_that_does_not_belong_there_is_an_error(generator: Path) -> None:
    with listening(policy_service) as (where, _):
        outcome = load(generator, where, "-m", "known", "-n", "5")
        assert outcome["errors"] == 5
        assert "DEFER_IF_PERMIT" in outcome["first_error"]
        load(generator, where, "-n", "5")
        outcome = load(generator, where, "-n", "5")  # the same numbers: they are no strangers
        assert outcome["errors"] > 0
    with listening(lambda sock, _: None) as (where, _):
        outcome = load(generator, [*where[:2], "-d", "policy"], "-n", "5")
        assert (outcome["done"], outcome["first_error"]) == (0, "closed by the greylister")


@pytest.mark.needs("cc")
@pytest.mark.parametrize("served", [policy_service, milter])
def test_idle_connections_are_held_until_they_are_let_go(
    generator: Path, tmp_path: Path, served: Served
) -> None:
    with (
        listening(served, tmp_path / "sock") as (where, seen),
        subprocess.Popen(
            [str(generator), *where, "-m", "idle", "-c", "9"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"HELD 9 ")
        assert len(seen) == (9 if served is policy_service else 0)
        assert process.poll() is None
        process.communicate(timeout=10)


# ---- judging


def samples(bench: dict[str, ModuleType], **rates: list[float]) -> list[Any]:
    """Rates of a target in a shape by shape__target."""
    goals = bench["door_goals"]
    found: dict[str, dict[str, list[Any]]] = {}
    for name, values in rates.items():
        shape, _, target = name.partition("__")
        found.setdefault(shape.replace("_", " "), {})[target.replace("_", "-")] = [
            goals.Sample(rate, 1.0, 2.0, 0.1) for rate in values
        ]
    rows: list[Any] = goals.judged(found)
    return rows


def test_a_ratio_is_the_median_of_the_rounds_own_ratios(bench: dict[str, ModuleType]) -> None:
    rows = samples(
        bench, policy_new__kamaelia_grey=[8.0, 90.0, 7.0], policy_new__postgrey=[1.0, 10.0, 1.0]
    )
    assert [(row.goal, row.seen.split()[0], row.met) for row in rows] == [("G10", "8", True)]
    rows = samples(
        bench, policy_known__kamaelia_grey=[8.0, 79.0, 7.0], policy_known__postgrey=[1.0, 10.0, 1.0]
    )
    assert [(row.seen.split()[0], row.met) for row in rows] == [("7.9", False)]


def test_the_milter_is_judged_by_what_both_runs_have(bench: dict[str, ModuleType]) -> None:
    rows = samples(bench, milter_new__kamaelia_grey=[40.0], policy_new__postgrey=[10.0])
    assert [(row.wanted, row.met) for row in rows] == [
        (">= 0.8 x milter-greylist", None),
        (">= 3.9 x postgrey", True),
    ]
    rows = samples(bench, milter_new__kamaelia_grey=[40.0], milter_new__milter_greylist=[60.0])
    assert [row.met for row in rows] == [False, None]


def test_nobody_there_is_no_goal_met(bench: dict[str, ModuleType]) -> None:
    assert [row.met for row in samples(bench, policy_new__kamaelia_grey=[9.0])] == [None]
    assert samples(bench, policy_new__postgrey=[9.0]) == []


def test_each_comparison_names_loads_and_greylisters_that_there_are(
    bench: dict[str, ModuleType],
) -> None:
    goals = bench["door_goals"]
    for one in goals.COMPARISONS:
        assert {one.shape, one.peer_shape or one.shape} <= set(goals.SHAPES)
        assert one.peer in bench["door_targets"].STARTERS


@pytest.mark.parametrize("text", ["--loads=nothing", "--rounds=0", "--seconds=99", "--idle=10000"])
def test_options_that_make_no_sense_are_refused(bench: dict[str, ModuleType], text: str) -> None:
    with pytest.raises(SystemExit):
        bench["doors"].options([text])
