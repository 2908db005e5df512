"""PythonInterpreter: a result for each line, whoever else prints, and an end that ends."""

import builtins
import io
import sys
import threading

import pytest

from Axon.Ipc import producerFinished, shutdownMicroprocess
from Axon.Scheduler import scheduler
from Axon.Testing import drive, harness, virtual_scheduler
from Kamaelia.Experimental.PythonInterpreter import (
    Capture,
    InterpreterTransformer,
    StandaloneInterpreter,
)
from Test.Kamaelia.shutdown import Ends

SHUTDOWN = {
    InterpreterTransformer: Ends(InterpreterTransformer),
    StandaloneInterpreter: Ends(None, why="it waits for a line of the console: tested below"),
}
SECONDS = 10.0


def results(*lines: object, **settings: int) -> list[str]:
    out = drive(InterpreterTransformer(**settings), inbox=list(lines), control=[producerFinished()])
    return list(out["outbox"])


# ---- lines in, results out


def test_each_line_has_one_result_perhaps_an_empty_one() -> None:
    assert results("x = 6", "x * 7", "", "print(x); print()", "None") == [
        "",
        "42\n",
        "",
        "6\n\n",
        "",
    ]


def test_a_line_may_have_its_end_and_a_message_several_lines() -> None:
    assert results("1\n", "2\r\n", "3\n4\n") == ["1\n", "2\n", "3\n", "4\n"]


def test_lines_end_where_python_ends_them_and_not_at_what_is_in_a_text() -> None:
    line = "len('a\x0bb\x0cc\x1cd\x85e\u2028f')\r\n"
    assert drive(InterpreterTransformer(), inbox=[line], control=[producerFinished()])[
        "outbox"
    ] == ["11\n"]


def test_bytes_are_taken_for_utf_8_and_others_for_an_error_of_the_line() -> None:
    assert results("'é'".encode(), bytearray(b"5")) == ["'é'\n", "5\n"]
    (shown,) = results(b"\xff")
    assert "SyntaxError" in shown


def test_a_block_is_carried_out_when_it_is_complete() -> None:
    assert results("for i in range(2):", "  print(i)", "", "i") == ["", "", "0\n1\n", "1\n"]


def test_an_error_is_a_result_and_the_next_line_is_none_the_worse() -> None:
    wrong, bad, good = results("1 / 0", "x = (]", "1")
    assert wrong.startswith("Traceback")
    assert wrong.endswith("ZeroDivisionError: division by zero\n")
    assert "SyntaxError" in bad
    assert good == "1\n"


def test_what_was_printed_before_an_error_comes_before_it() -> None:
    (shown,) = results("print('first'); 1 / 0")
    assert shown.startswith("first\nTraceback")


@pytest.mark.parametrize("line", ["(" * 5000 + ")" * 5000, "-" * 20_000 + "1"])
def test_what_the_compiler_gives_up_on_is_an_error_of_the_line(line: str) -> None:
    deep, good = results(line, "1")
    assert "Error" in deep
    assert good == "1\n"


def test_a_result_that_is_too_long_is_cut_and_says_so() -> None:
    assert results("print('a' * 100, end='')", "1", longest_result=10) == [
        "aaaaaaaaaa\n[90 characters more are left out]\n",
        "1\n",
    ]


def test_a_block_without_an_end_is_given_up() -> None:
    *_, last, good = results("(", *["1, " * 10] * 10, "1", longest_source=300)
    assert last == "SyntaxError: more than 300 characters\n"
    assert good == "1\n"


def test_what_is_no_line_is_an_error_that_names_the_box() -> None:
    with pytest.raises(TypeError, match="lines, str or bytes, at 'inbox', not int: 5"):
        results(5)


def test_interpreters_side_by_side_have_names_and_output_of_their_own() -> None:
    interpreters = [InterpreterTransformer() for _ in range(3)]
    with harness(*interpreters) as h:
        for number, each in enumerate(interpreters):
            h.put_all([f"x = {number}", "print('number', x)"], (each, "inbox"))
        for number, each in enumerate(interpreters):
            h.expect_all((each, "outbox"), ["", f"number {number}\n"])


def test_a_full_receiver_is_waited_for_and_no_result_is_lost() -> None:
    with harness(InterpreterTransformer(queuelengths=2)) as h:
        h.limit(1)
        h.put_all([str(number) for number in range(10)])
        h.run_for(1.0)
        h.limit(None)
        h.expect_all("outbox", [f"{number}\n" for number in range(10)])
        h.finish()


