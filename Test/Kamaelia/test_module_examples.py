"""
The example in a module's docstring does what the text around it says.

Every module of the library that offers components has one: the first block that is set off by
``::`` after the heading "Example Usage" is a whole program. What a block after "It prints::" shows
is what it prints. One that serves until Ctrl-C has ``# ends: ctrl-c`` as its first line: it gets
free ports instead of those that it asks for, and a Ctrl-C once it listens.
"""

import ast
import io
import signal
import textwrap
from pathlib import Path

import pytest

from Test.children import run_python

ROOT = Path(__file__).resolve().parent.parent.parent
SERVES = "# ends: ctrl-c\n"
SECONDS = 20

# Put before an example that serves.
FREE_PORTS = """
import os, signal, socket, threading

bind, listen = socket.socket.bind, socket.socket.listen


def bind_to_a_free_port(self, address):
    bind(self, (address[0], 0, *address[2:]) if isinstance(address, tuple) else address)
    if self.type == socket.SOCK_DGRAM:
        be_interrupted()


def listen_and_be_interrupted(self, *arguments):
    listen(self, *arguments)
    be_interrupted()


def be_interrupted():
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()


socket.socket.bind, socket.socket.listen = bind_to_a_free_port, listen_and_be_interrupted
"""


def docstring_of(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def offers_components(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "\n__kamaelia_components__" in text or "\n__kamaelia_prefabs__" in text


def block_after(text: str, mark: str) -> str | None:
    """The block that is set off by `::` at the end of the first line that ends in mark."""
    _, found, rest = text.partition(f"{mark}::\n")
    if not found:
        return None
    lines = rest.lstrip("\n").splitlines()
    end = next((at for at, line in enumerate(lines) if line and line[0] != " "), len(lines))
    return textwrap.dedent("\n".join(lines[:end])).strip("\n") + "\n"


def example_of(docstring: str) -> str | None:
    """The program that a docstring shows."""
    return block_after(docstring.partition("\nExample Usage\n")[2], "")


MODULES = [
    path
    for path in sorted((ROOT / "Kamaelia").rglob("*.py"))
    if "Grey" not in path.parts and offers_components(path)
]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_example_of_a_module_does_what_it_says(
    path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docstring = docstring_of(path)
    source = example_of(docstring)
    assert source is not None, "no program after `::` under Example Usage"
    if source.startswith(SERVES):
        assert complaint_about_server(source, tmp_path) is None
        return
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nyou\n"))
    monkeypatch.chdir(tmp_path)
    exec(compile(source, str(path), "exec"), {"__name__": "__main__"})  # noqa: S102 - the test
    # The console's prompts come from a thread, and so anywhere between the rest.
    printed = capsys.readouterr().out.replace("say> ", "").strip("\n")
    expected = block_after(docstring.partition("\nExample Usage\n")[2], "prints") or ""
    assert printed == expected.strip("\n")


def complaint_about_server(source: str, folder: Path) -> str | None:
    script = folder / "example.py"
    script.write_text(FREE_PORTS + source, encoding="utf-8")
    done = run_python(script, folder=folder, seconds=SECONDS)
    interrupted = done.returncode in (0, 130, -signal.SIGINT)
    if interrupted and "Traceback" not in done.stderr:
        return None
    # Not a traceback of anything but the Ctrl-C itself, which run() hands on.
    last = done.stderr.rstrip().splitlines()[-1:]
    only = done.stderr.count("Traceback") == 1 and last == ["KeyboardInterrupt"]
    return None if interrupted and only else done.stderr or f"exit code {done.returncode}"


@pytest.mark.parametrize("wrong", ["1 / 0", "import socket\nsocket.create_server(('', 0)); 1 / 0"])
def test_a_bad_server_is_caught(wrong: str, tmp_path: Path) -> None:
    assert complaint_about_server(SERVES + wrong, tmp_path) is not None
