"""
Notes that stay in the code and are silent until somebody asks
==============================================================
A component says ``self.debugger.note(section, level, words...)``; the words appear if the section's
level is at least that of the note. The rules:

- The levels that all debug objects start from are one table for the process (LevelTable), made at
  the first question: so a debug object costs next to nothing. What one object changes (addDebug,
  increaseDebug, ...) holds for that object alone.
- A file of levels is read only on request. Either the program calls ``useConfig`` or
  ``readConfig``: then a bad file and an unknown section are errors. Or whoever starts it sets
  ``AXON_DEBUG`` to a path: that wins over ``useConfig``, and only ever adds output, because a
  variable set for debugging must not break the program that is debugged.
- Every note is a DEBUG record of the logger ``Axon.debug.<section>``, so ``logging`` can send it
  anywhere. Until the program has set up logging the lines go to standard error with a time stamp,
  so that setting a level is all there is to do. Not to standard output, as in the original: that
  belongs to the program's data, as in ``program | sort``.
- ``note`` and ``debug`` return True, so ``assert self.debugger.note(...)`` vanishes under
  ``python -O``.

Example Usage
-------------
::

    class Doubler(component):
        def main(self):
            self.debugger.addDebugSection("Doubler.main", 5)
            while True:
                for number in self.Inbox("inbox"):
                    assert self.debugger.note("Doubler.main", 5, "doubling", number)
                    self.send(number * 2, "outbox")
                yield self.pause()

prints lines like ``2024-05-01 12:00:00,123 Axon.debug.Doubler.main: doubling 7``.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import ClassVar, Literal

from Axon.AxonExceptions import AxonException
from Axon.debugConfigDefaults import defaultConfig
from Axon.debugConfigFile import readConfig

VARIABLE = "AXON_DEBUG"
STEP = 5  # of increaseDebug and decreaseDebug
MESSAGE_LIMIT = 4_096  # characters: what is noted often comes from a peer


class StandardErrorUntilConfigured(logging.Handler):
    """Shows records on standard error as long as no other handler gets them."""

    def emit(self, record: logging.LogRecord) -> None:
        # Asked each time: a program may set up logging long after its first note, and lines must
        # not appear twice from then on. sys.stderr too is looked up late, as it may be replaced.
        if not self._is_heard_elsewhere(record):
            try:
                sys.stderr.write(self.format(record) + "\n")
            except Exception:  # noqa: BLE001 - the contract of Handler.emit
                self.handleError(record)

    def _is_heard_elsewhere(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def _set_up(log: logging.Logger) -> logging.Logger:
    """Let DEBUG through (sections have their own levels) and give the lines somewhere to go."""
    log.setLevel(logging.DEBUG)
    handler = StandardErrorUntilConfigured()
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    log.addHandler(handler)
    return log


log = _set_up(logging.getLogger(__name__))


class LevelTable:
    """LevelTable(environ) -> the levels of a process: defaults, or those of a file over them."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._levels: dict[str, int] | None = None  # None: nobody has asked yet
        self.strict = False  # an unknown section is an error: the program itself named a file
        self.complained_of: set[str] = set()  # one warning a section is enough

    @property
    def levels(self) -> dict[str, int]:
        if self._levels is None:
            self._levels = self._initial()
        return self._levels

    def _initial(self) -> dict[str, int]:
        path = self._environ.get(VARIABLE)
        if path:
            try:
                return _levels_of(path)
            except (OSError, AxonException) as error:
                log.warning("%s is set but of no use: %s", VARIABLE, one_line(str(error)))
        return _levels_of()

    def use(self, path: str | os.PathLike[str]) -> None:
        """Read the file if there is one and nothing was read or asked before."""
        if self._levels is None and not self._environ.get(VARIABLE):
            try:
                self.read(path)
            except FileNotFoundError:
                self._levels = _levels_of()

    def read(self, path: str | os.PathLike[str]) -> None:
        self._levels = _levels_of(path)
        self.strict = True


def _levels_of(path: str | os.PathLike[str] | None = None) -> dict[str, int]:
    config = defaultConfig() | (readConfig(path) if path is not None else {})
    return {section: level for section, (level, _) in config.items()}


def one_line(text: str) -> str:
    """Cut and escape the text, so that no peer can write lines of its own into a log."""
    if len(text) > MESSAGE_LIMIT:
        text = f"{text[:MESSAGE_LIMIT]}... ({len(text)} characters)"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class debug:
    """debug(assertBadDebug=1) -> levels by section, and notes that obey them.

    With ``assertBadDebug=0`` an unknown section is a warning where it else were an exception."""

    shared: ClassVar[LevelTable] = LevelTable()
    _own: dict[str, int] | None = None  # levels this object set: most never do
    _alone = False  # setDebugSections was called: the shared table no longer counts

    def __init__(self, assertBadDebug: int = 1) -> None:
        self.assertBadDebug = assertBadDebug

    def useConfig(self, filename: str | os.PathLike[str] = "debug.conf") -> None:
        """Have the process use that file; only its first such wish counts, and it may be absent."""
        self.shared.use(filename)

    def readConfig(self, configFile: str | os.PathLike[str] = "debug.conf") -> None:
        """Have the process use that file from now on; see Axon.debugConfigFile."""
        self.shared.read(configFile)
        self._own, self._alone = None, False

    def addDebugSection(self, section: str, level: int) -> None:
        if self._own is None:
            self._own = {}
        self._own[section] = level

    def addDebug(self, **sections: int) -> None:
        """addDebug(section=level, ...)"""
        for section, level in sections.items():
            self.addDebugSection(section, level)

    def setDebugSections(self, **sections: int) -> None:
        """setDebugSections(section=level, ...): these and no others, for this object."""
        self._own, self._alone = dict(sections), True

    def increaseDebug(self, section: str) -> None:
        self._change(section, STEP)

    def decreaseDebug(self, section: str) -> None:
        """One step more silent; 0 is the least."""
        self._change(section, -STEP)

    def _change(self, section: str, step: int) -> None:
        level = self._level(section)
        if level is not None:
            self.addDebugSection(section, max(0, level + step))

    def areDebugging(self, section: str, level: int) -> bool:
        """Tell whether a note of that level would be shown."""
        threshold = self._level(section)
        return threshold is not None and threshold >= level

    def _level(self, section: str) -> int | None:
        """The section's level; None for an unknown one that nobody minds."""
        if self._own is not None and section in self._own:
            return self._own[section]
        level = None if self._alone else self.shared.levels.get(section)
        if level is None and self.shared.strict:
            self._complain(section)
        return level

    def _complain(self, section: str) -> None:
        text = (
            f"debug section {section[:80]!r} is unknown: "
            "name it in the debug file, or call addDebugSection first"
        )
        if self.assertBadDebug:
            raise AxonException(text)
        if section not in self.shared.complained_of:
            self.shared.complained_of.add(section)
            log.warning("%s", text)

    def debugmessage(self, section: str, *msg: object) -> None:
        """Show the words whatever the level."""
        self._show(section, msg)

    def note(self, section: str, level: int, *msg: object) -> Literal[True]:
        """Show the words if the section's level is at least that; always True."""
        if self.areDebugging(section, level):
            self._show(section, msg)
        return True

    debug = note

    def _show(self, section: str, words: tuple[object, ...]) -> None:
        text = one_line(" ".join(map(str, words)))
        # stacklevel: the record shall name the line of the note, not one in here.
        log.getChild(one_line(section)).debug("%s", text, stacklevel=3)
