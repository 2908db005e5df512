"""Grammar: what the two forms of statement mean, where their words stand, what is reported."""

import re
from collections.abc import Mapping

import pyparsing as pp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from Kamaelia.Apps.Grey.Config.Grammar import (
    Assignment,
    Block,
    Other,
    Switch,
    Word,
    did_you_mean,
    masked,
    statements,
)
from Kamaelia.Apps.Grey.Config.Problem import ConfigError, Problem, Report

KEYS = ["port", "listen", "allowed_domains", "serverid"]


def read(text: str) -> tuple[list[Assignment | Block], list[Problem]]:
    report = Report("f", text)
    found = [one for one in statements(report, KEYS) if not isinstance(one, Other)]
    return found, report.problems


def good(text: str) -> list[tuple[str, object]]:
    """The statements as plain tuples: a value, or the rows of a block."""
    found, problems = read(text)
    assert problems == []
    return [
        (s.key.text, s.value.text)
        if isinstance(s, Assignment)
        else (s.key.text, [tuple(word.text for word in row) for row in s.rows])
        for s in found
    ]


def bad(text: str) -> list[tuple[int, int, str]]:
    return [(p.line, p.column, p.message) for p in read(text)[1]]


# --- key = value --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("port = 25", "25"),
        ("port=25", "25"),
        ("  \tport\t=\t25 \t", "25"),
        ("port = 25\r", "25"),
        ("port = 25 # comment", "25"),
        ("port = 25# no comment", "25# no comment"),
        ("port =", ""),
        ("port = # nothing", ""),
        ("port = two  words", "two  words"),
        ('port = "# = \\" \\\\ \\n"', '# = " \\ \\n'),
        ('port = "" ', ""),
        ('port = "string" # comment', "string"),
        ('port = say "hi" now', 'say "hi" now'),
        ('port = 5" disk # and 6"', '5" disk'),
        ("port = größe", "größe"),
    ],
)
def test_the_value_is_what_stands_behind_the_sign(line: str, value: str) -> None:
    assert good(line) == [("port", value)]
    assert good(f"{line}\n") == [("port", value)]


def test_an_unquoted_value_ends_at_a_second_sign_as_it_always_did() -> None:
    assert good("port = 25 = 26") == [("port", "25")]
    assert good('port = "25 = 26"') == [("port", "25 = 26")]


def test_the_words_of_a_value_have_places_of_their_own() -> None:
    (found,), _ = read('\nport =\tone  "two 2"\n')
    assert isinstance(found, Assignment)
    assert found.key == Word("port", 2, 1)
    assert found.value == Word('one  "two 2"', 2, 8)
    assert found.words == (Word("one", 2, 8), Word("two 2", 2, 13))


def test_the_place_of_a_missing_value_is_behind_the_sign() -> None:
    (found,), _ = read("port =   # nothing")
    assert isinstance(found, Assignment)
    assert found.value == Word("", 1, 7)
    assert found.words == ()


def test_a_key_that_nobody_knows_is_a_statement_all_the_same() -> None:
    assert good("no-such_key2 = 1\ngröße:\n  x\n") == [("no-such_key2", "1"), ("größe", [("x",)])]


# --- key: and rows ------------------------------------------------------------------------


def test_a_block_has_the_indented_lines_below_it() -> None:
    assert good("listen:\n    a\n\tb c\n d\nport = 1\n") == [
        ("listen", [("a",), ("b", "c"), ("d",)]),
        ("port", "1"),
    ]


@pytest.mark.parametrize(
    "between",
    ["\n", "# comment\n", "    # comment\n", "   \t\n", "\r\n", "\n\n# a\n\n", "   \r\n"],
)
def test_a_comment_or_an_empty_line_does_not_end_a_block(between: str) -> None:
    assert good(f"listen:\n    a\n{between}    b\n") == [("listen", [("a",), ("b",)])]
    assert good(f"listen:\n{between}    a\n") == [("listen", [("a",)])]


@pytest.mark.parametrize(
    "head", ["listen:", "listen :", "listen: \t", "listen: # why", "listen:\r"]
)
def test_a_block_begins_with_its_name_and_a_colon(head: str) -> None:
    assert good(f"{head}\n    a") == [("listen", [("a",)])]
    assert good(head) == [("listen", [])]


