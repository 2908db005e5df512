"""Dump: milter-greylist's text comes in, and what goes out is text of its kind."""

import doctest
import re
import sys
from datetime import UTC
from itertools import count, islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Core.Normalise import fold_address, network_of
from Kamaelia.Apps.Grey.Core.Types import Lifetimes, Record, Triplet
from Kamaelia.Apps.Grey.Store.Dump import BadLine, read_dump, write_dump

NOW = 1_795_289_596
# As 4.6.2 has written it (Docs/operating/migrating.md); the third pending one is ours.
DUMP_46 = """\
#
# milter-greylist databases, dumped by milter-greylist-4.6.2 on 2026-11-21 19:33:16.
# DO NOT EDIT while milter-greylist is running, changes will be overwritten.
#


#
# stored tuples
#
# Sender IP\tSender e-mail\tRecipient e-mail\tTime accepted\tUnsuccessful shortest tarpit
192.0.2.10\t<s@example.org>\t<r@example.net>\t1795289655 AUTO # 2026-11-21 19:34:15
192.0.2.10\t<s@example.org>\t<r2@example.net>\t1795289598 # 2026-11-21 19:33:18
192.0.2.13\t<>\t<r@example.net>\t1795289599 # 2026-11-21 19:33:19
2001:db8::5\t<s@example.org>\t<r@example.net>\t1795289600 # 2026-11-21 19:33:20
#
# Summary: 4 records, 3 greylisted, 1 whitelisted, 0 tarpitted
#
"""
DUMP_30 = """\
#
# greylisted tuples
#
# Sender IP  Sender e-mail  Recipient e-mail  Time accepted
192.0.2.13 <s@example.org>   <R@Example.NET>\t\t1795289599
192.0.2.13 =b@example.org>   <r@example.net> 1795289599 # 2026-11-21 19:33:19


#
# Auto-whitelisted tuples
#
# Sender IP  Sender e-mail  Recipient e-mail  Expire
192.0.2.10 <s@example.org> <r@example.net> 1795289655 auto
#
# Summary:  3 records, 2 greylisted, 1 whitelisted
#
"""


def good(text: str, **how: int) -> list[tuple[Triplet, Record]]:
    found = list(read_dump(text.splitlines(keepends=True), **how))
    assert not [one for one in found if isinstance(one, BadLine)]
    return [one for one in found if not isinstance(one, BadLine)]


def bad(line: str) -> str:
    (found,) = read_dump([line])
    assert isinstance(found, BadLine)
    return found.why


def lines_of(triplet: Triplet, record: Record, **how: bool) -> list[str]:
    lines = write_dump([(triplet, record)], NOW, "x", zone=UTC, **how)  # type: ignore[arg-type]
    return list(lines)[10:-3]


WAITING = Record(0, NOW, NOW, None, 1, 0, due=NOW + 2)
KNOWN = Record(3, NOW - 90, NOW, NOW, 5, 7, due=NOW - 60, until=NOW + 59)
KEY = Triplet("192.0.2.10/32", "s@example.org", "r@example.net")


def test_a_dump_of_46_is_read_whole() -> None:
    found = good(DUMP_46, now=NOW)
    assert [triplet for triplet, _ in found] == [
        KEY,
        Triplet("192.0.2.10/32", "s@example.org", "r2@example.net"),
        Triplet("192.0.2.13/32", "", "r@example.net"),
        Triplet("2001:db8::5/128", "s@example.org", "r@example.net"),
    ]
    auto, waiting = found[0][1], found[1][1]
    assert (auto.until, auto.passed_at, auto.passed) == (1795289655, NOW, 1)
    assert (waiting.due, waiting.passed_at, waiting.until) == (1795289598, None, 0)


