"""Admission: how many may come in, from where, and how fast."""

import doctest
import logging
import sys
from collections import Counter
from ipaddress import IPv6Address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.Testing import FakeClock
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.FrontDoor.Admission import (
    FULL,
    MEMORY,
    PER_CLIENT,
    RATE,
    Admission,
    AdmissionRules,
    Memory,
    Refusal,
    RefusalLog,
    Why,
)


def networks(*texts: str) -> Networks:
    return Networks(map(ip_network, texts))


def admission(rules: AdmissionRules) -> Admission:
    return Admission(rules, lambda: 0)


def admit(door: Admission, client: str, times: int = 1, now: float = 0.0) -> int:
    """Connect so often; return how often it was let in."""
    return sum(door.admit(client, now) is None for _ in range(times))


def test_the_module_tells_the_truth() -> None:
    module = sys.modules[Admission.__module__]
    assert doctest.testmod(module).failed == 0


# ---- how many


def test_of_sixty_connections_from_one_client_fifty_get_in_and_others_are_served() -> None:
    door = admission(AdmissionRules())
    answers = [door.admit("127.0.0.9", 0.0) for _ in range(60)]
    assert answers == [None] * 50 + [PER_CLIENT] * 10
    assert door.admit("127.0.0.10", 0.0) is None
    assert (door.connections, door.clients) == (51, 2)


def test_of_a_thousand_connections_a_second_all_get_in_that_there_is_room_for() -> None:
    door = admission(AdmissionRules(max_connections=900))
    answers = Counter(door.admit(f"127.0.0.{number % 250 + 1}", 0.0) for number in range(1_000))
    assert answers == {None: 900, FULL: 100}
    assert door.connections == 900
    for number in range(900):
        door.left(f"127.0.0.{number % 250 + 1}")
    assert (door.connections, door.clients) == (0, 0)
    assert door.admit("127.0.0.1", 1.0) is None


def test_who_leaves_makes_room_for_the_same_client_and_for_others() -> None:
    door = admission(AdmissionRules(max_connections=2, per_client=1))
    assert admit(door, "192.0.2.1", 2) == 1
    door.left("192.0.2.1")
    assert admit(door, "192.0.2.1") == 1
    assert admit(door, "192.0.2.2") == 1
    assert door.admit("192.0.2.3", 0.0) is FULL
    door.left("192.0.2.1")
    assert admit(door, "192.0.2.3") == 1


def test_a_refused_connection_counts_nowhere() -> None:
    door = admission(AdmissionRules(max_connections=3, per_client=2))
    assert admit(door, "192.0.2.1", 100) == 2
    assert admit(door, "192.0.2.2", 100) == 1
    assert (door.connections, door.clients) == (3, 2)
    for _ in range(2):
        door.left("192.0.2.1")
    assert (door.connections, door.clients) == (1, 1)


def test_a_client_with_too_many_hears_that_even_if_there_is_no_room_at_all() -> None:
    door = admission(AdmissionRules(max_connections=1, per_client=1))
    assert admit(door, "192.0.2.1") == 1
    assert door.admit("192.0.2.1", 0.0) is PER_CLIENT
    assert door.admit("192.0.2.2", 0.0) is FULL


def test_zero_is_no_limit() -> None:
    door = admission(AdmissionRules(per_client=0))
    assert admit(door, "192.0.2.1", 1_001) == 1_000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8:0:0:ffff::1", True),
        ("2001:db8::1", "2001:DB8:0::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("0.0.0.1", "0:0:0:1::", False),
        ("255.255.255.255", "0:0:ffff:ffff::", False),
        ("", "unix", False),
        ("x" * 200, "x" * 200, True),
    ],
)
def test_one_client_is_an_ipv4_address_or_a_64_of_ipv6(one: str, other: str, same: bool) -> None:
    door = admission(AdmissionRules(per_client=1))
    assert admit(door, one) == 1
    assert admit(door, other) == (0 if same else 1)


def test_exempt_clients_have_no_limit_of_their_own_but_that_of_all() -> None:
    rules = AdmissionRules(
        max_connections=100, per_client=1, per_client_rate=1, exempt=networks("192.0.2.0/24")
    )
    door = admission(rules)
    assert admit(door, "192.0.2.1", 60) == 60
    assert admit(door, "::ffff:192.0.2.1", 60) == 40
    assert door.admit("192.0.2.1", 0.0) is FULL


