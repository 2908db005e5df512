"""Handlers for messages, and what an async def can wait for."""

import asyncio
import gc
import inspect
import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Axon.Component import component
from Axon.Ipc import WaitComplete, producerFinished, shutdownMicroprocess
from Axon.OnMessage import AsyncComponent, MessageComponent, Waiting, on
from Axon.Scheduler import scheduler
from Axon.Testing import anything, collect, drive, harness, virtual_scheduler

FINISHED = producerFinished()
NOW = shutdownMicroprocess()


class Doubler(MessageComponent):
    def on_inbox(self, number: int) -> None:
        self.send(2 * number)


class Two(MessageComponent):
    """Says which message came to which box."""

    ExtraInboxes = {"other": "object: as inbox"}

    def on_inbox(self, message: object) -> None:
        self.send(("inbox", message))

    def on_other(self, message: object) -> None:
        self.send(("other", message))


class Main(AsyncComponent):
    """Runs an async function of the test as its main."""

    def __init__(self, script: Callable[[Any], Coroutine[Any, Any, None]]) -> None:
        super().__init__()
        self.script = script

    async def main(self) -> None:
        await self.script(self)


class Handling(MessageComponent):
    """Its handler is a function of the test, of any kind."""

    def __init__(self, script: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.script = script
        self.stopped = False

    def on_inbox(self, message: object) -> object:
        return self.script(self, message)

    def on_stop(self) -> None:
        self.stopped = True


# ---- handlers


def test_each_message_goes_to_the_handler_of_its_box() -> None:
    sent = drive(Doubler(), inbox=[1, 2, 3], control=[FINISHED])
    assert sent["outbox"] == [2, 4, 6]
    assert sent["signal"] == [FINISHED]


def test_boxes_are_served_in_the_order_of_their_declaration() -> None:
    class Ordered(Two):
        Inboxes = ["other", "inbox", "control"]

    assert drive(Two(), other=[1, 2], inbox=[3, 4])["outbox"] == [
        ("inbox", 3),
        ("inbox", 4),
        ("other", 1),
        ("other", 2),
    ]
    assert drive(Ordered(), inbox=[1], other=[2])["outbox"] == [("other", 2), ("inbox", 1)]


def test_a_box_declared_earlier_is_looked_at_again_before_the_next_message() -> None:
    class Urgent(Two):
        def on_other(self, message: object) -> None:
            super().on_other(message)
            if message == 1:
                self.inboxes["inbox"].deliver("came meanwhile")

    assert drive(Urgent(), other=[1, 2])["outbox"] == [
        ("other", 1),
        ("inbox", "came meanwhile"),
        ("other", 2),
    ]


@given(st.lists(st.integers(), max_size=200), st.lists(st.integers(), max_size=200))
def test_all_that_waits_is_handled_once_and_in_order(first: list[int], second: list[int]) -> None:
    sent = drive(Two(), inbox=first, other=second, control=[FINISHED])
    assert sent["outbox"] == [("inbox", m) for m in first] + [("other", m) for m in second]


def test_a_decorated_handler_serves_boxes_whose_names_are_no_identifiers() -> None:
    class Odd(MessageComponent):
        Inboxes = ["#request", "stop", "inbox", "control"]

        @on("#request", "stop")
        def either(self, message: str) -> None:
            self.send(message.upper())

        def on_inbox(self, message: str) -> None:
            self.send(message)

    class Odder(Odd):
        def either(self, message: str) -> None:  # the same handler, overridden
            self.send(message[::-1])

    boxes: dict[str, Any] = {"#request": ["abc"], "stop": ["def"], "inbox": ["ghi"]}
    assert drive(Odd(), **boxes)["outbox"] == ["ABC", "DEF", "ghi"]
    assert drive(Odder(), **boxes)["outbox"] == ["cba", "fed", "ghi"]


def test_a_handler_may_be_given_as_a_keyword() -> None:
    got: list[object] = []
    drive(MessageComponent(on_inbox=got.append), inbox=["a", "b"], control=[FINISHED])
    assert got == ["a", "b"]


def waits_for_room(self: Handling, message: object) -> Iterator[object]:
    yield from self.put(message)
    yield from self.put(message)


async def awaits_room(self: Handling, message: object) -> None:
    await self.put(message)
    await self.put(message)


@pytest.mark.parametrize("script", [waits_for_room, awaits_room])
def test_a_handler_may_wait_and_the_next_message_waits_for_it(
    script: Callable[[Handling, object], Any],
) -> None:
    with harness(Handling(script)) as h:
        h.limit(1)
        h.put_all([1, 2])
        h.settle()
        assert h.take() == [1]
        h.settle()
        assert h.take() == [1]
        h.expect_all("outbox", [2, 2])
        h.finish()


def test_a_plain_handler_may_return_what_is_to_be_waited_for() -> None:
    with harness(Handling(lambda self, message: self.put(message))) as h:
        h.limit(1)
        h.put_all([1, 2])
        h.expect_all("outbox", [1, 2])
        h.finish()


@pytest.mark.parametrize("value", [4, "x", [1], object])
def test_a_value_that_a_handler_returns_is_refused_and_not_lost(value: object) -> None:
    with pytest.raises(TypeError, match=r"Handling.on_inbox\(\) returned .*send\(\) it"):
        drive(Handling(lambda self, message: value), inbox=[1])


def test_one_that_sends_to_itself_leaves_the_others_their_turns(engine: scheduler) -> None:
    class Selfish(MessageComponent):
        def on_inbox(self, message: object) -> None:
            self.send(message)

    class Other(component):
        def main(self) -> Iterator[object]:
            for _ in range(10):
                yield 1
            engine.stop()
            yield 1

    one = Selfish()
    one.link((one, "outbox"), (one, "inbox"))
    one.inboxes["inbox"].deliver("round and round")
    one.activate(Scheduler=engine)
    Other().activate(Scheduler=engine)
    engine.runThreads()
    assert not engine.threads


def test_without_messages_it_sleeps() -> None:
    with harness(Doubler()) as h:
        h.settle()  # fails if somebody stays awake
        h.put(1)
        h.expect("outbox", 2)
        h.settle()
        h.finish()


# ---- what is refused


def test_a_handler_for_a_box_that_is_not_declared_is_refused_with_the_class_and_its_boxes() -> None:
    with pytest.raises(TypeError, match=r"Misspelt\.on_imbox\(\).*'imbox'.*inbox, control"):

        class Misspelt(MessageComponent):
            def on_imbox(self, message: object) -> None: ...


def test_a_decorator_for_a_box_that_is_not_declared_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Misspelt\.request\(\).*'#requst'"):

        class Misspelt(MessageComponent):
            ExtraInboxes = {"#request": "object: this"}

            @on("#requst")
            def request(self, message: object) -> None: ...


def test_a_box_without_a_handler_is_refused_at_the_first_step() -> None:
    class Deaf(MessageComponent):
        ExtraInboxes = ["other"]

        def on_inbox(self, message: object) -> None: ...

    with pytest.raises(TypeError, match=r"Deaf has no handler for its inbox 'other': write on_oth"):
        drive(Deaf())


def test_attributes_that_are_no_methods_are_left_alone() -> None:
    class Setting(Doubler):
        on_time = True

    assert drive(Setting(), inbox=[1])["outbox"] == [2]


def test_an_inherited_handler_of_a_box_that_is_no_longer_declared_is_left_alone() -> None:
    class Fewer(Two):
        Inboxes = ["inbox", "control"]
        ExtraInboxes = {}

    assert drive(Fewer(), inbox=[1])["outbox"] == [("inbox", 1)]


def test_a_box_called_stop_needs_a_decorated_handler() -> None:
    with pytest.raises(TypeError, match=r"on_stop\(\) is for the end"):

        class Stops(MessageComponent):
            Inboxes = ["stop", "control"]


def test_the_handler_of_control_must_be_an_ordinary_method_of_that_name() -> None:
    with pytest.raises(TypeError, match="ordinary method"):

        class Waits(MessageComponent):
            async def on_control(self, message: object) -> None: ...  # type: ignore[override]

    with pytest.raises(TypeError, match="ordinary method"):

        class Yields(MessageComponent):
            def on_control(self, message: object) -> Iterator[object]:  # type: ignore[override]
                yield 1

    with pytest.raises(TypeError, match=r"is called on_control\(\)"):

        class Renamed(MessageComponent):
            @on("control")
            def told(self, message: object) -> None: ...


# ---- the end of a MessageComponent


class Summing(MessageComponent):
    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def on_inbox(self, number: int) -> None:
        self.total += number

    def on_stop(self) -> None:
        self.send(self.total)


def run(one: component, inbox: list[Any], *told: object) -> tuple[list[Any], list[Any]]:
    """What it sent, and what those behind it heard."""
    sent = drive(one, inbox=inbox, control=told)
    return sent["outbox"], sent["signal"]


def test_producer_finished_lets_it_finish_what_waits_then_on_stop() -> None:
    assert run(Summing(), [1, 2, 3], FINISHED) == ([6], [FINISHED])


@pytest.mark.parametrize("message", [NOW, shutdownMicroprocess])
def test_shutdown_microprocess_ends_it_at_once_also_behind_producer_finished(
    message: object,
) -> None:
    assert run(Summing(), [1, 2, 3], message) == ([], [message])
    assert run(Summing(), [1, 2, 3], FINISHED, message) == ([], [message])


def test_producer_finished_does_not_take_back_a_shutdown() -> None:
    assert run(Summing(), [1, 2, 3], NOW, FINISHED) == ([], [NOW])


def test_on_stop_may_wait() -> None:
    class Slow(Summing):
        async def on_stop(self) -> None:  # type: ignore[override]
            await self.sleep(10)
            self.send(self.now())

    class Yielding(Summing):
        def on_stop(self) -> Iterator[object]:  # type: ignore[override]
            yield from self.sleep(10)
            self.send(self.now())

    for one in (Slow(), Yielding()):
        sent, heard = run(one, [], FINISHED)
        assert sent == [10]
        assert heard == [FINISHED]


def test_a_shutdown_ends_it_in_the_middle_of_a_handler_and_finally_clauses_run() -> None:
    async def script(self: Handling, message: object) -> None:
        try:
            await self.sleep(1000)
            self.send("slept")
        finally:
            self.send("cleaned up")

    one = Handling(script)
    with harness(one) as h:
        h.put(1)
        h.put(2)
        h.run_for(10)
        h.finish(NOW)
        h.expect("outbox", "cleaned up")
        h.expect_nothing("outbox")
    assert not one.stopped


def test_producer_finished_does_not_cut_a_handler_short() -> None:
    async def script(self: Handling, message: object) -> None:
        await self.sleep(1000)
        self.send(message)

    one = Handling(script)
    with harness(one) as h:
        h.put_all([1, 2])
        h.put(FINISHED, "control")
        h.expect_all("outbox", [1, 2], within=2001)
        h.expect_end()
    assert one.stopped


@pytest.mark.parametrize("script", [waits_for_room, awaits_room])
def test_a_shutdown_ends_one_that_waits_for_room(
    script: Callable[[Handling, object], Any],
) -> None:
    with harness(Handling(script)) as h:
        h.limit(0)
        h.put(1)
        h.settle()
        h.put(FINISHED, "control")
        h.settle()
        h.not_ended()  # it may not lose the message
        h.finish(NOW)


def test_what_is_in_control_and_no_shutdown_is_handed_on() -> None:
    assert run(Doubler(), [1], "for somebody else", FINISHED)[1][:1] == ["for somebody else"]


def test_without_a_signal_what_is_no_shutdown_goes_nowhere() -> None:
    class Silent(Doubler):
        Outboxes = ["outbox"]

    assert drive(Silent(), inbox=[1], control=["hello", FINISHED]) == {"outbox": [2]}


def test_on_control_gets_what_is_no_shutdown_even_while_a_handler_waits() -> None:
    class Adjustable(Handling):
        def on_control(self, message: object) -> None:
            self.send(("control", message))

    async def script(self: Adjustable, message: object) -> None:
        await self.sleep(1000)

    with harness(Adjustable(script)) as h:
        h.put(1)
        h.settle()
        h.put("faster", "control")
        h.expect("outbox", ("control", "faster"), within=1)
        h.finish(NOW)


def test_one_without_a_control_box_works_until_it_is_stopped() -> None:
    class Endless(Doubler):
        Inboxes = ["inbox"]

    assert drive(Endless(), inbox=[1, 2])["outbox"] == [2, 4]


async def fails_later(self: Handling, message: object) -> None:
    await self.sleep(1)
    raise ValueError("no good")


def fails(self: Handling, message: object) -> None:
    raise ValueError("no good")


@pytest.mark.parametrize("script", [fails, fails_later])
def test_an_exception_in_a_handler_is_noted_with_box_and_message(
    script: Callable[[Handling, object], Any],
) -> None:
    one = Handling(script)
    one.name = "the culprit"
    with pytest.raises(ValueError, match="no good") as caught:
        drive(one, inbox=["the message"])
    notes = "\n".join(caught.value.__notes__)
    assert "the culprit" in notes
    assert "'the message' from box 'inbox'" in notes


# ---- async def main


async def doubles(self: AsyncComponent) -> None:
    async for number in self.messages():
        self.send(2 * number)
    self.send("the end")


def test_messages_end_when_the_producer_has_finished_and_all_are_read() -> None:
    assert run(Main(doubles), [1, 2, 3], FINISHED) == ([2, 4, 6, "the end"], [FINISHED])


def test_messages_are_waited_for() -> None:
    with harness(Main(doubles)) as h:
        h.settle()
        h.put(1)
        h.expect("outbox", 2)
        h.settle()
        h.put(2)
        h.expect("outbox", 4)
        h.finish()
        h.expect("outbox", "the end")


def test_a_shutdown_ends_the_loop_over_messages_and_what_comes_after_it() -> None:
    async def script(self: AsyncComponent) -> None:
        try:
            await doubles(self)
        finally:
            self.send("cleaned up")

    assert run(Main(script), [1, 2], NOW) == (["cleaned up"], [NOW])


async def receives(self: AsyncComponent) -> None:
    try:
        while True:
            self.send(2 * await self.receive())
    finally:
        self.send("cleaned up")


@pytest.mark.parametrize("message", [FINISHED, producerFinished])
def test_receive_ends_the_component_when_nothing_will_come(message: object) -> None:
    sent, heard = run(Main(receives), [1, 2], message)
    assert (sent, heard) == ([2, 4, "cleaned up"], [message])


def test_the_end_cannot_be_caught_by_mistake() -> None:
    async def script(self: AsyncComponent) -> None:
        while True:
            try:
                await self.receive()
            except Exception as error:  # noqa: BLE001 - as many a loop that must go on
                self.send(error)

    assert run(Main(script), [1], FINISHED) == ([], [FINISHED])


class Asking(AsyncComponent):
    """Needs an answer to each message before it is through with it."""

    ExtraInboxes = {"answer": "object: to what was asked"}

    async def main(self) -> None:
        async for question in self.messages():
            self.send(question)
            self.send((question, await self.receive("answer")))


def test_boxes_are_received_from_by_name() -> None:
    sent = drive(Asking(), inbox=[1, 2], answer="ab", control=[FINISHED])
    assert sent["outbox"] == [1, (1, "a"), 2, (2, "b")]
    assert sent["signal"] == [FINISHED]


def test_producer_finished_does_not_keep_an_answer_from_being_waited_for() -> None:
    with harness(Asking()) as h:
        h.put(1)
        h.put(FINISHED, "control")
        h.expect("outbox", 1)
        h.run_for(100)
        h.put("late", "answer")
        h.expect("outbox", (1, "late"))
        h.expect_end()


def test_a_shutdown_does() -> None:
    with harness(Asking()) as h:
        h.put(1)
        h.expect("outbox", 1)
        h.finish(NOW)


def test_a_generator_may_wait_for_the_same_things() -> None:
    class Yielding(AsyncComponent):
        def main(self) -> Iterator[object]:
            message = yield from self.receive()
            yield from self.sleep(5)
            yield from self.put((message, self.now()))

    assert drive(Yielding(), inbox=["x"])["outbox"] == [("x", 5)]


def test_asynchronous_generators_and_functions_may_be_made_of_these() -> None:
    class Lines(AsyncComponent):
        async def lines(self) -> AsyncIterator[str]:
            rest = ""
            async for text in self.messages():
                *lines, rest = (rest + text).split("\n")
                for line in lines:
                    yield line

        async def main(self) -> None:
            async for line in self.lines():
                await self.put(line)

    assert drive(Lines(), inbox=["a\nb", "c\n"], control=[FINISHED])["outbox"] == ["a", "bc"]


# ---- sleep


def test_sleep_is_not_cut_short_by_messages() -> None:
    async def script(self: AsyncComponent) -> None:
        await self.sleep(60)
        self.send(self.now())

    with harness(Main(script)) as h:
        h.run_for(10)
        h.put("wakes it")
        h.expect_nothing("outbox", during=49)
        h.expect("outbox", 60, within=1)
        h.expect_end()


def test_sleep_of_no_time_gives_the_others_a_turn(engine: scheduler) -> None:
    turns: list[str] = []

    async def script(self: AsyncComponent) -> None:
        for _ in range(3):
            turns.append(self.name)
            await self.sleep(0)

    for name in "ab":
        one = Main(script)
        one.name = name
        one.activate(Scheduler=engine)
    engine.runThreads()
    assert "".join(turns) == "ababab"


async def ticks(self: AsyncComponent) -> None:
    while True:
        await self.sleep(1)
        self.send("tick")


@pytest.mark.parametrize("message", [FINISHED, NOW, producerFinished, shutdownMicroprocess])
def test_one_that_only_sleeps_ends_when_it_is_told_to(message: object) -> None:
    with harness(Main(ticks)) as h:
        h.expect_all("outbox", ["tick"] * 3, within=3)
        h.finish(message, within=0.5)


def test_one_that_sleeps_before_it_reads_loses_no_message() -> None:
    async def script(self: AsyncComponent) -> None:
        await self.sleep(5)
        async for message in self.messages():
            await self.sleep(1)
            self.send((message, self.now()))

    sent, _ = run(Main(script), ["a", "b"], FINISHED)
    assert sent == [("a", 6), ("b", 7)]


# ---- put


def test_put_waits_for_room_in_a_coroutine() -> None:
    async def script(self: AsyncComponent) -> None:
        for number in range(4):
            await self.put(number)

    with harness(Main(script)) as h:
        h.limit(2)
        h.settle()
        assert h.take() == [0, 1]
        h.expect_all("outbox", [2, 3])
        h.expect_end()


def test_put_may_be_run_in_the_place_of_main() -> None:
    class Older(AsyncComponent):
        def main(self) -> Iterator[object]:
            yield WaitComplete(self.put(1))
            yield WaitComplete(self.put(2))

    with harness(Older()) as h:
        h.limit(1)
        h.expect_all("outbox", [1, 2])
        h.expect_end()


def test_what_waits_can_be_stepped_by_hand() -> None:
    one = AsyncComponent()
    sent = collect(one)
    with pytest.raises(StopIteration):
        next(one.put("message"))
    assert sent["outbox"] == ["message"]


def test_what_is_not_awaited_is_warned_of_and_what_is_is_not() -> None:
    one = AsyncComponent()
    with pytest.warns(
        RuntimeWarning, match=r"put\(\) was neither awaited nor yielded from"
    ) as seen:
        one.put("message")
    assert seen[0].filename == __file__
    list(one.put("message"))
    gc.collect()


# ---- told_to_stop


def test_once_told_it_stays_told() -> None:
    answers: list[object] = []

    async def script(self: AsyncComponent) -> None:
        answers.append(self.told_to_stop())
        async for _ in self.messages():
            pass
        answers.append(self.told_to_stop())
        answers.append(self.told_to_stop())

    with harness(Main(script)) as h:
        h.settle()
        h.finish(FINISHED)
    assert answers == [None, FINISHED, FINISHED]


def test_the_page_shows_the_loop_as_it_is() -> None:
    page = Path(__file__).parents[2] / "Docs" / "axon" / "on-message.md"
    loop = textwrap.dedent(inspect.getsource(MessageComponent.main)).replace(" -> Any", "")
    assert loop in page.read_text(encoding="utf-8")


# ---- what belongs to asyncio


def test_waiting_for_an_asyncio_future_says_what_is_wrong() -> None:
    loop = asyncio.new_event_loop()

    async def script(self: AsyncComponent) -> None:
        await loop.create_future()

    try:
        with pytest.raises(RuntimeError) as caught:
            drive(Main(script))
    finally:
        loop.close()
    assert any("not by asyncio: await self.sleep()" in note for note in caught.value.__notes__)
    assert "await loop.create_future()" in str(caught.traceback[-1].statement)


def test_asyncio_sleep_says_what_is_wrong_in_a_handler_too() -> None:
    async def script(self: Handling, message: object) -> None:
        await asyncio.sleep(1)

    with pytest.raises(RuntimeError) as caught:
        drive(Handling(script), inbox=[1])
    assert any("not by asyncio" in note for note in caught.value.__notes__)


def test_an_error_that_has_nothing_to_do_with_asyncio_is_left_as_it_is() -> None:
    async def script(self: AsyncComponent) -> None:
        raise RuntimeError("my own")

    with pytest.raises(RuntimeError, match="my own") as caught:
        drive(Main(script))
    assert not any("asyncio" in note for note in caught.value.__notes__)


def test_a_coroutine_that_is_never_run_is_not_even_made() -> None:
    one = Main(doubles)
    one.activate(Scheduler=virtual_scheduler())
    del one
    gc.collect()  # a coroutine that was never awaited would warn


def test_another_method_can_be_the_main_one() -> None:
    class Named(AsyncComponent):
        async def work(self) -> None:
            self.send("worked")

        def work_by_turns(self) -> Iterator[object]:
            self.send("worked")
            yield 1

    for method in ("work", "work_by_turns"):
        one = Named()
        sent = collect(one)
        runner = virtual_scheduler()
        one.activate(Scheduler=runner, mainmethod=method)
        one.activate(Scheduler=runner, mainmethod=method)  # active already: only wakes it
        runner.runThreads()
        assert sent["outbox"] == ["worked"]


def test_a_crash_from_outside_happens_where_the_coroutine_stands() -> None:
    async def script(self: AsyncComponent) -> None:
        try:
            await self.receive()
        except ConnectionError:
            self.send("caught")

    one = Main(script)
    with harness(one) as h:
        h.settle()
        h.crash(ConnectionError(), one)
        h.expect("outbox", anything)
        h.expect_end()


def test_waiting_in_either_way_gives_what_the_generator_returns() -> None:
    def answers() -> Generator[object, None, int]:
        yield 1
        return 42

    async def awaits(self: AsyncComponent) -> None:
        number: int = await Waiting(answers())
        self.send(number)

    class Yields(AsyncComponent):
        def main(self) -> Iterator[object]:
            number: int = yield from Waiting(answers())
            self.send(number)

    assert drive(Main(awaits))["outbox"] == drive(Yields())["outbox"] == [42]
