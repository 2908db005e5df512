"""
pytest and the seed
===================
A plugin for pytest. A test that asks for the fixture ``axon`` makes harnesses with it, and one that
asks for ``axon_seed`` gets the bare number; either way the seed is a new one in each run of pytest,
so that in the course of time many orders are tried, and a failure says which it was and how to have
it again.

    --axon-seed N    use this seed
    --axon-seeds N   run each test that depends on the seed N times, with N seeds

``pytest_plugins = ["Axon.TestingPlugin"]`` in the uppermost conftest.py loads it, or ``-p
Axon.TestingPlugin`` on the command line. It does not load itself where Axon is installed: pytest
would then rewrite the modules of the whole package, in everybody's tests. Nothing else of Axon
imports this module or pytest.

Example Usage
-------------
::

    def test_doubles(axon):
        h = axon(Doubler())  # stopped after the test; `with axon(Doubler()) as h:` works too
        h.put(21)
        h.expect("outbox", 42)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from random import SystemRandom
from typing import Any

import pytest

from Axon.TestingHarness import ExpectationError, Harness

_LARGEST = 2**31
_BASE = pytest.StashKey[int]()
_SEED = pytest.StashKey[int]()
_HARNESSES = pytest.StashKey[list[Harness]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("axon", "Axon: the order in which components have their turns")
    group.addoption(
        "--axon-seed", type=int, metavar="N", help="seed of that order (default: a new one)"
    )
    group.addoption(
        "--axon-seeds",
        type=int,
        default=1,
        metavar="N",
        help="run each test that uses the axon or axon_seed fixture with N seeds",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("axon_seeds") < 1:
        raise pytest.UsageError("--axon-seeds must be 1 or more")
    base = config.getoption("axon_seed")
    if base is None:
        # Under pytest-xdist all processes must agree: else each would collect other tests.
        worker: dict[str, Any] = getattr(config, "workerinput", {})
        base = worker.get("axon_seed", SystemRandom().randrange(_LARGEST))
    config.stash[_BASE] = base


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """pytest-xdist starts a process."""
    node.workerinput["axon_seed"] = node.config.stash[_BASE]


def pytest_report_header(config: pytest.Config) -> str:
    seeds, base = config.getoption("axon_seeds"), config.stash[_BASE]
    return f"axon: seed {base}" if seeds == 1 else f"axon: seeds {base} to {base + seeds - 1}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    seeds, base = metafunc.config.getoption("axon_seeds"), metafunc.config.stash[_BASE]
    if seeds > 1 and "axon_seed" in metafunc.fixturenames:
        metafunc.parametrize(
            "axon_seed", range(base, base + seeds), indirect=True, ids=lambda seed: f"seed={seed}"
        )


@pytest.fixture
def axon_seed(request: pytest.FixtureRequest) -> int:
    """Give the seed that this test is to use."""
    seed: int = getattr(request, "param", request.config.stash[_BASE])
    request.node.stash[_SEED] = seed
    return seed


@pytest.fixture
def axon(axon_seed: int, request: pytest.FixtureRequest) -> Iterator[Callable[..., Harness]]:
    """Give a function like Axon.Testing.harness: its seed is the test's, and what it makes runs at
    once and is stopped after the test."""
    harnesses: list[Harness] = request.node.stash.setdefault(_HARNESSES, [])
    with ExitStack() as open_ones:

        def harness(*components: Any, **options: Any) -> Harness:
            made = open_ones.enter_context(Harness(*components, **{"seed": axon_seed, **options}))
            harnesses.append(made)
            return made

        yield harness


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    seed = item.stash.get(_SEED, None)
    if report.failed and seed is not None:
        test = item.nodeid.partition("[")[0]
        lines = [f"seed {seed}; the same again: pytest '{test}' --axon-seed {seed}"]
        if call.excinfo is None or not call.excinfo.errisinstance(ExpectationError):  # has it
            lines += [harness.report() for harness in item.stash.get(_HARNESSES, [])]
        report.sections.append(("axon", "\n".join(lines)))
    return report