def test_rows_have_strings_too() -> None:
    assert good('listen:\n  "a b" "" c"d # e\n') == [("listen", [("a b", "", 'c"d')])]


def test_a_line_in_the_first_column_ends_a_block() -> None:
    assert good("listen:\n    a\nport = 1\n") == [("listen", [("a",)]), ("port", "1")]


def test_the_places_of_rows_count_tabs_and_characters_as_one() -> None:
    (found,), _ = read("# größe\nlisten:\n\t日本\t\tx\n")
    assert isinstance(found, Block)
    assert found.rows == ((Word("日本", 3, 2), Word("x", 3, 6)),)


# --- comments and joined lines ------------------------------------------------------------


def test_an_empty_text_has_no_statements() -> None:
    for text in ("", "\n", "   ", "# only a comment", "\n \t\n#\n\r\n"):
        assert good(text) == []


@pytest.mark.parametrize("join", ["\\\n", "\\  \n", "\\ # why\n", "\\\r\n", "\\\n\\\n"])
def test_a_backslash_at_the_end_joins_the_next_line(join: str) -> None:
    found, problems = read(f"listen:\n  a {join}  b\nport = 1\n")
    assert problems == []
    assert isinstance(found[0], Block)
    assert [[word.text for word in row] for row in found[0].rows] == [["a", "b"]]
    assert found[0].rows[0][1].line == 3 + join.count("\n") - 1
    assert found[1].key.line == 4 + join.count("\n") - 1


def test_a_backslash_elsewhere_is_a_character() -> None:
    assert good("serverid = a\\b \\c # d \\\nport = 1") == [
        ("serverid", "a\\b \\c"),
        ("port", "1"),
    ]


# --- mistakes -----------------------------------------------------------------------------


def test_a_mistake_does_not_hide_what_is_around_it() -> None:
    found, problems = read("port = 1\nprot 2\nport = 3\n= 4\nport = 5")
    assert [(s.key.line, s.value.text) for s in found if isinstance(s, Assignment)] == [
        (1, "1"),
        (3, "3"),
        (5, "5"),
    ]
    assert [p.line for p in problems] == [2, 4]


def test_a_mistyped_word_gets_a_suggestion() -> None:
    _, (problem,) = read("prot 25")
    assert problem.message == 'unknown word "prot"'
    assert problem.cure == 'did you mean "port"?'


def test_a_word_like_no_other_gets_none() -> None:
    _, (problem,) = read("xyzzy")
    assert problem.cure == ""


def test_an_indented_line_without_a_list_is_explained() -> None:
    _, (problem,) = read("port = 25\n    example.org\n")
    assert (problem.line, problem.column) == (2, 5)
    assert "belongs below a line like" in problem.cure


def test_the_rows_below_a_bad_head_are_not_reported_one_by_one() -> None:
    assert bad("bad head:\n    a\n# c\n\n\tb c\nport = 1\nworse head:\n  x") == [
        (1, 1, 'unknown word "bad"'),
        (7, 1, 'unknown word "worse"'),
    ]


def test_a_key_needs_a_sign() -> None:
    assert bad("port 25") == [(1, 6, 'expected "=" after "port"')]
    assert bad("port") == [(1, 5, 'expected "=" after "port"')]
    assert bad("listen ::1") == [(1, 8, 'expected "=" after "listen"')]
    assert bad("port == 25") == [(1, 6, 'expected "=" after "port"')]


def test_nothing_stands_behind_the_colon() -> None:
    assert bad("listen: 127.0.0.1") == [(1, 9, 'nothing may follow ":" on its line')]