class Gate:
    """Two events that lines may use, under a name that nobody else has."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.line = f"_gate.begun.set(); _gate.go.wait({SECONDS})"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    made = Gate()
    monkeypatch.setattr(builtins, "_gate", made, raising=False)
    return made


def test_a_line_that_takes_its_time_does_not_keep_others_from_theirs(gate: Gate) -> None:
    slow, quick = InterpreterTransformer(), InterpreterTransformer()
    with harness(slow, quick) as h:
        h.put(gate.line)
        h.settle()
        assert gate.begun.wait(SECONDS)
        h.put("2", (quick, "inbox"))
        h.expect((quick, "outbox"), "2\n")
        assert h.take() == []
        gate.go.set()
        h.expect("outbox", "True\n")


# ---- whose output it is


def test_what_another_thread_prints_goes_where_it_always_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    capture = Capture(100)
    usual = sys.stdout

    def print_there() -> None:
        with capture:
            print("captured")  # noqa: T201
            assert not sys.stdout.isatty()
            printing = threading.Thread(target=print, args=("usual",))
            printing.start()
            printing.join()

    thread = threading.Thread(target=print_there)
    thread.start()
    thread.join()
    assert capture.taken() == "captured\n"
    assert capsys.readouterr().out == "usual\n"
    assert sys.stdout is usual


def test_standard_output_is_the_usual_one_again_when_the_last_has_ended() -> None:
    usual = sys.stdout
    with harness(InterpreterTransformer(), InterpreterTransformer()) as h:
        h.put("1")
        h.expect("outbox", "1\n")
        assert sys.stdout is not usual
        for each in h.components:
            h.put(producerFinished(), (each, "control"))
        h.expect_end()
    assert sys.stdout is usual


def print_captured() -> str:
    """What a thread that is captured prints."""
    capture = Capture(100)

    def there() -> None:
        with capture:
            print("captured")  # noqa: T201

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    return capture.taken()


def test_somebody_who_replaces_standard_output_meanwhile_takes_nothing_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, other = sys.stdout, io.StringIO()
    with Capture(100):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", other)
            assert print_captured() == "captured\n"
        assert print_captured() == "captured\n"
    assert sys.stdout is usual
    with Capture(100):
        sys.stdout = other
    assert sys.stdout is other
    monkeypatch.setattr(sys, "stdout", usual)
    assert other.getvalue() == ""


def test_a_file_has_its_other_methods() -> None:
    assert results("import sys; sys.stdout.flush()", "sys.stdout.encoding")[1] != ""
    assert "bit_length" in results("help(int.bit_length)")[0]  # and waits for nobody's key


# ---- ends


@pytest.mark.parametrize("line", ["exit()", "quit()", "raise SystemExit", "print(1); exit(3)"])
def test_exit_ends_the_component_with_a_producer_finished(line: str) -> None:
    out = drive(InterpreterTransformer(), inbox=[line, "2"])
    assert "2\n" not in out["outbox"]
    assert isinstance(out["signal"][-1], producerFinished)
    assert not sys.stdin or not sys.stdin.closed


def test_a_producer_finished_ends_it_after_what_came_before() -> None:
    with harness(InterpreterTransformer()) as h:
        h.put_all(["1", "2"])
        h.put(message := producerFinished(), "control")
        h.expect_all("outbox", ["1\n", "2\n"])
        h.expect("signal", message)
        h.expect_end()


def test_a_shutdown_ends_it_after_the_present_line_and_those_that_wait_are_dropped(
    gate: Gate,
) -> None:
    message = shutdownMicroprocess()
    with harness(InterpreterTransformer()) as h:
        h.put(gate.line)
        h.settle()
        assert gate.begun.wait(SECONDS)
        h.put("2")
        h.put(message, "control")
        h.settle()
        gate.go.set()
        h.expect("outbox", "True\n")
        h.expect("signal", message)
        h.expect_end()
        assert h.take() == []


def test_a_scheduler_that_is_stopped_ends_it() -> None:
    runner = virtual_scheduler()
    interpreter = InterpreterTransformer().activate(Scheduler=runner)
    usual = sys.stdout
    runner.call_later(1.0, runner.stop)
    runner.runThreads()
    assert interpreter._isStopped()
    thread = interpreter._axon_thread
    assert thread is not None
    thread.join(SECONDS)
    assert sys.stdout is usual


# ---- at the console


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> list[str]:
    """What input() gives, and the prompts that it was called with."""
    left, prompts = list(lines), []

    def read(prompt: str = "") -> str:
        prompts.append(prompt)
        if not left:
            raise EOFError
        return left.pop(0)

    monkeypatch.setattr(builtins, "input", read)
    return prompts


def test_at_the_console_lines_are_carried_out_until_the_end_of_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = typed(monkeypatch, "x = 6", "x * 7", "if x:", "  print(x)", "", "1 / 0", "'last'")
    out = drive(StandaloneInterpreter())
    shown = capsys.readouterr()
    assert shown.out == "42\n6\n'last'\n"
    assert "ZeroDivisionError" in shown.err
    assert prompts == [">>> ", ">>> ", ">>> ", "... ", "... ", ">>> ", ">>> ", ">>> "]
    assert isinstance(out["signal"][-1], producerFinished)


def test_at_the_console_exit_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "exit()", "print('never')")
    drive(StandaloneInterpreter())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("message", [producerFinished(), shutdownMicroprocess()])
def test_at_the_console_a_shutdown_ends_it_before_the_next_line(
    monkeypatch: pytest.MonkeyPatch, message: object
) -> None:
    prompts = typed(monkeypatch, "1")
    out = drive(StandaloneInterpreter(), control=[message])
    assert prompts == []
    assert out["signal"] == [message]


def test_a_prompt_needs_no_scheduler_but_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, "2 + 2")
    StandaloneInterpreter().run()
    assert capsys.readouterr().out == "4\n"
    assert scheduler.run.threads == {}
