"""Every file in Test/BadConfigs gives the problems that its first lines expect, and no others.

Such a line is `# expect: LINE:COLUMN: message => cure`; the part from `=>` on is missing where
there is no cure.
"""

from pathlib import Path

import pytest

from Kamaelia.Apps.Grey.Config.Loader import ConfigError, load

FOLDER = Path(__file__).parents[4] / "BadConfigs"
FILES = sorted(FOLDER.glob("*.conf"))
MARK = "# expect: "


def expected(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 15


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_gives_the_problems_it_expects(path: Path) -> None:
    assert expected(path)
    with pytest.raises(ConfigError) as raised:
        load(path)
    found = [
        f"{p.line}:{p.column}: {p.message}" + (f" => {p.cure}" if p.cure else "")
        for p in raised.value.problems
    ]
    assert found == expected(path)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_problem_is_shown_with_its_line_and_a_caret(path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load(path)
    for problem in raised.value.problems:
        head, _, caret, *_ = str(problem).split("\n")
        assert head.startswith(f"{path}:{problem.line}:{problem.column}: ")
        assert caret.strip() == "^"
