"""Many mails at a time through the running program: none is lost, doubled or changed."""

import pytest

from Test.System.clients import Ledger, Mail, deliver_until_taken
from Test.System.processes import CheckingSink, Grey, wait_until

MEGABYTE = 1_000_000


def mixed_sizes(number: int) -> int:
    """Mostly letters, some with pictures, and now and then 25 MB: 150 MB for a thousand."""
    if number % 250 == 50:
        return 25 * MEGABYTE
    if number % 50 == 10:
        return 2 * MEGABYTE
    return 1_000 + number * 7 % 20_000


@pytest.mark.slow
def test_a_thousand_mails_of_all_sizes_arrive_once_and_unchanged(
    grey: Grey, sink: CheckingSink
) -> None:
    deliver_until_taken(grey.address, Mail("first"))
    grey.wait_for_log("outcome=delivered")
    at_rest, files = grey.most_memory(), grey.open_files()
    mails = [Mail(f"m{number}", mixed_sizes(number)) for number in range(1_000)]
    ledger = Ledger(grey.address)
    ledger.send_all(mails, at_a_time=50)
    kept = [entry for entry in sink.kept() if entry.get("id") != "first"]
    assert ledger.codes == {250: 1_000}
    assert ledger.differences(kept) == []
    assert len(kept) == 1_000
    grey.wait_for_log("event=message", "outcome=delivered", times=1_001)
    # Mail flows through; it is not gathered. 150 MB went by, up to 50 messages at a time.
    assert grey.most_memory() - at_rest < 50 * MEGABYTE
    wait_until("every file to be closed", lambda: grey.open_files() <= files)
