r"""
POSIX regular expressions, matched in linear time
=================================================
The expressions of greylist.conf are POSIX basic ones, or extended ones behind the statement
`extendedregex`, with GNU's additions. Texts that they are asked about come from strangers, so they
run on RE2, whose time grows with the text and not with how it was chosen. Here the one notation is
turned into the other.

Example Usage
-------------
>>> compiled(r"^<\(.*\)@example\.org>$").search("<anna@EXAMPLE.org>")
('anna',)
>>> compiled("a+b?").search("xx a+b? xx"), compiled("(a+)b?", extended=True).search("caab")
((), ('aa',))
>>> compiled(r"\(a\)\1")
Traceback (most recent call last):
...
Kamaelia.Apps.Grey.Config.Policy.Expressions.BadExpressionError: it refers back to a group with \1

Rules. Case never matters. `^` and `$` match at line breaks, too, and neither `.` nor `[^a]` takes
one (`lines=False`: the text is one line). The longest of the leftmost matches counts, as POSIX
says. In the basic notation `? + | { } ( )` are characters and `\? \+ \| \{ \} \( \)` are
operators. What RE2 cannot do (back-references, more than 1,000 repetitions) is an error.
"""

import re

import re2  # type: ignore[import-untyped]

LONGEST = 1024  # characters of a pattern
MEMORY = 1 << 20  # bytes for one compiled pattern, and for what it caches
_MOST_REPEATED = 1000  # RE2's limit