def test_the_reserve_is_left_free_by_strangers() -> None:
    rules = AdmissionRules(
        max_connections=10, reserved=4, reserved_networks=networks("10.0.0.0/8", "fd00::/8")
    )
    door = admission(rules)
    assert admit(door, "192.0.2.1", 10) == 6
    assert admit(door, "10.1.2.3", 3) == 3
    assert door.admit("192.0.2.1", 0.0) is FULL
    assert admit(door, "fd00::1", 3) == 1
    assert door.admit("fd00::1", 0.0) is FULL


def test_a_reserve_for_nobody_is_none() -> None:
    assert admit(admission(AdmissionRules(max_connections=10, reserved=4)), "192.0.2.1", 20) == 10


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"max_connections": 50, "reserved_networks": networks("10.0.0.0/8")}, "no stranger"),
        ({"reserved": -1}, "0 or more"),
        ({"per_client": -1}, "0 or more"),
        ({"per_client_rate": -0.5}, "0 or more"),
        ({"memory_limit": -1}, "0 or more"),
        ({"max_connections": 0}, "1 or more"),
        ({"per_client_burst": 0}, "1 or more"),
    ],
)
def test_impossible_rules_are_refused(rules: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdmissionRules(**rules)  # type: ignore[arg-type]


def test_rules_change_for_who_comes_next() -> None:
    door = admission(AdmissionRules(per_client=2))
    assert admit(door, "192.0.2.1", 3) == 2
    assert admit(door, "192.0.2.2", 3) == 2
    door.change(AdmissionRules(per_client=1, exempt=networks("192.0.2.2")))
    assert (door.connections, door.clients) == (4, 2)
    assert admit(door, "192.0.2.2", 9) == 9
    door.left("192.0.2.1")
    assert door.admit("192.0.2.1", 0.0) is PER_CLIENT
    door.left("192.0.2.1")
    assert admit(door, "192.0.2.1") == 1


def test_who_was_not_let_in_cannot_leave(caplog: pytest.LogCaptureFixture) -> None:
    door = admission(AdmissionRules())
    admit(door, "192.0.2.1")
    for _ in range(3):
        door.left("192.0.2.2\n")
    assert door.connections == 1
    assert caplog.messages == ["connection from '192.0.2.2\\n' left without being let in"]


# ---- memory


def test_over_the_memory_limit_nobody_new_gets_in() -> None:
    used = [999, 1_000, 999]
    door = Admission(AdmissionRules(memory_limit=1_000), lambda: used.pop(0))
    assert door.admit("192.0.2.1", 0.0) is None
    assert door.admit("192.0.2.1", 0.0) is MEMORY
    assert door.admit("192.0.2.1", 0.0) is None
    assert door.connections == 2


def test_without_a_limit_memory_is_not_asked() -> None:
    answers = iter([0])
    door = Admission(AdmissionRules(), lambda: next(answers))
    assert admit(door, "192.0.2.1", 5) == 5
    assert list(answers) == [0]


def test_memory_is_read_at_most_once_a_second(tmp_path: Path) -> None:
    file, clock = tmp_path / "statm", FakeClock()
    file.write_text("900 10 1 1 0 1 0\n")
    memory = Memory(clock, file)
    ten = memory()
    file.write_text("900 30 1 1 0 1 0\n")
    assert memory() == ten
    clock.advance(0.99)
    assert memory() == ten
    clock.advance(0.01)
    assert memory() == 3 * ten > 0


def test_memory_of_this_process_is_what_the_system_says() -> None:
    status = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
    assert Memory(FakeClock())() == pytest.approx(kilobytes * 1024, rel=0.5)


@pytest.mark.parametrize("text", [None, "", "12\n", "a b\n"])
def test_memory_that_cannot_be_read_is_no_limit_and_said_once(
    text: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, clock = tmp_path / "statm", FakeClock()
    if text is not None:
        file.write_text(text)
    memory = Memory(clock, file)
    assert memory() == 0
    clock.advance(1.0)
    assert memory() == 0
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"memory_limit has no effect, cannot read {file}: ")
    assert caplog.records[0].levelno == logging.WARNING


# ---- how fast


def test_a_burst_gets_in_and_then_so_many_a_minute() -> None:
    door = admission(AdmissionRules(per_client_rate=30, per_client_burst=5))
    assert admit(door, "192.0.2.1", 9) == 5
    assert door.admit("192.0.2.1", 0.0) is RATE
    assert [admit(door, "192.0.2.1", 5, now) for now in (1.9, 2.0, 3.9, 4.0, 10.0)] == [
        0,
        1,
        0,
        1,
        3,
    ]
    assert admit(door, "192.0.2.1", 9, 1_000.0) == 5  # no more than the burst is saved up


def test_who_stays_away_saves_up_no_more_than_a_burst_among_others_either() -> None:
    door = admission(AdmissionRules(per_client_rate=60, per_client_burst=2))
    for number in range(9):
        assert admit(door, f"192.0.2.{number}", 3) == 2
    assert [admit(door, f"192.0.2.{number}", 9, 1_000.0) for number in (8, 0, 4)] == [2, 2, 2]


def test_one_clients_rate_is_not_anothers() -> None:
    door = admission(AdmissionRules(per_client_rate=1, per_client_burst=1))
    assert admit(door, "192.0.2.1", 2) == 1
    assert admit(door, "192.0.2.2", 2) == 1
    assert admit(door, "2001:db8::1", 2) == 1
    assert admit(door, "2001:db8::2", 2) == 0


def test_leaving_does_not_give_a_token_back() -> None:
    door = admission(AdmissionRules(per_client_rate=1, per_client_burst=1))
    assert admit(door, "192.0.2.1") == 1
    door.left("192.0.2.1")
    assert door.admit("192.0.2.1", 59.9) is RATE
    assert door.admit("192.0.2.1", 60.0) is None


def test_a_connection_refused_for_another_reason_costs_no_token() -> None:
    door = admission(AdmissionRules(max_connections=1, per_client_rate=1, per_client_burst=1))
    assert admit(door, "192.0.2.1") == 1
    assert door.admit("192.0.2.2", 0.0) is FULL
    door.left("192.0.2.1")
    assert door.admit("192.0.2.2", 0.0) is None


@settings(max_examples=50)
@given(
    st.integers(1, 600),
    st.integers(1, 20),
    st.lists(st.floats(0.0, 30.0), min_size=1, max_size=80),
)
def test_in_no_span_of_time_more_get_in_than_burst_and_rate_allow(
    rate: int, burst: int, pauses: list[float]
) -> None:
    rules = AdmissionRules(
        max_connections=10_000, per_client=0, per_client_rate=rate, per_client_burst=burst
    )
    door, now, times = admission(rules), 1_000_000.0, list[float]()
    for pause in pauses:
        now += pause
        if door.admit("192.0.2.1", now) is None:
            times.append(now)
    assert times[0] == 1_000_000.0 + pauses[0]
    for first, start in enumerate(times):
        for count, end in enumerate(times[first:], 1):
            assert count <= burst + (end - start) * rate / 60 + 0.01


def test_a_client_at_exactly_its_rate_is_never_refused() -> None:
    rules = AdmissionRules(per_client=0, per_client_rate=7, per_client_burst=1)
    door = admission(rules)
    assert all(door.admit("192.0.2.1", 1e9 + n * 60 / 7) is None for n in range(900))


# ---- what is remembered


def test_a_flood_from_very_many_addresses_costs_bounded_memory() -> None:
    door = admission(AdmissionRules(per_client_rate=1, per_client_burst=1))
    for number in range(120_000):
        client = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        assert door.admit(client, 0.0) is None
        door.left(client)
    assert door.clients == 0
    assert len(door._rates) == 100_000
    assert len(door._clients) <= 4_096


def test_what_is_remembered_of_clients_goes_away_when_they_do() -> None:
    door = admission(AdmissionRules(per_client_rate=60, per_client_burst=1))
    for number in range(200):
        client = f"10.0.0.{number}"
        admit(door, client)
        door.left(client)
    assert len(door._rates) == 200
    for second in range(200):  # one client is left, and keeps coming
        assert admit(door, "192.0.2.1", now=1.0 + second) == 1
        door.left("192.0.2.1")
    assert len(door._rates) == 1


def test_a_sweep_does_not_free_who_is_still_to_wait() -> None:
    door = admission(AdmissionRules(per_client_rate=1, per_client_burst=1))
    assert admit(door, "192.0.2.1") == 1
    for number in range(50):
        admit(door, f"10.0.0.{number}", now=1.0)
    assert door.admit("192.0.2.1", 59.0) is RATE


def test_without_a_rate_nothing_is_remembered() -> None:
    door = admission(AdmissionRules())
    admit(door, "192.0.2.1")
    assert len(door._rates) == 0


def test_another_rate_begins_with_full_buckets() -> None:
    door = admission(AdmissionRules(per_client_rate=1, per_client_burst=1))
    assert admit(door, "192.0.2.1", 2) == 1
    door.change(AdmissionRules(per_client_rate=60, per_client_burst=2))
    assert admit(door, "192.0.2.1", 3) == 2


CLIENTS = st.sampled_from(["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2", "10.0.0.1", "unix"]) | (
    st.integers(0, 2).map(lambda number: str(IPv6Address(number << 63)))
)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), CLIENTS), max_size=60))
def test_the_counts_are_those_of_who_is_in(steps: list[tuple[bool, str]]) -> None:
    rules = AdmissionRules(
        max_connections=9, reserved=3, reserved_networks=networks("10.0.0.0/8"), per_client=4
    )
    door, inside = admission(rules), list[str]()
    for comes, client in steps:
        if comes:
            if door.admit(client, 0.0) is None:
                inside.append(client)
        elif client in inside:
            inside.remove(client)
            door.left(client)
        assert door.connections == len(inside) <= 9
    for client in inside:
        door.left(client)
    assert (door.connections, door.clients) == (0, 0)


