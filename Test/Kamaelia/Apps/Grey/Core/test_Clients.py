"""Clients: who is known as a whole, and who is not although some of it passes."""

import doctest
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Clients import HOUR, PATIENCE, Clients, client_triplet
from Kamaelia.Apps.Grey.Core.Merge import merge
from Kamaelia.Apps.Grey.Core.Types import Record, Triplet

FIVE = Clients(passes=5, abuse=50)
DAY = 86_400


class History:
    """A client whose tries come in; each that comes back does after five minutes."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.record: Record | None = None

    def tried(self, now: int, *, comes_back: bool) -> None:
        self._keep(self.clients.after_first_try(self.record, now, 60))
        if comes_back:
            self._keep(self.clients.after_pass(self.record, now, now + 300, DAY))

    def _keep(self, news: Record | None) -> None:
        if news is not None:
            self.record = news if self.record is None else merge(self.record, news)

    @property
    def known(self) -> bool:
        return self.clients.is_known(self.record)


def test_five_passes_in_five_hours_make_a_client_known() -> None:
    history = History(FIVE)
    for hour in range(5):
        assert not history.known
        history.tried(1000 + hour * 2 * HOUR, comes_back=True)
    assert history.known
    assert history.record is not None
    assert (history.record.passed, history.record.deferred) == (5, 5)


def test_a_hundred_in_one_hour_are_one() -> None:
    history = History(FIVE)
    for number in range(100):
        history.tried(1000 + number * 30, comes_back=True)
    assert history.record is not None
    assert history.record.passed == 1


@pytest.mark.parametrize(("share", "known"), [(2, False), (3, False), (6, True)])
def test_who_sends_much_that_never_comes_back_is_not_known(share: int, known: bool) -> None:
    """One of `share` never comes back; so many samples are needed, of which half must pass."""
    history = History(Clients(passes=5, abuse=33))
    for number in range(60):
        history.tried(1000 + number * 5 * HOUR, comes_back=number % share != 0)
    assert history.known is known


def test_what_passes_in_between_says_nothing_about_the_sample() -> None:
    history = History(FIVE)
    for number in range(1000):  # one an hour that fails, and then one that passes
        history.tried(1000 + number * HOUR, comes_back=False)
        history.tried(1001 + number * HOUR, comes_back=True)
    assert not history.known
    assert history.record is not None
    assert history.record.passed == 0


def test_a_sample_that_waits_has_not_failed_yet() -> None:
    clients = Clients(passes=2, abuse=50)
    history = History(clients)
    history.tried(1000, comes_back=True)
    history.tried(1000 + 2 * HOUR, comes_back=True)
    history.tried(1000 + 4 * HOUR, comes_back=False)
    assert history.known
    history.tried(1000 + 4 * HOUR + PATIENCE - 1, comes_back=False)
    assert history.record is not None
    assert history.record.deferred == 3  # still the same one
    history.tried(1000 + 4 * HOUR + PATIENCE, comes_back=False)
    assert history.record.deferred == 4


def test_after_a_lazy_first_pass_nobody_asks_further() -> None:
    lazy = Clients(passes=1, abuse=1)
    record = lazy.after_pass(None, begun=1000, now=1300, pass_seconds=DAY, generation=3)
    assert record == Record(3, 1000, 1300, 1300, 1, 1, 1000, 1300 + DAY)
    assert lazy.is_known(record)
    assert record is not None
    assert lazy.after_pass(record, 1301, 1302, DAY) is None
    later = lazy.after_pass(record, 1301, 1300 + 2 * HOUR, DAY)
    assert later is not None
    assert (later.passed, later.until) == (1, 1300 + 2 * HOUR + DAY)
    waiting = lazy.after_first_try(None, 1000, 60)
    assert waiting is not None
    assert lazy.is_known(lazy.after_pass(waiting, 900, 1100, DAY))


def test_passes_without_a_sample_do_not_count() -> None:
    assert FIVE.after_pass(None, 1000, 1100, DAY) is None
    sample = FIVE.after_first_try(None, 1000, 60)
    assert FIVE.after_pass(sample, 1001, 1100, DAY) is None


def test_a_hit_renews_it_now_and_then() -> None:
    record = Record(0, 1000, 1300, 1300, 1, 5, 1060, 1300 + DAY)
    assert FIVE.after_hit(record, 1300, DAY) is None
    renewed = FIVE.after_hit(record, 1300 + DAY // 2, DAY)
    assert renewed is not None
    assert renewed.until == 1300 + DAY // 2 + DAY
    assert FIVE.after_hit(record, 1400, 50) is None  # a shorter one takes nothing back


def test_off_means_nobody_is_known() -> None:
    assert not Clients(0, 50).is_known(Record(0, 0, 0, 0, 0, 99))
    assert not FIVE.is_known(None)


def test_a_generation_goes_on_where_it_is_told() -> None:
    begun = FIVE.after_first_try(None, 1000, 60, generation=4)
    assert begun == Record.started(1000, 4, 60)


def test_the_record_of_a_client_is_of_no_mail() -> None:
    assert client_triplet("192.0.2.0/24") == Triplet("192.0.2.0/24", "", "")


@given(
    st.lists(st.tuples(st.integers(0, 9 * HOUR), st.booleans()), max_size=60),
    st.integers(1, 6),
    st.integers(1, 100),
)
def test_no_more_pass_than_are_taken_and_at_most_one_an_hour(
    tries: list[tuple[int, bool]], passes: int, abuse: int
) -> None:
    history, now = History(Clients(passes, abuse)), 1000
    for gap, comes_back in tries:
        now += gap
        history.tried(now, comes_back=comes_back)
    record = history.record
    if record is not None:
        assert 0 <= record.passed <= record.deferred
        assert record.passed <= 1 + (now + 300 - 1000) // HOUR
        assert not history.known or record.passed >= passes


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[Clients.__module__])
    assert result.attempted
    assert not result.failed
