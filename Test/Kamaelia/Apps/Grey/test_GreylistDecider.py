"""GreylistDecider: decisions in order, each with its reason, also when the store is slow."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Axon.AtOnce import act_at_once
from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import FakeClock, drive, step, virtual_scheduler
from Kamaelia.Apps.Grey.Core.Access.Subject import Mail, Session, Subject
from Kamaelia.Apps.Grey.Core.Networks import Networks
from Kamaelia.Apps.Grey.Core.Normalise import triplet_of
from Kamaelia.Apps.Grey.Core.Types import (
    Addressee,
    Answer,
    Attempt,
    Decided,
    Decision,
    FailMode,
    Policy,
    Query,
    Reason,
    Record,
    Remember,
    Triplet,
    Verdict,
)
from Kamaelia.Apps.Grey.GreylistDecider import ANSWER_SECONDS, GreylistDecider
from Kamaelia.Apps.Grey.Store.Memory import MemoryStore
from Kamaelia.Apps.Grey.Store.StoreService import StoreService
from Test.Kamaelia.shutdown import Ends

NOW = 1_740_812_400.25
POLICY = Policy(
    delay_seconds=60,
    allowed_senders=Networks([ip_network("127.0.0.1/32")]),
    allowed_domains=frozenset({"example.org"}),
)


def attempt(
    name: str, client: str = "192.0.2.7", reply_to: tuple[Addressee, str] | None = None
) -> Attempt:
    return Attempt(
        client,
        "mx",
        "a@example.net",
        f"{name}@example.org",
        "k3f9",
        name,
        "example.org",
        reply_to=reply_to,
    )


def triplet(name: str) -> Triplet:
    return triplet_of(attempt(name), POLICY)


class FakeStore(component):
    """In place of the StoreService: answers from a dict, in the way the test wants."""

    def __init__(self, known: dict[Triplet, Record] | None = None) -> None:
        super().__init__()
        self.known = dict(known or {})
        self.asked: list[Triplet] = []
        self.remembered: dict[Triplet, Record] = {}
        self.silent = self.failing = self.backwards = False
        self.delay = 0.0

    def main(self) -> Iterator[object]:
        while True:
            while not self.anyReady():
                self.pause()
                yield 1
            queries = []
            for request in self.Inbox("inbox"):
                if isinstance(request, Query):
                    queries.append(request)
                    self.asked.append(request.triplet)
                elif isinstance(request, Remember):
                    self.remembered[request.triplet] = request.record
            if self.delay and queries:
                self.pause(self.delay)
                yield 1
            for query in reversed(queries) if self.backwards else queries:
                if not self.silent:
                    self.answer(query)

    def answer(self, query: Query) -> None:
        addressee, boxname = query.reply_to
        record = None if self.failing else self.known.get(query.triplet)
        addressee.inboxes[boxname].deliver(Answer(query.triplet, record, failed=self.failing))


class Listener(component):
    """Takes what one outbox sends; never active, so it stays in the box until the test looks."""

    def __init__(self, sender: component, boxname: str) -> None:
        super().__init__()
        self.link((sender, boxname), (self, "inbox"))
        self._heard: list[object] = []

    @property
    def heard(self) -> list[object]:
        self._heard.extend(self.Inbox("inbox"))
        return self._heard


class Run:
    """A decider, a store and a clock, run until nothing happens any more."""

    def __init__(
        self,
        store: component | None = None,
        policy: Policy = POLICY,
        listen: tuple[str, ...] = ("outbox", "signal", "log"),
    ) -> None:
        self.mono = FakeClock(1000.0)
        self.since = NOW  # the wall clock, when the monotonic one is at 1000
        self.runner = virtual_scheduler(self.mono)
        self.store = store if store is not None else FakeStore()
        self.decider = GreylistDecider(policy, self.store, self.wall_time)
        self.out = {name: Listener(self.decider, name) for name in listen}

    def go(self, *attempts: Attempt, control: tuple[object, ...] = (producerFinished(),)) -> "Run":
        for one in attempts:
            self.decider.inboxes["inbox"].deliver(one)
        for message in control:
            self.decider.inboxes["control"].deliver(message)
        self.store.activate(Scheduler=self.runner)
        self.decider.activate(Scheduler=self.runner)
        self.runner.runThreads()
        return self

    def wall_time(self) -> float:
        return self.since + self.mono() - 1000.0

    @property
    def decided_after(self) -> list[float]:
        """The seconds from the start to each decision, as the log has them."""
        heard = self.out["log"].heard
        return [decided.now - self.since for decided in heard if isinstance(decided, Decided)]

    @property
    def decisions(self) -> list[Decision]:
        heard = self.out["outbox"].heard
        return [decision for decision in heard if isinstance(decision, Decision)]

    @property
    def reasons(self) -> list[Reason]:
        return [decision.reason for decision in self.decisions]


def test_a_stranger_is_deferred_and_remembered() -> None:
    store = FakeStore()
    run = Run(store).go(attempt("b"))
    (decision,) = run.decisions
    assert (decision.verdict, decision.reason) == (Verdict.DEFER, Reason.NEW)
    assert decision.wait_seconds == 60
    assert store.remembered == {triplet("b"): Record.started(int(NOW), delay=60)}


def test_its_retry_gets_in() -> None:
    store = FakeStore({triplet("b"): Record.started(int(NOW) - 60, delay=60)})
    run = Run(store).go(attempt("b"))
    (decision,) = run.decisions
    assert (decision.verdict, decision.reason) == (Verdict.PASS, Reason.RETRIED)
    assert decision.waited_seconds == 60
    assert store.remembered[triplet("b")].passed_at == int(NOW)


@pytest.mark.parametrize(
    ("session", "reason"),
    [
        (Session("192.0.2.7", macros={"greylist": "WHITE"}), Reason.ACCESS_MAP),
        (Session("192.0.2.7", tls_subject="/CN=mx"), Reason.CERTIFICATE),
        (Session("192.0.2.7", auth_user="anna"), Reason.AUTHENTICATED),
        (Session("192.0.2.7"), Reason.NEW),
    ],
)
def test_what_a_door_says_of_a_client_counts_without_rules_too(
    session: Session, reason: Reason
) -> None:
    subject = Subject(session, Mail("<a@example.net>"), "<b@example.org>", now=0.0)
    assert Run().go(replace(attempt("b"), subject=subject, mta=True)).reasons == [reason]


def test_the_store_is_asked_only_when_it_must_be() -> None:
    store = FakeStore()
    relay = replace(attempt("b"), recipient_domain="foreign.example")
    run = Run(store).go(attempt("b", client="127.0.0.1"), relay)
    assert run.reasons == [Reason.ALLOWED_SENDER, Reason.RELAY_DENIED]
    assert store.asked == []
    assert store.remembered == {}


def test_decisions_for_one_box_keep_the_order_of_its_attempts() -> None:
    store = FakeStore({triplet("c"): Record.started(int(NOW) - 60, delay=60)})
    store.backwards = True
    run = Run(store).go(attempt("b"), attempt("x", client="127.0.0.1"), attempt("c"), attempt("d"))
    assert run.reasons == [Reason.NEW, Reason.ALLOWED_SENDER, Reason.RETRIED, Reason.NEW]
    assert [decision.triplet for decision in run.decisions if decision.triplet] == [
        triplet("b"),
        triplet("c"),
        triplet("d"),
    ]
    assert run.decided_after == [0.0] * 4


def test_the_same_recipient_twice_is_decided_twice() -> None:
    run = Run().go(attempt("b"), attempt("b"))
    assert run.reasons == [Reason.NEW, Reason.NEW]


def test_each_decision_is_told_to_the_log_with_its_attempt_and_time() -> None:
    run = Run().go(attempt("b"), attempt("x", client="127.0.0.1"))
    assert run.out["log"].heard == [
        Decided(attempt("b"), run.decisions[0], NOW),
        Decided(attempt("x", client="127.0.0.1"), run.decisions[1], NOW),
    ]


@pytest.mark.parametrize(
    ("mode", "verdict"), [(FailMode.ACCEPT, Verdict.PASS), (FailMode.DEFER, Verdict.DEFER)]
)
def test_a_store_that_says_it_failed_means_what_the_policy_says(
    mode: FailMode, verdict: Verdict
) -> None:
    store = FakeStore()
    store.failing = True
    run = Run(store, replace(POLICY, store_failure=mode)).go(attempt("b"))
    (decision,) = run.decisions
    assert (decision.verdict, decision.reason) == (verdict, Reason.STORE_FAILED)
    assert store.remembered == {}


def test_a_store_that_says_nothing_has_failed_after_two_seconds() -> None:
    store = FakeStore()
    store.silent = True
    run = Run(store).go(attempt("b"), attempt("x", client="127.0.0.1"), attempt("c"))
    assert run.reasons == [Reason.STORE_FAILED, Reason.ALLOWED_SENDER, Reason.STORE_FAILED]
    assert run.decided_after == [ANSWER_SECONDS] * 3


def test_an_answer_just_in_time_is_taken() -> None:
    store = FakeStore()
    store.delay = ANSWER_SECONDS - 0.1
    assert Run(store).go(attempt("b")).reasons == [Reason.NEW]


def test_an_answer_that_comes_too_late_is_let_go() -> None:
    store = FakeStore()
    store.delay = ANSWER_SECONDS + 1
    run = Run(store).go(attempt("b"), control=())  # stays, so the answer finds somebody
    assert run.reasons == [Reason.STORE_FAILED]
    assert run.decided_after == [ANSWER_SECONDS]
    assert run.mono() >= 1000.0 + store.delay  # it did come
    assert store.remembered == {}


def test_a_late_answer_serves_the_next_attempt_of_that_triplet() -> None:
    class LateByOne(FakeStore):
        """Answers a query only when the next one comes."""

        late: Query | None = None

        def answer(self, query: Query) -> None:
            if self.late is not None:
                super().answer(self.late)
            self.late = query

    class TriesAgain(component):
        """A client that tries the same recipient again as soon as it is told about the first."""

        def main(self) -> Iterator[object]:
            self.link((run.decider, "log"), (self, "inbox"))
            self.link((self, "outbox"), (run.decider, "inbox"))
            while not self.dataReady("inbox"):
                self.pause()
                yield 1
            self.send(attempt("b"), "outbox")
            self.send(attempt("c"), "outbox")

    store = LateByOne()
    run = Run(store, listen=("outbox",))
    TriesAgain().activate(Scheduler=run.runner)
    run.go(attempt("b"), control=())
    # The second "b" gets the answer to the first one's query, and nothing is left for "c".
    assert run.reasons == [Reason.STORE_FAILED, Reason.NEW, Reason.STORE_FAILED]


def test_answers_that_nobody_asked_for_are_let_go() -> None:
    run = Run()
    run.decider.inboxes["answers"].deliver(Answer(triplet("z")))
    assert run.go(attempt("b")).reasons == [Reason.NEW]


def test_what_came_before_producer_finished_is_still_decided() -> None:
    store = FakeStore()
    store.delay = 1.0
    stop = producerFinished()
    run = Run(store).go(attempt("b"), attempt("c"), control=(stop,))
    assert run.reasons == [Reason.NEW, Reason.NEW]
    assert run.out["signal"].heard == [stop]


def test_shutdown_ends_it_at_once() -> None:
    store = FakeStore()
    store.silent = True
    stop = shutdownMicroprocess()
    run = Run(store).go(attempt("b"), control=("hello", stop))
    assert run.decisions == []
    assert run.out["signal"].heard == ["hello", stop]
    assert run.mono() == 1000.0


def test_after_its_end_nothing_of_it_is_left_at_the_store() -> None:
    run = Run().go(attempt("b"))
    assert run.decider.outboxes["query"].target is None
    assert not run.store.inboxes["inbox"].sources


def test_a_store_service_that_has_ended_is_a_store_that_failed() -> None:
    service = StoreService(MemoryStore, POLICY.lifetimes)
    drive(service, control=[producerFinished()])
    assert Run(service).go(attempt("b")).reasons == [Reason.STORE_FAILED]


def test_a_thousand_recipients_in_one_packet_are_decided_in_order() -> None:
    names = [f"user{number:04}" for number in range(1000)]
    run = Run().go(*(attempt(name) for name in names))
    assert [decision.triplet for decision in run.decisions] == [triplet(name) for name in names]


def test_with_the_real_service_a_retry_gets_in_and_the_third_is_known() -> None:
    store = MemoryStore()
    reasons = []
    for waited in (0, 61, 1000):
        service = StoreService(lambda: store, POLICY.lifetimes)
        run = Run(service, listen=("outbox",))
        run.since += waited
        run.decider.link((run.decider, "signal"), (service, "control"))
        reasons += run.go(attempt("b")).reasons
    assert reasons == [Reason.NEW, Reason.RETRIED, Reason.KNOWN]


# --- many askers, one decider ---


class Box:
    """A box that keeps what it gets; or one that is full."""

    def __init__(self, *, full: bool = False) -> None:
        self.got: list[Decision] = []
        self.full = full

    def deliver(self, message: object) -> None:
        if self.full:
            raise noSpaceInBox(1, 1)
        assert isinstance(message, Decision)
        self.got.append(message)


class Asker:
    def __init__(self, *, full: bool = False) -> None:
        self.box = Box(full=full)
        self.inboxes = {"decision": self.box}

    def attempt(self, name: str, client: str = "192.0.2.7") -> Attempt:
        return attempt(name, client, reply_to=(self, "decision"))

    @property
    def reasons(self) -> list[Reason]:
        return [decision.reason for decision in self.box.got]


class AtOnceStore(FakeStore):
    """Answers what it knows in the moment of the question, the rest by and by."""

    def __init__(self, known: dict[Triplet, Record] | None = None) -> None:
        super().__init__(known)
        self.later: list[Query] = []
        act_at_once(self, "inbox", self.take)

    def take(self, request: object) -> None:
        if isinstance(request, Remember):
            self.remembered[request.triplet] = request.record
        elif isinstance(request, Query) and request.triplet in self.known:
            self.answer(request)
        elif isinstance(request, Query):
            self.later.append(request)

    def main(self) -> Iterator[object]:
        self.pause()
        yield 1


def running(
    store: component, policy: Policy = POLICY
) -> tuple[GreylistDecider, Callable[[Attempt], None]]:
    """A decider in the midst of its life, and what sends to it."""
    decider = GreylistDecider(policy, store, lambda: NOW)
    step(decider)
    return decider, decider.inboxes["inbox"].deliver


def test_what_memory_can_answer_is_decided_when_the_sending_returns() -> None:
    asker = Asker()
    store = AtOnceStore({triplet("b"): Record.started(int(NOW) - 60, delay=60)})
    _, send = running(store)
    send(asker.attempt("b"))
    assert asker.reasons == [Reason.RETRIED]
    send(asker.attempt("x", client="127.0.0.1"))
    assert asker.reasons == [Reason.RETRIED, Reason.ALLOWED_SENDER]
    assert store.remembered[triplet("b")].passed_at == int(NOW)


def test_nobody_waits_for_what_another_has_asked() -> None:
    slow, quick = Asker(), Asker()
    store = AtOnceStore({triplet("c"): Record.started(int(NOW) - 60, delay=60)})
    _, send = running(store)
    send(slow.attempt("b"))
    send(slow.attempt("c"))
    send(quick.attempt("c"))
    assert (slow.reasons, quick.reasons) == ([], [Reason.RETRIED])
    store.answer(store.later.pop())
    assert slow.reasons == [Reason.NEW, Reason.RETRIED]  # in the order of its attempts


def test_two_who_ask_for_the_same_are_both_told() -> None:
    first, second = Asker(), Asker()
    store = AtOnceStore()
    decider, send = running(store)
    send(first.attempt("b"))
    send(second.attempt("b"))
    for query in store.later:
        store.answer(query)
    assert first.reasons == second.reasons == [Reason.NEW]
    assert not decider._open
    assert not decider._asking


def test_a_full_box_of_one_asker_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    full, sound = Asker(full=True), Asker()
    store = AtOnceStore({triplet("d"): Record.started(int(NOW), delay=60)})
    _, send = running(store)
    send(full.attempt("b"))
    send(sound.attempt("c"))
    for query in store.later:
        store.answer(query)
    assert sound.reasons == [Reason.NEW]
    assert "full" in caplog.text
    with pytest.raises(noSpaceInBox):
        send(full.attempt("d"))
    send(sound.attempt("d"))
    assert sound.reasons == [Reason.NEW, Reason.TOO_EARLY]


@pytest.mark.parametrize("known", [True, False])
def test_a_box_that_is_none_harms_nobody_else(
    known: bool, caplog: pytest.LogCaptureFixture
) -> None:
    store = AtOnceStore({triplet("b"): Record.started(int(NOW), delay=60)} if known else {})
    decider, send = running(store)
    send(attempt("b", reply_to=(Asker(), "nowhere")))
    for query in store.later:
        store.answer(query)
    asker = Asker()
    send(asker.attempt("x", client="127.0.0.1"))
    assert asker.reasons == [Reason.ALLOWED_SENDER]
    assert "which there is not" in caplog.text
    assert not decider._open


def test_more_than_so_many_are_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("Kamaelia.Apps.Grey.GreylistDecider.PENDING_LIMIT", 3)
    askers = [Asker() for _ in range(5)]
    _, send = running(AtOnceStore())
    for asker in askers:
        send(asker.attempt("b"))
    assert [asker.reasons for asker in askers] == [[]] * 3 + [[Reason.STORE_FAILED]] * 2


texts = st.text(st.characters(), max_size=20)


@settings(max_examples=50)
@given(st.lists(st.builds(Attempt, *[texts] * 7, st.booleans()), max_size=5))
def test_no_attempt_can_raise_in_its_senders_turn(attempts: list[Attempt]) -> None:
    asker = Asker()
    store = AtOnceStore()
    _, send = running(store, replace(POLICY, allowed_domains=frozenset({"example.org", "0"})))
    for one in attempts:
        send(replace(one, reply_to=(asker, "decision")))
    for query in store.later:
        store.answer(query)
    assert len(asker.reasons) == len(attempts)


def test_one_network_cannot_fill_the_store_and_the_known_still_pass() -> None:
    """Row 15: a hundred thousand senders from one address."""
    service = StoreService(MemoryStore, POLICY.lifetimes, lambda: NOW)
    decider = GreylistDecider(replace(POLICY, new_per_network=1000), service, lambda: NOW)
    times = (int(NOW) - 900, int(NOW) - 60, int(NOW) - 60)
    known = Record(0, *times, 1, 1, due=int(NOW) - 840, until=int(NOW) + 900)
    asker = Asker()

    class Flood(component):
        def main(self) -> Iterator[object]:
            send = decider.inboxes["inbox"].deliver
            self.link((decider, "log"), (self, "inbox"))
            send(asker.attempt("first"))
            while not service.complete:
                self.pause()
                yield 1
            service.inboxes["inbox"].deliver(Remember(triplet("known"), known))
            for number in range(100_000):
                send(asker.attempt(f"u{number}"))
            assert asker.reasons == [Reason.NEW] * 1000 + [Reason.TOO_MANY] * 99_001
            assert {decision.verdict for decision in asker.box.got} == {Verdict.DEFER}
            assert service.in_memory == 1001
            asker.box.got.clear()
            send(asker.attempt("known"))
            send(asker.attempt("u500"))
            send(asker.attempt("u5", client="203.0.113.9"))
            decider.inboxes["control"].deliver(producerFinished())

    drive_all(decider, service, Flood())
    assert asker.reasons == [Reason.KNOWN, Reason.TOO_EARLY, Reason.NEW]


def drive_all(decider: GreylistDecider, service: StoreService, *others: component) -> None:
    runner = virtual_scheduler()
    decider.link((decider, "signal"), (service, "control"))
    for one in (service, decider, *others):
        one.activate(Scheduler=runner)
    runner.runThreads()


SHUTDOWN = {GreylistDecider: Ends(lambda: GreylistDecider(POLICY, FakeStore()))}