# ---- what is said


@pytest.mark.parametrize(
    ("refusal", "wire"),
    [
        (PER_CLIENT, b"421 4.7.0 too many connections from your address\r\n"),
        (RATE, b"421 4.7.0 connection rate too high for your address, try again later\r\n"),
        (FULL, b"421 4.3.2 too many connections, try again later\r\n"),
        (MEMORY, b"421 4.3.1 not enough memory, try again later\r\n"),
    ],
)
def test_each_refusal_is_a_421_of_its_own(refusal: Refusal, wire: bytes) -> None:
    assert refusal.wire == refusal.reply.to_wire() == wire


def test_the_first_refusal_is_logged_at_once_and_the_next_a_minute_later() -> None:
    refusals = RefusalLog()
    lines = [refusals.refused(FULL, f"192.0.2.{n}", now) for n, now in enumerate((0.0, 1.0, 59.9))]
    assert lines == [
        "refused 1 connection: too many connections, the last from 192.0.2.0",
        None,
        None,
    ]
    assert refusals.refused(FULL, "192.0.2.9", 60.0) == (
        "refused 3 connections: too many connections, the last from 192.0.2.9"
    )
    assert refusals.refused(FULL, "192.0.2.9", 61.0) is None


def test_each_reason_has_a_line_of_its_own() -> None:
    refusals = RefusalLog()
    for refusal in (FULL, PER_CLIENT, RATE, MEMORY):
        line = refusals.refused(refusal, "192.0.2.1", 0.0)
        assert line == f"refused 1 connection: {refusal.why.value}, the last from 192.0.2.1"
    assert {refusal.why for refusal in (FULL, PER_CLIENT, RATE, MEMORY)} == set(Why)


def test_the_end_of_a_flood_is_told_too() -> None:
    refusals = RefusalLog()
    for _ in range(1_000):
        refusals.refused(FULL, "192.0.2.1", 5.0)
    refusals.refused(RATE, "192.0.2.1", 6.0)
    assert refusals.due(64.9) == []
    assert refusals.due(65.0) == ["refused 999 connections: too many connections"]
    assert refusals.due(999.0) == []


def test_at_the_end_everything_is_told() -> None:
    refusals = RefusalLog()
    for _ in range(3):
        refusals.refused(FULL, "192.0.2.1", 0.0)
    assert refusals.due(1.0, all_of_it=True) == ["refused 2 connections: too many connections"]


@pytest.mark.parametrize(
    ("client", "shown"),
    [
        ("2001:db8::1", "2001:db8::1"),
        ("a\r\nb", r"'a\r\nb'"),
        ("\u202e\x1b", r"'\u202e\x1b'"),
        ("x" * 9_999, "x" * 100),
    ],
)
def test_a_strange_address_cannot_spoil_the_log(client: str, shown: str) -> None:
    line = RefusalLog().refused(FULL, client, 0.0)
    assert line == f"refused 1 connection: too many connections, the last from {shown}"


# ---- errors