def test_a_dump_of_30_is_read_whole_both_sections() -> None:
    found = good(DUMP_30, prefix4=24, now=NOW)
    assert [(*(vars_of(triplet)), record.passed_at is None) for triplet, record in found] == [
        ("192.0.2.0/24", "s@example.org", "r@example.net", True),
        ("192.0.2.0/24", "b@example.org", "r@example.net", True),
        ("192.0.2.0/24", "s@example.org", "r@example.net", False),
    ]


def vars_of(triplet: Triplet) -> tuple[str, str, str]:
    return triplet.network, triplet.sender, triplet.recipient


def test_what_was_read_is_written_as_46_writes_it() -> None:
    """Byte for byte; only the order is that of our store."""
    rows = good(DUMP_46, now=NOW)
    text = "".join(write_dump(rows, NOW, "milter-greylist-4.6.2", zone=UTC))
    assert text == DUMP_46


def test_without_translation_the_dates_are_left_out() -> None:
    assert lines_of(KEY, KNOWN, translate=False) == [
        f"192.0.2.10\t<s@example.org>\t<r@example.net>\t{NOW + 59} AUTO\n"
    ]
    assert lines_of(KEY, WAITING, translate=False) == [
        f"192.0.2.10\t<s@example.org>\t<r@example.net>\t{NOW + 2} \n"
    ]


def test_what_is_over_is_left_out_and_not_counted() -> None:
    lifetimes = Lifetimes(100, 100)
    rows = [(KEY, KNOWN), (KEY, WAITING)]
    text = "".join(write_dump(rows, NOW + 60, "x", lifetimes=lifetimes))
    assert "Summary: 1 records, 1 greylisted, 0 whitelisted, 0 tarpitted" in text
    assert len(list(read_dump(text.splitlines()))) == 1


def test_clients_as_a_whole_have_no_line() -> None:
    assert lines_of(Triplet("192.0.2.10/32", "", ""), KNOWN) == []


@pytest.mark.parametrize(
    "key",
    [
        Triplet("spf:example.net", "s@example.org", "r@example.net"),
        Triplet("dns:example.net", "", "r@example.net"),
        Triplet("192.0.2.0/24", "two words@example.org", "r@example.net"),
        Triplet("192.0.2.0/24", "grün@example.org", "r@[192.0.2.1]"),
        Triplet("192.0.2.0/24", 'a"b\n192.0.2.9 <x@y> <z@y> 9999999999 auto', "100%@\t\x1b#"),
    ],
)
def test_what_milter_greylist_could_not_read_is_a_comment_that_comes_back(key: Triplet) -> None:
    (line,) = lines_of(key, KNOWN)
    assert line.startswith("#")
    assert line.isascii()
    assert line.count("\n") == 1
    ((triplet, record),) = good(line, prefix4=24, now=NOW)
    assert triplet == key
    assert record.until == KNOWN.until


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("192.0.2.10 <s@example.org> <r@example.net>", "address, sender, recipient and time"),
        ("hello", "address, sender"),
        ("192.0.2.300 <s@example.org> <r@example.net> 100", "not an IP address"),
        ("192.0.2.10 <a b@example.org> <r@example.net> 100", "not a time"),
        ("192.0.2.10 <s@example.org> <r@example.net> -5", "not a time"),
        ("192.0.2.10 <s@example.org> <r@example.net> ٣", "not a time"),
        ("192.0.2.10 <s@example.org> <r@example.net> 99999999999999999999", "not a time"),
        ("192.0.2.10 <grüße@example.org> <r@example.net> 100", "8-bit"),
        ("192.0.2.10 <s@example.org> <> 100", "no recipient"),
        ("192.0.2.10 <s@example.org> <r@example.net> 100 CAR", "neither AUTO nor TARPIT"),
        ("192.0.2.10 <s@example.org> <r@example.net> 100 x TARPIT", "not a time"),
        ("x" * 9000, "too long"),
    ],
)
def test_a_bad_line_is_told_with_its_reason(line: str, why: str) -> None:
    assert why in bad(line)