@pytest.mark.parametrize(
    ("line", "column", "cure"),
    [
        ("= 25", 1, 'write it like "port = 25"'),
        ('  "port" = 25', 3, 'write it like "port = 25"'),
        ("\N{NO-BREAK SPACE}port = 25", 1, "use ordinary blanks or tabs"),
        ("\fport = 25", 1, "use ordinary blanks or tabs"),
    ],
)
def test_a_statement_begins_with_a_word(line: str, column: int, cure: str) -> None:
    _, (problem,) = read(line)
    assert problem.message.startswith("a statement cannot begin with")
    assert (problem.column, problem.cure) == (column, cure)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('port = "25', (1, 8)),
        ('port = "25\\"', (1, 8)),
        ('port = "25"26', (1, 8)),
        ('port = x "25', (1, 10)),
        ('listen:\n  a\n  b "c', (3, 5)),
    ],
)
def test_a_string_without_an_end_is_reported_where_it_begins(
    text: str, place: tuple[int, int]
) -> None:
    assert bad(text) == [(*place, "this string does not end with a quote and a blank")]


def test_the_good_rows_of_a_block_are_kept_when_others_are_bad() -> None:
    found, problems = read('listen:\n  "a\n  b\n  "c\n')
    assert [p.line for p in problems] == [2, 4]
    assert isinstance(found[0], Block)
    assert [row[0].text for row in found[0].rows] == ["b"]


def test_a_block_of_bad_rows_only_is_not_called_empty_as_well() -> None:
    found, problems = read('listen:\n  "a\n')
    assert found == []
    assert len(problems) == 1


def test_text_behind_a_string_is_reported_where_it_stands() -> None:
    assert bad('port = "25" 26') == [(1, 13, "unexpected text after a string")]


def test_noise_ends_with_a_hundred_problems() -> None:
    with pytest.raises(ConfigError) as raised:
        read("?\n" * 100_000)
    assert len(raised.value.problems) == 101


@pytest.mark.parametrize(
    "text",
    [
        'port = "' + '\\"' * 200_000,
        'port = "' + ' "' * 200_001,
        "\\ " * 200_000,
        " \t" * 200_000 + "x",
        "port:" * 200_000,
        "listen:" + "\n \t" * 200_000 + "\nx",
        'x = "\\',
    ],
    ids=lambda text: repr(text[:12]),
)
@pytest.mark.timeout(20)
def test_long_odd_lines_take_no_long_time(text: str) -> None:
    assert len(read(text)[1]) <= 1


FRAGMENTS = ["port", "=", ":", "\n", " ", "\t", '"', "\\", "#", "  a b", "\r\n", "listen:\n", "ü"]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join))
def test_any_text_is_read_to_its_end(text: str) -> None:
    found, problems = read(text + "\nport = last\n")
    last = found[-1] if found else None
    joined = text.rstrip(" \t\r").endswith("\\")  # then the last line belongs to the one before
    if not joined and not re.search(r"\\[ \t\r]*#[^\n]*\Z", text):
        assert isinstance(last, Assignment)
        assert last.value.text == "last"
    lines = (text + "\nport = last\n").split("\n")
    for problem in problems:
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
    for statement in found:
        key = statement.key
        assert lines[key.line - 1].startswith(key.text, key.column - 1)


# --- statements of other kinds join as rows of the table ----------------------------------


def rule(word: str, *parts: pp.ParserElement) -> pp.ParserElement:
    whole: pp.ParserElement = pp.CaselessKeyword(word).set_whitespace_chars(" \t\r")
    for part in parts:
        whole = whole - part
    return whole.set_parse_action(lambda tokens: [tuple(tokens)])


@pytest.fixture
def table() -> Mapping[str, pp.ParserElement]:
    length = pp.Regex(r"/\d+").set_whitespace_chars(" \t\r").set_name("/prefix length")
    return {
        "quiet": rule("quiet"),
        "subnetmatch": rule("subnetmatch", length),
        "peer": rule("peer", pp.Opt(rule("within", length))),
    }


def with_table(
    text: str, table: Mapping[str, pp.ParserElement]
) -> tuple[list[object], list[Problem]]:
    report = Report("f", text)
    return list(statements(report, KEYS, table)), report.problems


def test_statements_of_other_kinds_are_rows_of_a_table(
    table: Mapping[str, pp.ParserElement],
) -> None:
    found, problems = with_table("quiet # c\nport = 1\n  SubnetMatch \\\n /24\nquiet", table)
    assert problems == []
    assert [s.key.text if isinstance(s, Assignment) else s for s in found] == [
        ("quiet",),
        "port",
        ("subnetmatch", "/24"),
        ("quiet",),
    ]


