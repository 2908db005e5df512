"""The example in a module's docstring does what the text around it says."""

import importlib
import io
import textwrap

import pytest

SHOWN = {
    "Kamaelia.Chassis.Pipeline": "one two three",
    "Kamaelia.Chassis.Graphline": "hello",
    "Kamaelia.Util.Console": "hello\nyou\n",
    "Kamaelia.Util.DataSource": "apple\npear\nplum\n",
    "Kamaelia.Util.NullSink": "",
    "Kamaelia.Util.OneShot": "bang!",
    "Kamaelia.Util.PassThrough": "toandfro",
    "Kamaelia.Protocol.EchoProtocol": "b'hello 'b'hello'",
}


def example_of(docstring: str) -> str:
    """The first block that is set off by `::`."""
    block = docstring.partition("::\n")[2].lstrip("\n")
    lines = block.splitlines()
    end = next((at for at, line in enumerate(lines) if line and line[0] != " "), len(lines))
    return textwrap.dedent("\n".join(lines[:end]))


@pytest.mark.parametrize("name", SHOWN)
def test_the_example_of_the_module_shows_what_it_should(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nyou\n"))
    source = example_of(importlib.import_module(name).__doc__ or "")
    assert ".run()" in source
    exec(compile(source, name, "exec"), {})  # noqa: S102 - running it is the test
    # The console's prompts come from a thread, and so anywhere between the rest.
    assert capsys.readouterr().out.replace("say> ", "") == SHOWN[name]
