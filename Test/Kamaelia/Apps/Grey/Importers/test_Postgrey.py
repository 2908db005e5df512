"""What postgrey has written, as our settings see it; more is in test_Importing.py, and with a real
one in Test/System/test_postgrey.py."""

import pytest

from Kamaelia.Apps.Grey.Core.Normalise import triplet_of
from Kamaelia.Apps.Grey.Core.Types import Attempt, Policy, Record, Triplet
from Kamaelia.Apps.Grey.Importers.Found import Ours
from Kamaelia.Apps.Grey.Importers.Postgrey import read
from Kamaelia.Apps.Grey.Store.Dump import BadLine

NOW = 1_740_000_000


def entry(key: str, value: str, policy: Policy) -> tuple[Triplet, Record]:
    lines = ["format=print", "HEADER=END", f" {key}", f" {value}"]
    (found,) = read(lines, Ours(policy, NOW))
    assert not isinstance(found, BadLine)
    return found


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(
    ("sender", "theirs"),
    [
        ("Anna@x.example", "anna@x.example"),
        ("a+1@x.example", "a@x.example"),
        ("bounce-123@x.example", "bounce-#@x.example"),
        ("bounce-123-a@x.example", "bounce-#-a@x.example"),
        ("btv1==123abc==anna@x.example", "btv1==123abc==anna@x.example"),
        ("a=b@x.example", "a=b@x.example"),
        ("", ""),
    ],
)
def test_who_it_knew_is_found_again(sender: str, theirs: str, *, normalise: bool) -> None:
    policy = Policy(normalise_senders=normalise)
    triplet, _ = entry(f"192.0.2.0/{theirs}/b+tag@y.example", f"{NOW - 900},{NOW}", policy)
    attempt = Attempt("192.0.2.7", "mx", sender, "b+tag@y.example", "k", "b+tag", "y.example")
    changed = theirs != sender.lower()  # by postgrey, and that can only be known with the setting
    assert (triplet == triplet_of(attempt, policy)) is (normalise or not changed)


@pytest.mark.parametrize(
    ("delay", "waited", "has_passed"),
    [(60, 61, True), (60, 59, False), (300, 299, False), (300, 300, True), (600, 300, True)],
)
def test_who_came_back_after_our_delay_or_theirs_has_passed(
    delay: int, waited: int, has_passed: bool
) -> None:
    policy = Policy(delay_seconds=delay)
    value = f"{NOW - 1000},{NOW - 1000 + waited},mx.example.net"
    _, record = entry("192.0.2.0/a@x.example/b@y.example", value, policy)
    assert (record.passed_at is not None) is has_passed
