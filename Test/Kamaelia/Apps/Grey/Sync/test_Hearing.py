"""What the lines of a peer mean, and how many it may send."""

import pytest

from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Sync.Hearing import HOUR, Hearing, date_of
from Kamaelia.Support.Protocol.MXSync.Commands import Add, Delete, Flush
from Kamaelia.Support.Protocol.SMTP.Mailbox import mailbox
from Test.Kamaelia.Apps.Grey.Sync.machines import triplet_of

NOW = 1_795_290_000
LIFETIMES = Lifetimes(24 * 3600, 36 * 24 * 3600)


def hearing(most: int = 1_000) -> Hearing:
    return Hearing(triplet_of, LIFETIMES, 60, most)


def test_a_line_is_about_our_own_kind_of_key() -> None:
    add = Add("192.0.2.30", "<Joe@Example.org>", "<b@example.net>", NOW)
    assert hearing().triplet(add) == triplet_of("192.0.2.1", "joe@example.org", "b@example.net")
    assert hearing().network(Flush("192.0.2.30")) == "192.0.2.0/24"


def test_senders_without_brackets_and_bounces_are_as_good() -> None:
    for sender in ("<>", "joe@example.org"):
        triplet = hearing().triplet(Add("192.0.2.30", sender, "b@example.net", NOW))
        assert triplet == triplet_of("192.0.2.30", sender.strip("<>"), "b@example.net")


@pytest.mark.parametrize("recipient", ["<>", "<", "<<>>"])
def test_no_peer_has_a_say_in_what_is_thought_of_a_client(recipient: str) -> None:
    assert hearing().triplet(Delete("192.0.2.30", "<>", recipient, NOW, NOW + 900)) is None


@pytest.mark.parametrize("recipient", ["<(x)>", "<@x:>", "(x)", '<"">'])
def test_nor_has_it_one_in_what_only_looks_like_a_recipient(recipient: str) -> None:
    def keyed(client: str, sender: str, recipient: str) -> Triplet:
        return triplet_of(client, mailbox(sender), mailbox(recipient))

    hearing = Hearing(keyed, LIFETIMES, 60)
    assert hearing.triplet(Delete("192.0.2.30", "<>", recipient, NOW, NOW + 900)) is None


def test_an_address_that_a_milter_greylist_had_to_change_is_nobody() -> None:
    """ "b c"@x becomes "b_c"@x there: without the quotes that is a real sender."""
    for sender, recipient in (('<"b_c"@x.org>', "<d@e>"), ("<d@e>", '"b_c"@x.org')):
        assert hearing().triplet(Delete("192.0.2.30", sender, recipient, NOW, NOW + 900)) is None
    for plain in ("<b_c@x.org>", '<"b@c_d"@x.org>'):
        assert hearing().triplet(Delete("192.0.2.30", plain, "<d@e>", NOW, NOW + 900)) is not None


def test_an_add_makes_wait_and_a_delete_lets_pass() -> None:
    add = Add("192.0.2.30", "<a@b>", "<c@d>", NOW + 60)
    record = hearing().record(add, None, NOW, "mx2")
    assert record == Record(0, NOW, NOW, None, 1, 0, due=NOW + 60)
    assert date_of(add, record) == NOW + 60
    delete = Delete("192.0.2.30", "<a@b>", "<c@d>", NOW + 60, NOW + 900)
    passed = hearing().record(delete, record, NOW + 61, "mx2")
    assert passed is not None
    assert (passed.until, date_of(delete, passed)) == (NOW + 900, NOW + 900)
    assert hearing().record(add, passed, NOW + 62, "mx2") is None


def test_the_date_of_a_delete_need_not_be_the_one_that_we_know() -> None:
    known = Record(0, NOW - 60, NOW - 60, None, 1, 0, due=NOW)
    delete = Delete("192.0.2.30", "<a@b>", "<c@d>", NOW + 12_345, NOW + 99_999)
    passed = hearing().record(delete, known, NOW + 1, "mx2")
    assert passed is not None
    assert passed.until == NOW + 99_999


def test_a_time_far_ahead_is_not_believed_and_said_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = hearing()
    lie = Add("192.0.2.30", "<a@b>", "<c@d>", NOW + 30 * 24 * 3600)
    for seconds in (0, 1, 59):
        assert told.record(lie, None, NOW + seconds, "mx2") is None
    assert caplog.messages == [
        "peer mx2 speaks of a time 30 days ahead, which is not believed",
    ]
    told.record(lie, None, NOW + 60, "mx2")
    assert len(caplog.messages) == 2


def test_one_peer_may_say_so_much_in_an_hour_and_others_still_as_much(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = hearing(most=3)
    assert [told.admit("mx2", 100.0 + n) for n in range(5)] == [True, True, True, False, False]
    assert told.admit("mx3", 105.0)
    assert caplog.messages == ["peer mx2 has sent 3 records in an hour, no more is taken"]
    assert told.admit("mx2", 100.0 + HOUR)


def test_of_those_that_are_no_peers_any_more_nothing_is_kept() -> None:
    told = hearing(most=1)
    assert told.admit("mx2", 0.0)
    told.keep_only(frozenset({"mx3"}))
    assert told._counts == {}
