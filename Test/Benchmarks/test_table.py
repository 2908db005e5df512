"""The table of engine benchmarks: everything runs, nothing is lost, numbers are read rightly."""

import importlib
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / "Benchmarks" / "engine"
MODULES = ("measuring", "workloads", "report", "throwaway", "echo", "table")
TINY = ("--rounds", "1", "--scale", "0.0005")


def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "table.py"), *options],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The benchmark's modules, which find each other as scripts do: in their own folder."""
    monkeypatch.syspath_prepend(FOLDER)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return {name: importlib.import_module(name) for name in MODULES}


def environment_in(folder: Path, pythonpath: Path) -> Path:
    """What looks like an environment, whose interpreter finds the modules of a folder."""
    (folder / "bin").mkdir()
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{pythonpath}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


# ---- the whole


@pytest.mark.slow
@pytest.mark.parametrize("systems", ["axon,asyncio,bare", "axon,original,streams"])
def test_every_workload_runs_on_every_system_that_has_it(
    systems: str, tmp_path: Path, bench: dict[str, ModuleType]
) -> None:
    # Our own engine plays the original's part: the same program runs on both.
    original = environment_in(tmp_path, ROOT)
    numbers = tmp_path / "numbers.json"
    done = run(*TINY, "--systems", systems, "--original", str(original), "--json", str(numbers))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(numbers.read_text("utf-8"))
    assert (report["left_out"], report["problems"]) == ({}, {})
    for workload in bench["workloads"].WORKLOADS:
        wanted = {name for name in systems.split(",") if name in ("axon", *workload.rivals)}
        assert set(report["medians"][workload.name]) == wanted
        for metric in workload.metrics:
            assert f"| `{workload.name}` | {metric.unit} |" in done.stdout
            for medians in report["medians"][workload.name].values():
                assert metric.unit.startswith("bytes") or medians[metric.key] > 0


def test_the_quick_table_needs_nothing_that_is_not_installed(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("before\n<!-- table -->\nold\n<!-- end of table -->\nafter\n")
    done = run(*TINY, "--quick", "--into", str(document))
    assert done.returncode == 0, done.stderr
    table = done.stdout.rstrip("\n")
    assert document.read_text() == (
        f"before\n<!-- table -->\n\n{table}\n\n<!-- end of table -->\nafter\n"
    )
    rows = [cells(line) for line in done.stdout.splitlines() if line.startswith("| `")]
    assert [row[0] for row in rows] == [
        "`lock_step`",
        "`burst_inbox`",
        "`ping_pong`",
        "`idle_bytes`",
    ]
    for row in rows:
        assert [bool(cell) for cell in row[2:8]] == [True, False, True, False, False, True]


@pytest.mark.slow
def test_a_rival_that_cannot_be_installed_is_left_out_with_the_reason() -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = run(*TINY, "--workloads", "ping_pong", "--systems", "axon,trio", **offline)
    assert done.returncode == 0, done.stderr
    assert "- trio: `ERROR: No matching distribution found for trio`" in done.stdout


def test_a_ready_environment_without_the_rival_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "Axon.py").write_text("raise ImportError('not this one')\n")
    original = environment_in(tmp_path, tmp_path / "lib")
    done = run(
        *TINY, "--workloads", "ping_pong", "--systems", "axon,original", "--original", str(original)
    )
    assert done.returncode == 0, done.stderr
    assert "- original: `ImportError: not this one`" in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        ("--rounds", "0"),
        ("--scale", "0"),
        ("--cpu", "9999"),
        ("--workloads", "ping_pong,nap"),
        ("--systems", "twisted"),
        ("--into", __file__.replace("test_table", "test_steps")),  # has no place for a table
    ],
)
def test_options_that_make_no_sense_are_refused(options: tuple[str, ...]) -> None:
    done = run(*options)
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_every_row_is_explained_in_the_document(bench: dict[str, ModuleType]) -> None:
    document = (ROOT / "Docs" / "performance.md").read_text("utf-8")
    for mark in bench["report"].MARKS:
        assert document.count(mark) == 1
    explained = document.partition("## What each row means")[2].partition("\n## ")[0]
    for workload in bench["workloads"].WORKLOADS:
        assert f"`{workload.name}`" in explained, workload.name


# ---- a run that goes wrong


def job(bench: dict[str, ModuleType], name: str, system: str, python: Path) -> object:
    workload = next(one for one in bench["workloads"].WORKLOADS if one.name == name)
    return bench["table"].Job(workload, system, str(python), 0, 0.001)


def speaking(folder: Path, script: str) -> Path:
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


