"""Backends: whose mail goes where, and the circuit of each server."""

import doctest
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.FrontDoor.Backends import (
    BackendRule,
    Backends,
    BackendStatus,
    Change,
    Circuit,
)


@dataclass(frozen=True, slots=True)
class Server:
    """What stands for a Backend here."""

    host: str
    port: int


def backends(
    *rules: BackendRule, random: Callable[[], float] = lambda: 0.5
) -> tuple[Backends[Server], list[Server]]:
    made = Backends(rules, lambda rule: Server(rule.host, rule.port), random)
    return made, list(made.all)


def one() -> tuple[Backends[Server], Server]:
    made, (server,) = backends(BackendRule("a", 25))
    return made, server


def hosts(servers: Sequence[Server]) -> list[str]:
    return [server.host for server in servers]


def fail(made: Backends[Server], server: Server, *times: float) -> Change | None:
    """Fail at these times, and return the last change."""
    change = None
    for now in times:
        change = made.failed(server, now)
    return change


def test_the_module_tells_the_truth() -> None:
    module = sys.modules[Backends.__module__]
    assert doctest.testmod(module).failed == 0


# ---- whose mail goes where


def test_the_rule_that_names_a_domain_most_exactly_wins() -> None:
    made, _ = backends(
        BackendRule("rest", 25),
        BackendRule("below", 25, domains=(".example.org",)),
        BackendRule("deep", 25, domains=(".b.example.org",)),
        BackendRule("lists", 25, domains=("lists.example.org",)),
    )
    for domain, host in {
        "example.com": "rest",
        "org": "rest",
        "notexample.org": "rest",
        "example.org": "below",
        "a.example.org": "below",
        "x.lists.example.org": "below",
        "b.example.org": "deep",
        "a.b.example.org": "deep",
        "lists.example.org": "lists",
        "LISTS.Example.Org": "lists",
    }.items():
        assert hosts(made.candidates(domain, 0.0)) == [host], domain


def test_domains_of_the_rules_are_taken_in_any_case() -> None:
    made, _ = backends(BackendRule("a", 25, domains=("Example.ORG", "*")))
    assert made.serves("example.org")


def test_a_sign_that_only_looks_like_a_k_makes_another_domain() -> None:
    made, _ = backends(BackendRule("a", 25, domains=("kiosk.example",)))
    assert made.serves("KIOSK.example")
    assert not made.serves("kios\u212a.example")


def test_a_domain_that_no_rule_is_for_has_no_server() -> None:
    made, _ = backends(
        BackendRule("a", 25, domains=("example.org",)), BackendRule("b", 25, domains=(".net",))
    )
    assert made.candidates("example.com", 0.0) == []
    assert not made.serves("example.com")
    assert not made.all_down(0.0)


def test_postmaster_without_a_domain_always_has_a_server() -> None:
    made, _ = backends(
        BackendRule("a", 25, domains=("example.org",)), BackendRule("b", 25, domains=("*",))
    )
    assert hosts(made.candidates("", 0.0)) == ["b"]
    made, _ = backends(
        BackendRule("a", 25, domains=("example.org",)), BackendRule("b", 25, domains=("x.org",))
    )
    assert hosts(made.candidates("", 0.0)) == ["a"]


def test_another_recipient_may_share_a_connection_only_if_its_rules_name_that_server() -> None:
    made, (a, b) = backends(
        BackendRule("a", 25), BackendRule("b", 25, domains=("*", "example.org"))
    )
    assert made.same(a, "example.com")
    assert made.same(b, "example.com")
    assert made.same(b, "example.org")
    assert not made.same(a, "example.org")


def test_same_does_not_ask_whether_a_server_is_up() -> None:
    made, server = one()
    fail(made, server, 1.0, 2.0, 3.0)
    assert made.same(server, "example.org")  # what is connected stays connected


