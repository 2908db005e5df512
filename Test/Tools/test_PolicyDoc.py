"""The reference of the policy language is what its tables and its grammar say, and the manual pages
are fit for man(1)."""

import doctest
import importlib
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyparsing as pp
import pytest

from Kamaelia.Apps.Grey.Config.Loader import load_with_warnings, loads
from Kamaelia.Apps.Grey.Config.Policy.ClauseTable import CLAUSES, VALUES, Shape
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS
from Kamaelia.Apps.Grey.Config.Policy.Syntax import SHAPES
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS
from Kamaelia.Apps.Grey.Core.Access.Codes import CODES, WITH_ARGUMENT
from Test.children import unmeasured

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "Tools"))
PolicyDoc = importlib.import_module("PolicyDoc")
PolicyCodes = importlib.import_module("PolicyCodes")
PolicyNotes = importlib.import_module("PolicyNotes")
Railroad = importlib.import_module("Railroad")
Svg = importlib.import_module("Svg")

ENTRIES = PolicyDoc.entries()
MANUAL = ROOT / PolicyDoc.MANUAL


def test_the_pages_are_what_would_be_written_now() -> None:
    tool = [sys.executable, str(ROOT / "Tools" / "PolicyDoc.py"), "--check"]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0), (
        "run: python Tools/PolicyDoc.py"
    )


def test_every_row_of_the_tables_has_its_page() -> None:
    named = {(entry.kind, entry.keyword) for entry in ENTRIES}
    assert named == {
        *(("statement", name) for name in STATEMENTS),
        *(("clause", name) for name in (*CLAUSES, "$property", "*")),
        *(("value", name) for name in VALUES),
    }
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)


def test_every_note_belongs_to_a_row() -> None:
    assert PolicyNotes.STATEMENT_NOTES.keys() == STATEMENTS.keys()
    assert PolicyNotes.CLAUSE_NOTES.keys() == {*CLAUSES, "$property", "*"}
    assert PolicyNotes.VALUE_NOTES.keys() == VALUES.keys()


def test_every_code_is_explained_and_no_other() -> None:
    said = re.findall(r"%(\w+|%)(\{)?", " ".join(PolicyCodes.CODES))
    plain = {code for code, argument in said if not argument}
    assert plain == {*CODES, "%"}
    assert {code for code, argument in said if argument} == set(WITH_ARGUMENT)


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry.note.example], ids=lambda entry: entry.name
)
def test_an_example_is_a_file_that_uses_what_it_is_an_example_of(entry: object) -> None:
    example: str = entry.note.example  # type: ignore[attr-defined]
    keyword: str = entry.keyword  # type: ignore[attr-defined]
    loads(example)
    word = {"$property": r"\$\w+ "}.get(keyword, re.escape(keyword))
    assert re.search(rf"(?:^|\W){word}", example, re.MULTILINE)


def test_only_what_is_not_offered_has_no_example() -> None:
    without = {entry.name for entry in ENTRIES if not entry.note.example}
    assert without == {entry.name for entry in ENTRIES if entry.missing}
    assert "statement.drac" in without


# ---- expressions: what is a letter in a basic one is easily taken for more