def test_a_failing_system_is_named_with_its_last_words_and_not_tried_again(
    bench: dict[str, ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    python = speaking(tmp_path, "echo traceback >&2; echo 'KeyError: 7' >&2; exit 1")
    measurement = bench["table"].Measurement()
    jobs = [job(bench, "wake", "trio", python)]
    measurement.round(jobs)
    measurement.round(jobs)
    assert measurement.problems == {"wake on trio": "traceback / KeyError: 7"}
    assert measurement.failed == {"trio"}
    assert capsys.readouterr().err.count("wake on trio") == 1
    assert measurement.results(bench["workloads"].WORKLOADS, {}).medians == {}


def test_the_result_is_the_last_line_and_the_median_of_the_rounds(
    bench: dict[str, ModuleType], tmp_path: Path
) -> None:
    measurement = bench["table"].Measurement()
    for number in (1, 9, 2):
        python = speaking(tmp_path, f"echo chatter; echo '{{\"cpu_us\": {number}}}'")
        measurement.round([job(bench, "wake", "original", python)])
    results = measurement.results(bench["workloads"].WORKLOADS, {})
    assert results.medians == {("wake", "original"): {"cpu_us": 2}}


def test_a_child_that_hangs_ends_with_all_that_it_started(
    bench: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench["table"], "CHILD_SECONDS", 3)
    fifo = tmp_path / "fifo"
    started = tmp_path / "started"
    python = speaking(
        tmp_path, f"mkfifo {fifo}; sh -c 'echo $$ > {started}; read x < {fifo}' & read y < {fifo}"
    )
    measurement = bench["table"].Measurement()
    measurement.round([job(bench, "wake", "trio", python)])
    assert measurement.problems == {"wake on trio": "not done after 3 s"}
    child = Path("/proc") / started.read_text().strip() / "stat"
    # It was told to end; a machine under load may need a moment to end it.
    until = time.monotonic() + 20
    while runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not runs(child)


def runs(stat: Path) -> bool:
    """Is the process there, and not a zombie?"""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_server_that_does_not_come_up_is_an_error(bench: dict[str, ModuleType]) -> None:
    with (
        pytest.raises(SystemExit, match="server of nothing"),
        bench["echo"].served("/bin/false", "nothing", 0, 0),
    ):
        pytest.fail("there is no server")


# ---- the figures


def test_sizes_shrink_for_slow_systems_and_never_to_nothing(bench: dict[str, ModuleType]) -> None:
    workload = bench["workloads"].Workload("w", "", (), 100, (), {"original": 20})
    assert workload.size_for("axon", 1) == 100
    assert workload.size_for("original", 1) == 5
    assert workload.size_for("original", 0.001) == 1


def test_an_advantage_above_one_is_better_whichever_way_is_up(
    bench: dict[str, ModuleType],
) -> None:
    more, less = bench["workloads"].Better.MORE, bench["workloads"].Better.LESS
    metric = bench["workloads"].Metric
    assert metric("x", "hops/s", more).advantage(10, 2) == 5
    assert metric("x", "us", less).advantage(2, 10) == 5


def test_demands_are_judged_and_those_on_absent_rivals_are_not_mentioned(
    bench: dict[str, ModuleType],
) -> None:
    better, metric = bench["workloads"].Better, bench["workloads"].Metric
    verdicts = bench["report"].verdicts
    rate = metric("x", "/s", better.MORE, {"asyncio": 5, "trio": 2, "original": 9}, 100)
    assert list(verdicts(rate, {"axon": 90, "asyncio": 18, "trio": 46})) == [
        ("at least 100", False),
        ("asyncio 5x", True),
        ("trio 2x", False),
    ]
    cost = metric("x", "us", better.LESS, {"asyncio": 0.85}, 7)
    assert list(verdicts(cost, {"axon": 7, "asyncio": 6})) == [
        ("at most 7", True),
        ("asyncio 0.85x", True),
    ]
    assert list(verdicts(cost, {"asyncio": 6})) == []


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1_768_432, "1.77 M"),
        (999_600, "1 M"),
        (64_000, "64 k"),
        (1.1349, "1.13"),
        (-2_048, "-2.05 k"),
    ],
)
def test_numbers_have_three_digits(number: float, text: str, bench: dict[str, ModuleType]) -> None:
    assert bench["report"].short(number) == text


def test_a_report_says_what_is_missing_and_gives_no_ratio_to_nothing(
    bench: dict[str, ModuleType],
) -> None:
    workload = next(one for one in bench["workloads"].WORKLOADS if one.name == "left_behind")
    medians = {
        ("left_behind", "axon"): {"bytes": 60.0},
        ("left_behind", "original"): {"bytes": 6000.0},
        ("left_behind", "asyncio"): {"bytes": -3.0},
    }
    results = bench["report"].Results(
        [workload], medians, {"trio": "no `network`"}, {"wake on bare": "KeyError"}
    )
    text = bench["report"].as_markdown(results, {"rounds": "3"})
    row = next(line for line in text.splitlines() if line.startswith("| `left_behind`"))
    assert cells(row) == [
        "`left_behind`", "bytes", "60", "6 k (100x)", "-3", "", "", "", "**missed:** at most 50",
    ]  # fmt: skip
    assert "Measured on: rounds 3." in text
    assert "- trio: `no 'network'`\n- wake on bare: `KeyError`" in text


def test_percentiles_are_of_the_sorted_samples(bench: dict[str, ModuleType]) -> None:
    samples = [number / 1e6 for number in range(100, 0, -1)]
    found = bench["measuring"].percentiles(samples)
    assert found == pytest.approx({"p50_us": 51, "p99_us": 100})
