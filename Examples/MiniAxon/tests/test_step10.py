"""Step 10: your core runs components of the library, as they are."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["EchoProtocol", "PassThrough"])
def test_the_component_is_the_one_of_the_library(mine, name):
    file = Path(getattr(mine, name).main.__code__.co_filename)
    library = ROOT / "Kamaelia"
    assert file.is_relative_to(library), f"import {name} from the library, not from {file}"


@pytest.mark.parametrize("name", ["EchoProtocol", "PassThrough"])
def test_its_base_is_your_component(mine, name):
    kind = getattr(mine, name)
    assert issubclass(kind, mine.mine.component), (
        f"{name} is built on {kind.__base__.__module__}: put your module into sys.modules, as"
        " 'Axon.Component' and 'Axon.Ipc', before you import from Kamaelia"
    )


def test_nothing_of_the_real_axon_is_loaded(mine):
    program = f"import runpy, sys; runpy.run_path({mine.__file__!r}); print(*sys.modules)"
    path = [str(Path(mine.__file__).parent), str(ROOT / "Examples" / "MiniAxon"), str(ROOT)]
    code = f"import sys; sys.path[:0] = {path}; {program}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert not loaded & {"Axon.Scheduler", "Axon.Microprocess", "Axon.Box"}


def test_the_program_runs_to_its_end(mine):
    done = subprocess.run(
        [sys.executable, mine.__file__],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'Examples' / 'MiniAxon'}"},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout, "it should show something of what it does"


@pytest.mark.parametrize("pipewidth", [None, 1])
def test_the_library_s_components_work_on_your_core(mine, pipewidth):
    core = mine.mine
    engine = core.scheduler()
    words = [b"one", b"two", b"three"]

    class Source(core.component):
        def main(self):
            for word in words:
                yield from self.put(word)

    line = [Source(), mine.EchoProtocol(), mine.PassThrough(), core.component()]
    for one, other in pairwise(line):
        one.link((one, "outbox"), (other, "inbox"), pipewidth=pipewidth)
        one.link((one, "signal"), (other, "control"))
    for one in line[:-1]:
        one.activate(engine)
    engine.runThreads()
    last, got = line[-1], []
    while last.dataReady():
        got.append(last.recv())
        engine.runThreads()
    assert got == words
    assert isinstance(last.told_to_stop(), core.producerFinished), "the end must get through"
    assert all(one.ended for one in line[:-1])
