"""
Every example runs as a reader would run it, and ends well.

One that serves until it is told to stop has ``# ends: ctrl-c`` as its first line; it is interrupted
once it has printed something, and must then end without a traceback. One whose text says that its
first argument is a ``[PORT`` is told 0, so that it takes one that is free.
"""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from Test.children import unmeasured

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 20
MARKER = "# ends: ctrl-c"
TAKES_PORT = ".py [PORT"
ENDED_BY_CTRL_C = (0, 130)  # 130: what a shell reports for it, and polite programs do


def examples() -> list[Path]:
    return sorted((ROOT / "Examples").rglob("*.py"))


def complaint_about(example: Path, folder: Path, seconds: float = SECONDS) -> str | None:
    """Run one example in `folder`; say what was wrong with its end."""
    source = example.read_text(encoding="utf-8")
    interrupted = source.partition("\n")[0].strip() == MARKER
    arguments = ["0"] if TAKES_PORT in source else []
    with (
        (folder / "stderr").open("w+") as errors,
        subprocess.Popen(
            [sys.executable, str(example), *arguments],
            cwd=folder,
            env=unmeasured(PYTHONUNBUFFERED="1"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        try:
            if interrupted:
                # A silent example hangs here, and is ended by the time limit of this test.
                child.stdout.readline()
                child.send_signal(signal.SIGINT)
            child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            return f"did not end in {seconds} seconds"
        finally:
            if child.poll() is None:
                child.kill()
        errors.seek(0)
        text = errors.read()
    if child.returncode not in (ENDED_BY_CTRL_C if interrupted else (0,)):
        return f"exit code {child.returncode}: {text}"
    return text if "Traceback" in text else None


@pytest.mark.parametrize("example", examples(), ids=lambda path: str(path.relative_to(ROOT)))
@pytest.mark.timeout(2 * SECONDS)
def test_an_example_runs_to_its_end(example: Path, tmp_path: Path) -> None:
    assert complaint_about(example, tmp_path) is None


@pytest.mark.parametrize(
    "source",
    [
        "raise SystemExit(3)",
        "import no.such.module",
        "import time\ntime.sleep(60)",
        f"{MARKER}\nimport time\nprint('up')\ntime.sleep(60)",  # KeyboardInterrupt gets out
        f"{MARKER}\nprint('up')\nraise SystemExit(3)",
    ],
)
def test_a_bad_example_is_caught(source: str, tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(source)
    assert complaint_about(example, tmp_path, seconds=1) is not None


@pytest.mark.parametrize(
    "source",
    [
        "import Axon",
        f"{MARKER}\nimport time\ntry:\n    print('up')\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    pass",
    ],
)
def test_a_good_example_passes(source: str, tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(source)
    assert complaint_about(example, tmp_path) is None
