"""The plugin for pytest: its fixtures, its options, and what it says when a test fails."""

import pytest

pytest_plugins = ["pytester"]

PARTS = """
import pytest
from Axon.Component import component
from Axon.Testing import Scripted, Send, Stay

class Doubler(component):
    def main(self):
        while not self.told_to_stop():
            for number in self.Inbox():
                self.send(2 * number)
            self.pause()
            yield 1
"""


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> "Run":
    for name in ("CI", "BUILD_NUMBER"):  # pytest's summary is longer there
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # whatever is installed here
    return Run(pytester)


class Run:
    """Runs pytest with the plugin on a test file."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def __call__(self, text: str, *options: str) -> pytest.RunResult:
        self.pytester.makepyfile(PARTS + text)
        return self.pytester.runpytest_inprocess("-p", "Axon.TestingPlugin", *options)


def test_the_fixture_makes_harnesses_that_are_stopped_after_the_test(run: Run) -> None:
    run(
        """
        made = []

        def test_one(axon):
            h = axon(Doubler())
            h.put(21)
            h.expect("outbox", 42)
            made.append(h)

        def test_in_a_with_too(axon):
            assert made[0].components[0]._isStopped()
            with axon(Doubler()) as h:
                h.put(21)
                h.expect("outbox", 42)
            assert h.components[0]._isStopped()

        def test_two(axon):
            assert axon(Doubler()).scheduler is not axon(Doubler()).scheduler
        """.replace("\n        ", "\n")
    ).assert_outcomes(passed=3)


def test_the_seed_may_be_given(run: Run) -> None:
    result = run(
        """
def test_seed(axon_seed, axon):
    assert axon_seed == 17
    assert axon(Doubler()).scheduler.seed == 17
    assert axon(Doubler(), seed=3).scheduler.seed == 3
""",
        "--axon-seed=17",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["axon: seed 17"])


def test_without_one_each_run_has_another(run: Run) -> None:
    def seed() -> str:
        result = run("def test_seed(axon_seed):\n    assert 0 <= axon_seed < 2**31\n")
        result.assert_outcomes(passed=1)
        return next(line for line in result.outlines if line.startswith("axon: seed "))

    assert len({seed() for _ in range(3)}) > 1


def test_a_test_may_be_run_with_many_seeds(run: Run) -> None:
    result = run(
        """
seeds = []

@pytest.mark.parametrize("other", "ab")
def test_many(axon, axon_seed, other):
    seeds.append(axon_seed)

def test_once():
    assert sorted(seeds) == [5, 5, 6, 6, 7, 7]
""",
        "--axon-seed=5",
        "--axon-seeds=3",
        "-v",
    )
    result.assert_outcomes(passed=7)
    result.stdout.fnmatch_lines(["axon: seeds 5 to 7", "*::test_many*seed=6* PASSED*"])


def test_a_failure_says_the_seed_and_how_to_have_it_again(run: Run) -> None:
    result = run(
        """
def test_fails(axon):
    h = axon(Doubler())
    h.put(21)
    h.settle()
    assert h.take() == [43]
""",
        "--axon-seed=5",
        "--axon-seeds=2",
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*- axon -*",
            "seed 6; the same again: pytest '*.py::test_fails' --axon-seed 6",
            "time 0.0 s, * seed 6 *",
            "  Doubler#1: awake, at *",
        ]
    )


def test_what_an_expectation_says_is_not_said_twice(run: Run) -> None:
    result = run("def test_fails(axon):\n    axon(Doubler()).expect('outbox', 42)\n")
    result.assert_outcomes(failed=1)
    text = result.stdout.str()
    assert text.count("Doubler#1: asleep") == 1
    assert "__tracebackhide__" not in text  # the test is shown, and not the inside of the harness
    assert "the same again: pytest" in text


def test_a_failure_without_a_seed_says_nothing_of_one(run: Run) -> None:
    result = run("def test_fails():\n    assert False\n", "--axon-seed=5")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*the same again*")


def test_a_number_of_seeds_below_one_is_refused(run: Run) -> None:
    result = run("def test_one(axon):\n    pass\n", "--axon-seeds=0")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--axon-seeds must be 1 or more*"])


def test_a_race_is_found_by_some_seed_and_again_by_the_same(run: Run) -> None:
    race = """
class FirstWins(component):
    def main(self):
        while not self.dataReady():
            self.pause()
            yield 1
        self.send(self.recv())

def test_race(axon):
    a, b, race = Scripted(Send("a")), Scripted(Send("b")), FirstWins()
    race.link((a, "outbox"), (race, "inbox"))
    race.link((b, "outbox"), (race, "inbox"))
    axon(race, a, b).expect("outbox", "a")
"""
    result = run(race, "--axon-seed=0", "--axon-seeds=20")
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] >= 1
    assert outcomes["failed"] >= 1
    line = next(line for line in result.outlines if "the same again: pytest" in line)
    seed = line.rpartition(" ")[2]
    run(race, f"--axon-seed={seed}").assert_outcomes(failed=1)


def test_the_processes_of_xdist_agree_about_the_seed(pytester: pytest.Pytester) -> None:
    from Axon import TestingPlugin

    def configured(**more: object) -> pytest.Config:
        config = pytester.parseconfig("-p", "Axon.TestingPlugin")
        for name, value in more.items():
            setattr(config, name, value)
        TestingPlugin.pytest_configure(config)
        return config

    class Node:
        config = configured()
        workerinput: dict[str, object] = {}

    TestingPlugin.pytest_configure_node(Node)
    worker = configured(workerinput=Node.workerinput)
    assert TestingPlugin.pytest_report_header(worker) == TestingPlugin.pytest_report_header(
        Node.config
    )