def test_their_mistakes_are_reported_where_they_are(
    table: Mapping[str, pp.ParserElement],
) -> None:
    found, problems = with_table("subnetmatch 24\nquiet now\nquite\nquiet\n", table)
    assert found == [("quiet",)]
    assert [(p.line, p.column, p.message) for p in problems] == [
        (1, 13, "Expected /prefix length"),
        (2, 7, "Expected the end of the line"),
        (3, 1, 'unknown word "quite"'),
    ]
    assert problems[2].cure == 'did you mean "quiet"?'


def test_an_optional_part_that_began_must_be_whole(
    table: Mapping[str, pp.ParserElement],
) -> None:
    assert with_table("peer\npeer within /5\n", table)[1] == []
    _, (problem,) = with_table("peer within 5\n", table)
    assert (problem.column, problem.message) == (13, "Expected /prefix length")


def test_a_switch_names_itself_and_its_rules(table: Mapping[str, pp.ParserElement]) -> None:
    switch = Switch(table, "a statement")
    assert str(switch) == "a statement"
    assert switch.recurse() == list(table.values())
    assert switch._generateDefaultName() == "a known word"


def test_statements_are_read_one_at_a_time() -> None:
    report = Report("f", "port = 1\n?\n")
    stream = statements(report, KEYS)
    first = next(stream)
    assert isinstance(first, Assignment)
    assert first.key.text == "port"
    assert report.problems == []
    assert list(stream) == []
    assert len(report.problems) == 1


def test_a_suggestion_is_a_word_that_exists() -> None:
    assert did_you_mean("PORT", KEYS) == 'did you mean "port"?'
    assert did_you_mean("x" * 10_000, KEYS) == ""


# --- what is hidden in statements of the table


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("word a # b\n", "word a    \n"),
        ("word a#b\n", "word a  \n"),
        ("word a#b@c # d\n", "word a#b@c    \n"),
        ('word "a # b" # c\n', 'word "a # b"    \n'),
        ("word /a # b/ # c\n", "word /a # b/    \n"),
        ("word a \\ b\n c\n", "word a      c\n"),
        ("word 10.0.0.0/8 # b /c/\n", "word 10.0.0.0/8        \n"),
        ("word 10.0.0.0 /8 # b /c/\n", "word 10.0.0.0 /8        \n"),
        ("word 1 / 1m # b /c/\n", "word 1 / 1m        \n"),
        ("word mx /8 # b /c/\n", "word mx /8        \n"),
        ("word { a\n b # }\n }\nx\n", "word { a  b      }\nx\n"),
        ("word { a\nx\n", "word { a\nx\n"),
        ("word a # b", "word a    "),
        ("word a \\", "word a  "),
        ("  WORD a#b\n", "  WORD a  \n"),
        ("word = a#b\n", "word = a#b\n"),
        ("word: # b\n  word a#b\nword a#b\n", "word:    \n  word a#b\nword a  \n"),
        ("port = a \\\nword a#b\n", "port = a   word a#b\n"),
        ("other a#b\n", "other a#b\n"),
    ],
)
def test_each_language_has_its_own_comments_and_joins(text: str, left: str) -> None:
    assert masked(text, {"word"}) == left


@given(st.text(st.sampled_from('word{}"/\\# \n:=1.@\t'), max_size=40))
def test_what_is_hidden_keeps_its_room(text: str) -> None:
    left = masked(text, {"word", "d"})
    assert len(left) == len(text)
    assert all(one in (other, " ") for one, other in zip(left, text, strict=True))


def test_a_rule_may_say_what_to_write() -> None:
    class Mistake(pp.ParseSyntaxException):
        cure = "write it otherwise"

    def refuse(text: str, at: int, _: pp.ParseResults) -> None:
        raise Mistake(text, at, "no good")

    element = pp.Word(pp.alphas).set_whitespace_chars(" ").set_parse_action(refuse)
    report = Report("f", "odd\nport = 1\n")
    assert len(list(statements(report, KEYS, {"odd": element}))) == 1
    assert [(p.message, p.cure) for p in report.problems] == [("no good", "write it otherwise")]
