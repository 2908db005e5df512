"""JoinChooserToCarousel: who drives whom, and how it ends."""

from collections.abc import Iterator

import pytest

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Testing import harness
from Kamaelia.Chassis.Carousel import Carousel
from Kamaelia.Chassis.Pipeline import Pipeline
from Kamaelia.Chassis.Prefab import JoinChooserToCarousel
from Kamaelia.Util.DataSource import DataSource
from Kamaelia.Util.PassThrough import PassThrough


class Items(component):
    """A chooser: the first item at once, another one at each request, then the end."""

    def __init__(self, *items: object) -> None:
        super().__init__()
        self.items = items
        self.requests: list[object] = []

    def main(self) -> Iterator[object]:
        for item in self.items:
            self.send(item, "outbox")
            while not self.dataReady("inbox"):
                if self.told_to_stop():
                    return
                self.pause()
                yield 1
            self.requests.append(self.recv("inbox"))


def test_the_carousel_runs_what_is_chosen_and_asks_for_the_next() -> None:
    items = Items([1, 2], [3], [])
    with harness(JoinChooserToCarousel(items, Carousel(DataSource))) as h:
        h.expect_all("outbox", [1, 2, 3])
        h.expect("signal", producerFinished)
        h.expect_end()
    assert items.requests == ["NEXT"] * 3


def test_data_that_comes_in_goes_to_the_component_that_runs() -> None:
    def tag(item: object) -> component:
        return Pipeline(PassThrough())

    with harness(JoinChooserToCarousel(Items("a"), Carousel(tag))) as h:
        h.settle()
        h.put("x")
        h.expect("outbox", "x")


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_a_shutdown_goes_by_way_of_the_chooser_to_the_component_that_runs_and_out(
    message: object,
) -> None:
    with harness(JoinChooserToCarousel(Items("a", "b"), Carousel(lambda _: PassThrough()))) as h:
        h.settle()
        h.put(message, "control")
        h.expect("signal", message)
        h.expect_end()
        assert h.take("signal") == []


def test_a_chooser_with_nothing_to_choose_ends_it() -> None:
    with harness(JoinChooserToCarousel(Items(), Carousel(DataSource))) as h:
        h.expect("signal", producerFinished)
        h.expect_end()


def test_a_full_receiver_holds_all_of_it_back_and_nothing_is_lost() -> None:
    items = Items([1, 2, 3], [4, 5])
    with harness(JoinChooserToCarousel(items, Carousel(DataSource))) as h:
        h.limit(1)
        h.run_for(60)
        assert items.requests == []
        h.expect_all("outbox", [1, 2, 3, 4, 5])
        h.expect_end()


def test_several_side_by_side_have_nothing_in_common() -> None:
    def joined(*items: object) -> component:
        return JoinChooserToCarousel(Items(*items), Carousel(DataSource))

    one, other = joined([1], [2]), joined([3])
    with harness(one, other) as h:
        h.expect_all((one, "outbox"), [1, 2])
        h.expect_all((other, "outbox"), [3])
        h.expect_end()
