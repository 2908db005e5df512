"""Fanout: copies to all, shutdowns to signal."""

import pytest

from Axon.Ipc import producerFinished
from Axon.Testing import drive, harness
from Kamaelia.Util.Fanout import Fanout, fanout
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {Fanout: Ends(lambda: Fanout(["copy"]))}


def test_each_message_goes_to_all_outboxes_and_none_to_signal() -> None:
    out = drive(Fanout(["one", "two", "one", "outbox"]), inbox=[1, 2])
    assert out == {"outbox": [1, 2], "one": [1, 2], "two": [1, 2], "signal": []}


def test_a_shutdown_goes_to_signal_and_nowhere_else() -> None:
    stop = producerFinished()
    out = drive(Fanout(["copy"]), inbox=[1], control=[stop])
    assert out == {"outbox": [1], "copy": [1], "signal": [stop]}


def test_a_full_receiver_holds_the_others_back_by_one_message_and_nothing_is_lost() -> None:
    with harness(Fanout(["copy"])) as h:
        h.limit(1, "outbox")
        h.put_all([1, 2, 3])
        h.settle()
        assert h.take("copy") == [1, 2]
        for number in (1, 2, 3):
            h.expect("outbox", number)
        h.settle()
        assert h.take("copy") == [3]


def test_each_has_its_own_boxes_and_the_class_stays_as_it_is() -> None:
    boxes = dict(Fanout.Outboxes)
    one, other = Fanout(["one"]), Fanout(["other"])
    assert set(one.outboxes) == {"outbox", "one", "signal"}
    assert set(other.outboxes) == {"outbox", "other", "signal"}
    assert boxes == Fanout.Outboxes


def test_data_for_signal_is_refused() -> None:
    with pytest.raises(ValueError, match="shutdowns"):
        Fanout(["signal"])


def test_the_older_name_is_the_same() -> None:
    assert fanout is Fanout