class BadExpressionError(ValueError):
    """A pattern cannot be used; `at`: where in it; `cure` says what to write."""

    def __init__(self, message: str, at: int = 0, cure: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.cure = cure


class PosixExpression:
    """PosixExpression(source, extended, lines) -> Core.Access.Definitions.Expression."""

    __slots__ = ("_compiled", "extended", "lines", "source")

    def __init__(self, source: str, extended: bool = False, lines: bool = True) -> None:
        if len(source) > LONGEST:
            raise BadExpressionError(
                f"it is longer than {LONGEST} characters", cure="split it into several"
            )
        self.source = source
        self.extended = extended
        self.lines = lines
        pattern = ("(?m)" if lines else "(?s)") + _translated(source, extended, lines)
        try:
            self._compiled = re2.compile(pattern.encode("utf-8", "replace"), _options())
        except re2.error as error:
            text = error.args[0] if error.args else ""
            why = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            raise BadExpressionError(
                why or "RE2 does not take it", cure="write a shorter or simpler one"
            ) from None

    def search(self, text: str) -> tuple[str, ...] | None:
        """None: it is nowhere in the text; else the groups, "" for those that took no part."""
        # As bytes: for a str the library would count characters in the whole text for each group.
        found = self._compiled.search(text.encode("utf-8", "replace"))
        if found is None:
            return None
        return tuple(group.decode("utf-8", "replace") for group in found.groups(b""))

    def __eq__(self, other: object) -> bool:
        return (
            self._identity() == other._identity() if isinstance(other, PosixExpression) else False
        )

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"/{self.source}/"

    def __reduce__(self) -> tuple[type["PosixExpression"], tuple[str, bool, bool]]:
        return PosixExpression, self._identity()

    def _identity(self) -> tuple[str, bool, bool]:
        return self.source, self.extended, self.lines


def compiled(source: str, extended: bool = False, lines: bool = True) -> PosixExpression:
    """The expression of that source; raise BadExpressionError when it is none."""
    return PosixExpression(source, extended, lines)


def _translated(source: str, extended: bool, lines: bool) -> str:
    encodable = source.encode("utf-8", "replace").decode("utf-8")  # half a character is none
    return _Translator(encodable, extended, lines).whole()


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.longest_match = True
    options.log_errors = False
    options.max_mem = MEMORY
    return options


_CLASSES = frozenset(
    [
        "alpha",
        "digit",
        "alnum",
        "upper",
        "lower",
        "space",
        "blank",
        "punct",
        "print",
        "graph",
        "cntrl",
        "xdigit",
    ]
)
_GNU = {
    **{letter: f"\\{letter}" for letter in "wWbB"},
    "s": "[[:space:]]",
    "S": "[^[:space:]]",
    "<": r"\b",
    ">": r"\b",
    "`": r"\A",
    "'": r"\z",
}
_INTERVAL = {
    True: re.compile(r"\{([0-9]{0,5})(?:(,)([0-9]{0,5}))?\}"),
    False: re.compile(r"\\\{([0-9]{0,5})(?:(,)([0-9]{0,5}))?\\\}"),
}
_NAMED = re.compile(r"\[([:=.])(.*?)\1\]")


class _Translator:
    """One pattern on its way to RE2's notation. `_atom`: what a repetition would repeat, None where
    there is nothing: at the start, behind ( and |."""

    def __init__(self, source: str, extended: bool, lines: bool) -> None:
        self._source = source
        self._extended = extended
        self._lines = lines
        self._at = 0
        self._open: list[int] = []  # where each group that is open began
        self._stack: list[list[str]] = []
        self._out: list[str] = []
        self._atom: str | None = None

    def whole(self) -> str:
        while self._at < len(self._source):
            self._step()
        if self._open:
            raise BadExpressionError(
                r"Unmatched ( or \(", self._open[-1], "close the group, or write [(] for a bracket"
            )
        self._flush()
        return "".join(self._out)

    def _step(self) -> None:
        """Take one element. operator: ( ) | + ? or {, whichever way it is written here."""
        character = self._source[self._at]
        escaped = character == "\\"
        if escaped and self._at + 1 == len(self._source):
            raise BadExpressionError("Trailing backslash", self._at, r"write \\ for a backslash")
        name = self._source[self._at + 1] if escaped else character
        if name in "()|+?{" and escaped is not self._extended:
            self._operator(name, 1 + escaped)
        elif escaped:
            self._escape(name)
        elif character == "*":
            self._star()
        elif character == "[":
            self._set(self._bracket())
        elif character in "^$" and self._is_anchor(character):
            self._anchor(character)
        else:
            self._at += 1
            self._set("." if character == "." else re2.escape(character))

    # --- what is repeated, and how often

    def _flush(self) -> None:
        if self._atom is not None:
            self._out.append(self._atom)
        self._atom = None

    def _set(self, atom: str) -> None:
        self._flush()
        self._atom = atom

    def _repeat(self, how: str) -> None:
        # In a group of its own: RE2 refuses a** and takes a+? for something else.
        self._atom = f"(?:{self._atom}){how}"

    def _star(self) -> None:
        self._at += 1
        if self._atom is not None:
            self._repeat("*")
        elif not self._extended:  # "Basic": a character where there is nothing to repeat
            self._set(r"\*")
        else:
            raise self._nothing_to_repeat(self._at - 1)

    def _operator(self, name: str, width: int) -> None:
        start = self._at
        if name == "{":
            self._interval(width)
            return
        self._at += width
        if name == "(":
            self._flush()
            self._open.append(start)
            self._stack.append(self._out)
            self._out = []
        elif name == ")":
            if not self._open:
                raise BadExpressionError(
                    r"Unmatched ) or \)", start, "open the group, or write [)] for a bracket"
                )
            self._flush()
            self._open.pop()
            inner, self._out = "".join(self._out), self._stack.pop()
            self._atom = f"({inner})"
        elif name == "|":
            self._flush()
            self._out.append("|")
        elif self._atom is not None:
            self._repeat(name)
        elif not self._extended:
            self._set("\\" + name)
        else:
            raise self._nothing_to_repeat(start)

    def _nothing_to_repeat(self, at: int) -> BadExpressionError:
        # Who writes /*@example.org/ thinks of file names: left out, it would be found everywhere.
        return BadExpressionError(
            "Invalid preceding regular expression", at, "write .* for any text, or [*] for a star"
        )

    def _interval(self, width: int) -> None:
        match = _INTERVAL[self._extended].match(self._source, self._at)
        if match is None or not (match[1] or match[2]):
            if not self._extended:
                raise BadExpressionError(
                    r"Unmatched \{", self._at, r"write \{2,3\}, or { for a brace"
                )
            self._at += width
            self._set(r"\{")
            return
        least, most = int(match[1] or 0), int(match[3] or 0) if match[2] else int(match[1])
        if (match[3] and most < least) or max(least, most) > _MOST_REPEATED:
            raise BadExpressionError(
                "Invalid content of \\{\\}", self._at, f"repeat up to {_MOST_REPEATED} times"
            )
        if self._atom is None:
            raise self._nothing_to_repeat(self._at)
        self._at = match.end()
        self._repeat(f"{{{least}{match[2] or ''}{match[3] or ''}}}")

    # --- single elements

    def _escape(self, name: str) -> None:
        if name.isdigit() and name.isascii() and name != "0":
            raise BadExpressionError(
                f"it refers back to a group with \\{name}",
                self._at,
                "say it without: no engine that is safe from slow texts can do this",
            )
        self._at += 2
        self._set(_GNU.get(name) or re2.escape(name))

    def _is_anchor(self, character: str) -> bool:
        """In the basic notation they are anchors at the edges of a branch only."""
        if self._extended:
            return True
        if character == "^":
            before = self._source[: self._at]
            return not before or before.endswith(("\\(", "\\|"))
        behind = self._source[self._at + 1 :]
        return not behind or behind.startswith(("\\)", "\\|"))

    def _anchor(self, character: str) -> None:
        self._at += 1
        self._flush()
        if not self._lines:  # the whole text is one line, whatever is in it
            character = {"^": r"\A", "$": r"\z"}[character]
        self._out.append(character)

    def _bracket(self) -> str:
        """Translate [...]: in it a backslash is a character."""
        start = self._at
        at = start + 1
        negated = self._source.startswith("^", at)
        at += negated
        parts: list[str] = []
        while at < len(self._source):
            character = self._source[at]
            if character == "]" and parts:
                self._at = at + 1
                more = r"\n" if negated and self._lines else ""
                return f"[{'^' * negated}{''.join(parts)}{more}]"
            part, at = self._member(at)
            parts.append(part)
        raise BadExpressionError(
            "Unmatched [, [^, [:, [., or [=", start, r"close it with ], or write \[ for a bracket"
        )

    def _member(self, at: int) -> tuple[str, int]:
        """One member of a bracket: a character, a range, or [:class:]; and what is behind it."""
        if named := _NAMED.match(self._source, at):
            if named[1] == ":":
                if named[2] not in _CLASSES:
                    raise BadExpressionError(
                        "Invalid character class name",
                        at,
                        f"write one of {', '.join(sorted(_CLASSES))}",
                    )
                return named[0], named.end()
            if len(named[2]) != 1:
                raise BadExpressionError("Invalid collation character", at, "write one character")
        first, at = self._character(at)
        is_range = self._source.startswith("-", at) and self._source[at + 1 : at + 2] not in "]"
        if is_range:
            last, behind = self._character(at + 1)
            if last < first:
                raise BadExpressionError("Invalid range end", at, "write the lower end first")
            return f"{_literal(first)}-{_literal(last)}", behind
        return _literal(first), at

    def _character(self, at: int) -> tuple[str, int]:
        named = _NAMED.match(self._source, at)
        if named and named[1] in ".=" and len(named[2]) == 1:
            return named[2], named.end()
        return self._source[at], at + 1


def _literal(character: str) -> str:
    return "\\" + character if character in "\\[]^-" else character