CONF = re.compile(r"^```conf\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPRESSION = re.compile(r'"(?:\\.|[^"\\])*"|(?<=[\s{])(/(?:\\.|[^/\\\n])+/)(?=[\s}])')
EXTENDED = re.compile(r"\\.|\[[^]]*\]|([+?(|])")


def taken_for_more(text: str) -> list[str]:
    """Expressions that have a letter in them which only an extended one has a use for."""
    head = text.partition("\nextendedregex")[0] if not text.startswith("extendedregex") else ""
    found = [match[1] for match in EXPRESSION.finditer(head) if match[1]]
    return [one for one in found if any(part[1] for part in EXTENDED.finditer(one))]


@pytest.mark.parametrize(
    "path",
    [*sorted((ROOT / "Docs").glob("operating/**/*.md")), MANUAL],
    ids=lambda path: path.name,
)
def test_an_expression_that_is_shown_is_of_the_kind_that_holds_there(path: Path) -> None:
    blocks = CONF.findall(path.read_text("utf-8"))
    assert [one for block in blocks for one in taken_for_more(block)] == []


@pytest.mark.parametrize(
    "block", CONF.findall((ROOT / "Docs" / "operating" / "policy.md").read_text("utf-8"))
)
def test_nothing_is_odd_in_what_the_guide_shows(block: str, tmp_path: Path) -> None:
    path = tmp_path / "greylist.conf"
    path.write_text(block, "utf-8")
    assert [str(warning) for warning in load_with_warnings(path).warnings] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("racl greylist helo /^[0-9.]+$/\n", ["/^[0-9.]+$/"]),
        ("racl greylist helo /^[0-9.+?]*$/ rcpt /a\\+b/\n", []),
        ("extendedregex\nracl greylist helo /a+/\n", []),
        ('racl greylist from /a|b/ msg "/a+/ 1/2"\n', ["/a|b/"]),
    ],
)
def test_such_an_expression_is_found(text: str, found: list[str]) -> None:
    assert taken_for_more(text) == found


# ---- the tracks


@pytest.mark.parametrize(
    ("shape", "track"),
    [
        (Shape.NOTHING, "sequence()"),
        (Shape.MAIL, "<mail address or /expression/>"),
        (Shape.MAY_COMPARE, "maybe(sequence(<comparison> <number or $property>))"),
        (Shape.SCOPE, "choice('session' 'command')"),
        (Shape.HEADER, "sequence(<text in quotes> maybe(sequence(',' <number>)))"),
    ],
)
def test_a_track_is_read_from_the_grammar(shape: Shape, track: str) -> None:
    assert str(Railroad.track_of(SHAPES[shape])) == track


def test_a_rule_of_3_0_has_no_id_and_does_not_continue() -> None:
    tracks = {entry.name: str(entry.track) for entry in ENTRIES}
    assert "continue" not in tracks["statement.acl"]
    assert "text in quotes" not in tracks["statement.acl"]
    assert "'continue'" in tracks["statement.racl"]
    assert "maybe(<text in quotes>)" in tracks["statement.racl"]


def test_an_element_that_nobody_can_draw_is_said() -> None:
    with pytest.raises(TypeError, match="no track for Word"):
        Railroad.track_of(pp.Word("a"))


def test_a_picture_is_drawn_in_our_colours_and_loads_nothing() -> None:
    pytest.importorskip("railroad")
    entry = next(entry for entry in ENTRIES if entry.name == "statement.racl")
    drawn = Railroad.svg(entry.track, PolicyDoc.picture(entry))
    assert Svg.key_of(drawn) == Svg.key(PolicyDoc.picture(entry))
    assert "prefers-color-scheme:dark" in drawn
    assert re.findall(r"(?:href|src|url\()", drawn) == []
    assert ">blacklist</text>" in drawn
    assert Svg.inline(drawn, 1).count("<style>") == 0


def test_the_pictures_that_lie_there_have_their_words() -> None:
    for entry in ENTRIES:
        drawn = (ROOT / PolicyDoc.FOLDER / "pictures" / f"{entry.name}.svg").read_text("utf-8")
        assert drawn.count("<text ") >= 1, entry.name


# ---- stale pages


def test_what_is_changed_missing_or_too_much_is_found_and_mended(tmp_path: Path) -> None:
    pytest.importorskip("railroad")
    found = [entry for entry in ENTRIES if entry.keyword in ("spf", "nospf")]
    folder = tmp_path / PolicyDoc.FOLDER
    PolicyDoc.write(found, tmp_path, PolicyDoc.stale(found, tmp_path))
    assert PolicyDoc.stale(found, tmp_path) == []
    (folder / "clause.spf.md").write_text("changed")
    (folder / "statement.nospf.md").unlink()
    (folder / "statement.gone.md").write_text("no such row")
    picture = folder / "pictures" / "clause.spf.svg"
    picture.write_text(picture.read_text("utf-8").replace("<!-- key: ", "<!-- key: 0"), "utf-8")
    names = PolicyDoc.stale(found, tmp_path)
    assert [name.rpartition("/")[2] for name in names] == [
        "clause.spf.md",
        "clause.spf.svg",
        "statement.gone.md",
        "statement.nospf.md",
    ]
    PolicyDoc.write(found, tmp_path, names)
    assert PolicyDoc.stale(found, tmp_path) == []


def test_a_list_of_the_manual_page_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        PolicyDoc.manual("<!-- made: nothing -->\n<!-- end -->", ENTRIES)


# ---- the manual pages


def test_the_manual_page_says_every_word_of_the_file() -> None:
    text = MANUAL.read_text("utf-8")
    missing = [entry.name for entry in ENTRIES if f"\n`{entry.usage}`\n: " not in text]
    missing += [name for name in SETTINGS if f"\n`{name}`\n: " not in text]
    assert missing == []


@pytest.fixture(scope="module")
def manuals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from nothing but themselves: the site as a whole is Test/Docs/test_site.py's."""
    folder = tmp_path_factory.mktemp("man")
    source = folder / "source"
    (source / "man").mkdir(parents=True)
    (source / "index.md").write_text("# Manual pages\n", "utf-8")
    for path in MANUAL.parent.glob("*.md"):
        (source / "man" / path.name).write_text(path.read_text("utf-8"), "utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "man"]
    command += ["-c", str(ROOT / "Docs"), "-D", "suppress_warnings=toc.not_included"]
    done = subprocess.run(
        [*command, "-d", str(folder / "trees"), str(source), str(folder / "made")],
        env=unmeasured(PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "made"


@pytest.mark.slow
@pytest.mark.needs("groff")
@pytest.mark.parametrize("name", ["kamaelia-grey.8", "greylist.conf.5"])
def test_a_manual_page_is_clean_for_man(
    name: str, manuals: Path, find_program: Callable[[str], Path]
) -> None:
    command = [
        str(find_program("groff")),
        "-man",
        "-t",
        "-ww",
        "-Tutf8",
        "-rLL=78n",
        str(manuals / name),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    plain = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "FILES", "EXAMPLES", "SEE ALSO"):
        assert f"\n{heading}\n" in f"\n{plain}", heading
    assert max(map(len, plain.splitlines())) < 100


def test_the_examples_of_the_tools_are_true() -> None:
    assert doctest.testmod(Railroad).failed == 0
    assert doctest.testmod(Railroad).attempted > 0