def test_a_server_in_several_rules_is_one_server() -> None:
    made, servers = backends(
        BackendRule("a", 25, 2, ("x.org",)),
        BackendRule("b", 25, 1, ("x.org", "y.org")),
        BackendRule("a", 25, 1, ("y.org",)),
        BackendRule("b", 25, 3, ("x.org",)),
        BackendRule("a", 26, 9, ("x.org",)),
    )
    assert servers == [Server("a", 25), Server("b", 25), Server("a", 26)]
    assert made.candidates("x.org", 0.0) == [servers[1], servers[0], servers[2]]
    fail(made, servers[0], 1.0, 2.0, 3.0)
    assert made.candidates("y.org", 3.0) == [servers[1]]


def test_a_repeated_rule_keeps_its_best_priority_whichever_comes_first() -> None:
    made, (a, b) = backends(
        BackendRule("a", 25, 3), BackendRule("b", 25, 2), BackendRule("a", 25, 1)
    )
    assert made.candidates("x.org", 0.0) == [a, b]


@pytest.mark.parametrize("rules", [(), (BackendRule("a", 25, domains=()),)])
def test_rules_that_serve_nothing_are_refused(rules: tuple[BackendRule, ...]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        backends(*rules)


def test_two_servers_cannot_be_one_object() -> None:
    with pytest.raises(ValueError, match="same object"):
        Backends([BackendRule("a", 25), BackendRule("a", 26)], lambda rule: rule.host, lambda: 0.0)


# ---- the order


def test_lower_priorities_come_first_and_fewer_sessions_within_one() -> None:
    made, (far, busy, idle) = backends(
        BackendRule("far", 25, 20), BackendRule("busy", 25, 10), BackendRule("idle", 25, 10)
    )
    assert made.opened(busy) is None
    assert made.candidates("x.org", 0.0) == [idle, busy, far]
    for _ in range(2):
        made.opened(idle)
    assert made.candidates("x.org", 0.0) == [busy, idle, far]
    for _ in range(2):
        made.closed(idle)
    assert made.candidates("x.org", 0.0) == [idle, busy, far]


def test_equals_are_drawn_by_lot() -> None:
    numbers = iter([0.1, 0.9, 0.9, 0.1])
    made, (a, b) = backends(
        BackendRule("a", 25), BackendRule("b", 25), random=lambda: next(numbers)
    )
    assert made.candidates("x.org", 0.0) == [a, b]
    assert made.candidates("x.org", 0.0) == [b, a]


def test_when_the_lot_draws_the_same_the_rules_order_decides() -> None:
    made, servers = backends(*(BackendRule(name, 25) for name in "cab"))
    assert made.candidates("x.org", 0.0) == servers


def test_a_session_closed_too_often_does_not_make_a_server_look_idle() -> None:
    made, (a, b) = backends(BackendRule("a", 25), BackendRule("b", 25))
    made.closed(b)
    assert made.status(0.0)[1].sessions == 0
    assert made.candidates("x.org", 0.0) == [a, b]


# ---- the circuit


def test_three_failures_in_a_row_within_a_minute_open_the_circuit() -> None:
    made, server = one()
    assert fail(made, server, 0.0, 30.0) is None
    assert made.candidates("x.org", 30.0) == [server]
    change = made.failed(server, 60.0)
    assert change == Change("a", 25, Circuit.CLOSED, Circuit.OPEN, 3, 1.0)
    assert made.candidates("x.org", 60.0) == []
    assert made.all_down(60.0)
    assert not made.usable(server, 60.0)


def test_failures_further_apart_do_not() -> None:
    made, server = one()
    assert fail(made, server, 0.0, 30.0, 60.5, 90.5) is None
    assert made.candidates("x.org", 90.5) == [server]
    assert made.failed(server, 90.5) is not None  # the last three are within a minute


def test_a_success_in_between_begins_a_new_row() -> None:
    made, server = one()
    fail(made, server, 0.0, 1.0)
    assert made.succeeded(server) is None
    assert fail(made, server, 2.0, 3.0) is None
    assert made.failed(server, 4.0) is not None


def test_who_has_no_failures_has_no_change_by_a_success() -> None:
    made, server = one()
    assert made.succeeded(server) is None


def test_it_is_known_how_many_servers_have_failed_since_they_were_of_use() -> None:
    made, (first, second) = backends(BackendRule("a", 25), BackendRule("b", 25))
    known = [made.failing]
    for server in (first, first, first, first, second):  # the fourth finds the circuit open
        made.failed(server, 0.0)
        known.append(made.failing)
    for server in (first, first, second):
        made.succeeded(server)
        known.append(made.failing)
    assert known == [0, 1, 1, 1, 1, 2, 1, 1, 0]


def test_exactly_one_session_tries_a_server_that_may_be_back() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    assert made.candidates("x.org", 0.999) == []
    assert made.candidates("x.org", 1.0) == [server]
    assert made.due(1.0) == [server]
    change = made.opened(server)
    assert change == Change("a", 25, Circuit.OPEN, Circuit.HALF_OPEN, 3, 1.0)
    assert made.candidates("x.org", 1.0) == []
    assert made.due(1.0) == []
    assert made.all_down(1.0)


def test_a_trial_that_succeeds_closes_the_circuit() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    made.opened(server)
    change = made.succeeded(server)
    assert change == Change("a", 25, Circuit.HALF_OPEN, Circuit.CLOSED, 0, 0.0)
    assert made.candidates("x.org", 1.0) == [server]
    assert made.closed(server) is None
    assert made.due(1.0) == []


def test_each_trial_that_fails_doubles_the_wait_up_to_a_minute() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    now, waits = 0.0, []
    for _ in range(9):
        waits.append(made.status(now)[0].retry_seconds)
        now += waits[-1]
        assert not made.usable(server, now - 0.001)
        assert made.usable(server, now)
        made.opened(server)
        change = made.failed(server, now)
        assert change is not None
        assert (change.before, change.after) == (Circuit.HALF_OPEN, Circuit.OPEN)
        assert made.closed(server) is None
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_after_a_recovery_the_waits_begin_anew() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    made.opened(server)
    made.failed(server, 1.0)
    made.opened(server)
    made.succeeded(server)
    assert fail(made, server, 9.0, 9.0) is None
    change = made.failed(server, 9.0)
    assert change is not None
    assert change.wait_seconds == 1.0


def test_sessions_from_before_do_not_make_the_wait_longer() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    assert fail(made, server, 0.5, 0.6, 0.7) is None
    assert made.usable(server, 1.0)


def test_a_session_from_before_that_succeeds_closes_the_circuit() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    change = made.succeeded(server)
    assert change is not None
    assert change.before is Circuit.OPEN
    assert made.usable(server, 0.0)


def test_a_trial_that_ends_without_a_result_leaves_it_to_the_next() -> None:
    made, server = one()
    fail(made, server, 0.0, 0.0, 0.0)
    made.opened(server)
    change = made.closed(server)  # the client went away while we were connecting
    assert change is not None
    assert (change.before, change.after) == (Circuit.HALF_OPEN, Circuit.OPEN)
    assert made.usable(server, 1.0)


def test_a_trial_among_older_sessions_is_waited_for_a_minute_and_no_longer() -> None:
    made, server = one()
    made.opened(server)  # long since busy with a message
    fail(made, server, 0.0, 0.0, 0.0)
    made.opened(server)
    assert made.closed(server) is None  # which of the two, nobody can say
    assert not made.usable(server, 5.0)
    assert not made.usable(server, 64.9)
    assert made.usable(server, 65.0)
    assert made.opened(server) is None  # the next trial is no change of state
    assert not made.usable(server, 65.0)
    assert not made.usable(server, 124.9)
    assert made.usable(server, 125.0)


def test_a_server_that_is_down_is_left_out_and_tried_in_its_place_when_due() -> None:
    made, (main, spare) = backends(BackendRule("main", 25, 1), BackendRule("spare", 25, 2))
    fail(made, main, 0.0, 0.0, 0.0)
    assert made.candidates("x.org", 0.5) == [spare]
    assert not made.all_down(0.5)
    assert made.candidates("x.org", 1.0) == [main, spare]
    made.opened(main)
    assert made.candidates("x.org", 1.0) == [spare]


def test_when_all_are_down_only_what_is_due_is_tried() -> None:
    made, (a, b) = backends(BackendRule("a", 25), BackendRule("b", 25))
    fail(made, a, 0.0, 0.0, 0.0)
    fail(made, b, 0.7, 0.7, 0.7)
    assert made.candidates("x.org", 0.9) == []
    assert made.candidates("x.org", 1.0) == [a]
    assert not made.all_down(1.0)
    made.opened(a)
    assert made.candidates("x.org", 1.6) == []
    assert made.candidates("x.org", 1.7) == [b]


def test_one_servers_failures_are_not_anothers() -> None:
    made, (a, b) = backends(BackendRule("a", 25), BackendRule("b", 25))
    made.failed(a, 0.0)
    made.failed(b, 0.0)
    assert made.failed(a, 0.0) is None
    assert made.failed(b, 0.0) is None
    assert made.candidates("x.org", 0.0) == [a, b]


# ---- what is shown


def test_changes_say_what_happened_and_whether_it_is_news() -> None:
    made, server = one()
    changes = [fail(made, server, 0.0, 0.0, 0.0), made.opened(server), made.failed(server, 1.0)]
    changes += [made.opened(server), made.succeeded(server)]
    told = [(str(change), change.news) for change in changes if change is not None]
    assert told == [
        ("mail server a port 25 is not used for 1 s: failed 3 times in a row", True),
        ("mail server a port 25 is tried once more", False),
        ("mail server a port 25 is not used for 2 s: failed 4 times in a row", False),
        ("mail server a port 25 is tried once more", False),
        ("mail server a port 25 is used again", True),
    ]


def test_the_status_shows_every_server_in_the_order_of_the_rules() -> None:
    made, (b, a) = backends(BackendRule("b", 25, 2), BackendRule("a", 26, 1))
    made.opened(b)
    made.failed(b, 0.0)
    fail(made, a, 10.0, 10.0, 10.0)
    shown_b = BackendStatus("b", 25, Circuit.CLOSED, 1, 1, 0.0)
    assert made.status(10.25) == [shown_b, BackendStatus("a", 26, Circuit.OPEN, 0, 3, 0.75)]
    assert made.status(99.0)[1] == BackendStatus("a", 26, Circuit.OPEN, 0, 3, 0.0)
    made.opened(a)
    assert made.status(10.25)[1] == BackendStatus("a", 26, Circuit.HALF_OPEN, 1, 3, 0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["try", "close", "succeed", "fail"]),
        st.integers(0, 2),
        st.floats(0.0, 90.0),
    ),
    max_size=60,
)


@settings(max_examples=50)
@given(STEPS)
def test_whatever_happens_no_server_is_away_for_longer_than_a_minute_without_a_trial(
    steps: list[tuple[str, int, float]],
) -> None:
    made, servers = backends(*(BackendRule(name, 25) for name in "abc"))
    now = 0.0
    for what, number, pause in steps:
        now += pause
        server = servers[number]
        usable = [other for other in servers if made.usable(other, now)]
        assert set(made.candidates("x.org", now)) == set(usable)
        assert made.all_down(now) is not any(usable)
        match what:
            case "try" if server in usable:
                made.opened(server)
                status = made.status(now)[number]
                assert made.usable(server, now) is (status.circuit is Circuit.CLOSED)
            case "close":
                made.closed(server)
            case "succeed":
                made.succeeded(server)
                assert made.usable(server, now)
            case "fail":
                made.failed(server, now)
    assert all(status.sessions >= 0 and status.retry_seconds <= 60 for status in made.status(now))
    for server in servers:
        made.usable(server, now)
        assert made.usable(server, now + 60.0)
