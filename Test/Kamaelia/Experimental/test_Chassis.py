"""The names that chassis with limits had as an experiment; the Carousel with changed inboxes."""

import pytest

import Kamaelia.Chassis.Carousel
import Kamaelia.Chassis.Graphline
import Kamaelia.Chassis.Pipeline
from Axon.AxonExceptions import noSpaceInBox
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import drive, harness
from Kamaelia.Experimental.Chassis import Carousel, Graphline, InboxControlledCarousel, Pipeline
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.PassThrough import PassThrough


def test_the_chassis_are_the_ordinary_ones() -> None:
    assert Pipeline is Kamaelia.Chassis.Pipeline.Pipeline
    assert Graphline is Kamaelia.Chassis.Graphline.Graphline
    assert Carousel is Kamaelia.Chassis.Carousel.Carousel


def test_each_takes_its_sizes_as_the_experiment_did() -> None:
    one, other = PassThrough(), PassThrough()
    Pipeline(3, one, None, other)
    Graphline({("A", "outbox"): ("B", "inbox")}, {("B", "inbox"): 4}, A=PassThrough(), B=other)
    carousel = Carousel(PassThrough, False, 5)
    sizes = [box.inboxes["inbox"].getSize() for box in (one, other, carousel)]
    assert sizes == [3, 4, 5]


def test_in_an_inbox_controlled_carousel_what_comes_in_is_what_is_made() -> None:
    out = drive(InboxControlledCarousel(DataSource), inbox=[[1, 2]], control=[producerFinished()])
    assert out["outbox"] == [1, 2]
    assert [type(message) for message in out["signal"]] == [producerFinished]


def test_data_for_what_runs_comes_in_at_a_box_of_its_own() -> None:
    with harness(InboxControlledCarousel(lambda _: PassThrough())) as h:
        h.put("wish")
        h.put("x", "data_inbox")
        h.expect("outbox", "x")


def test_it_asks_for_the_next_at_the_start_if_it_is_to_and_when_one_has_ended() -> None:
    with harness(InboxControlledCarousel(DataSource, make1stRequest=True)) as h:
        h.expect("requestNext", "NEXT")
        h.put([])
        h.expect("requestNext", "NEXT")
        h.finish()


def test_its_box_size_is_that_for_the_data() -> None:
    with harness(InboxControlledCarousel(lambda _: PassThrough(), boxsize=1)) as h:
        h.put("x", "data_inbox")
        with pytest.raises(noSpaceInBox):
            h.put("y", "data_inbox")


def test_a_shutdown_ends_it_and_comes_out() -> None:
    stop = shutdownMicroprocess()
    with harness(InboxControlledCarousel(lambda _: PassThrough())) as h:
        h.put("wish")
        h.settle()
        h.put(stop, "control")
        h.expect("signal", stop)
        h.expect_end()