def test_bad_lines_have_their_numbers_and_the_rest_is_read() -> None:
    text = f"bad \x1b[1m\n{DUMP_46}worse"
    found = list(read_dump(text.splitlines(keepends=True)))
    wrong = [one for one in found if isinstance(one, BadLine)]
    assert [one.number for one in wrong] == [1, 19]
    assert wrong[0].text == "bad \\x1b[1m"
    assert len(found) == 6


def test_the_last_line_needs_no_end_and_other_ends_are_fine() -> None:
    assert len(good("192.0.2.1 <a@b> <c@d> 1\r\n192.0.2.1 <a@b> <c@d> 1")) == 2


def test_what_stands_behind_auto_is_ignored_and_a_tarpit_is_a_wait() -> None:
    ((_, auto),) = good("192.0.2.1 <a@b> <c@d> 100 AUTO extra words")
    assert auto.until == 100
    ((_, record),) = good("192.0.2.6\t<a@b.c>\t<d@e.f>\t1795289914\t30 TARPIT # date")
    assert (record.due, record.passed_at) == (1795289914, None)


def test_times_behind_2038_and_long_ago_are_read_and_written() -> None:
    ((_, late),) = good("192.0.2.1 <a@b> <c@d> 9999999999 AUTO", now=NOW)
    assert (late.until, late.passed_at) == (9999999999, NOW)
    ((_, early),) = good("192.0.2.1 <a@b> <c@d> 0", now=NOW, delay_seconds=1800)
    assert (early.due, early.first_seen) == (0, 0)
    far = Record(0, 1, 1, 1, 1, 1, 1, until=2**40)
    assert lines_of(KEY, far)[0].endswith(f"{2**40} AUTO # never\n")


def test_who_waits_came_a_delay_before_but_not_in_the_future() -> None:
    ((_, record),) = good("192.0.2.1 <a@b> <c@d> 5000", now=4000, delay_seconds=1800)
    assert (record.first_seen, record.due) == (3200, 5000)
    ((_, record),) = good("192.0.2.1 <a@b> <c@d> 90000", now=4000, delay_seconds=1800)
    assert (record.first_seen, record.due) == (4000, 90000)


def test_neither_way_holds_more_than_a_line_at_a_time() -> None:
    endless = (f"192.0.2.1 <a{n}@b> <c@d> 1\n" for n in count())
    assert len(list(islice(read_dump(endless), 1000))) == 1000
    rows = ((KEY, KNOWN) for _ in count())
    assert len(list(islice(write_dump(rows, NOW, "x"), 1000))) == 1000


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
networks = st.sampled_from(
    ["192.0.2.0/24", "2001:db8::/64", "spf:example.net", "dns:ü.example", "<=>"]
)
times = st.integers(0, 2**32)


@settings(max_examples=60)
@given(networks, texts, texts.filter(bool), times, times)
def test_what_is_written_comes_back(
    network: str, sender: str, recipient: str, due: int, until: int
) -> None:
    key = Triplet(network, fold_address(sender), fold_address(recipient))
    record = Record(0, 0, 0, until % 2 or None, 1, 1, due, until)
    (line,) = lines_of(key, record)
    assert re.fullmatch(r"[\x21-\x7e\t ]*\n", line)
    ((triplet, found),) = good(line, prefix4=24, prefix6=64)
    assert triplet == key
    assert (found.until if until % 2 else found.due) == (until if until % 2 else due)


@settings(max_examples=60)
@given(st.lists(st.text(max_size=40) | st.sampled_from(DUMP_46.splitlines()), max_size=5))
def test_any_text_is_read_or_told(lines: list[str]) -> None:
    for one in read_dump(lines):
        if isinstance(one, BadLine):
            assert one.text.isprintable()
            assert one.text.isascii()
        else:
            assert one[0].recipient
            assert one[0].network == network_of(one[0].network.partition("/")[0], 32, 128)


def test_the_example_in_the_docstring_is_true() -> None:
    result = doctest.testmod(sys.modules[read_dump.__module__])
    assert result.attempted
    assert not result.failed
