"""
Statements that set a setting
=============================
Each is a field of Schema.Config: here its operands become that field's value, within the limits
that its row of the table of settings has.

Example Usage
-------------
>>> from Kamaelia.Apps.Grey.Config.Policy.Policy import read
>>> read('greylist 5m\\nquiet\\n').values
{'greylist_delay': 300, 'quiet': True}
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from Kamaelia.Apps.Grey.Config.Grammar import Other
from Kamaelia.Apps.Grey.Config.Policy.Operands import Operands
from Kamaelia.Apps.Grey.Config.Policy.StatementTable import STATEMENTS
from Kamaelia.Apps.Grey.Config.Policy.Tokens import Token, network, prefix
from Kamaelia.Apps.Grey.Config.Problem import Report, shown
from Kamaelia.Apps.Grey.Config.Schema import SETTINGS
from Kamaelia.Apps.Grey.Config.Setting import One
from Kamaelia.Apps.Grey.Config.Sockets import SYNC_PORT, Place, place
from Kamaelia.Apps.Grey.Config.Values import BadValueError, Quantity
from Kamaelia.Apps.Grey.Core.Modes import Report as ReportMode

_PEER_SECONDS = 3
_MODES = {"666", "660", "600"}


class Values:
    """Values(report, operands) -> gathers what statements set. places: where each field was set."""

    def __init__(self, report: Report, operands: Operands) -> None:
        self._report = report
        self._operands = operands
        self.values: dict[str, Any] = {}
        self.places: dict[str, int] = {}
        self._peers: dict[str, int] = {}

    def take(self, statement: Other) -> None:
        """Set what a statement of the table with a `field` says."""
        row = STATEMENTS[statement.keyword]
        before = len(self._report.problems)
        read = _READERS.get(statement.keyword)
        if read is not None:
            value = read(self, statement.parts)
        elif row.operands == "time":
            value = self._time(statement.parts[0], row.field)
        else:
            value = True
        if len(self._report.problems) > before or value is None:
            return
        first = self.places.get(row.field)
        if first is not None and row.field != "peers" and self.values.get(row.field) != value:
            self._report.warn_at(
                statement.at,
                f"{statement.keyword} stands on line {self._report.place(first)[0]} already",
                "keep one of them: the last one counts",
            )
        self.values[row.field] = value
        self.places[row.field] = statement.at

    def _limited(self, token: Token, field: str, value: int) -> int | None:
        """The limits of the setting, in the words of its table."""
        setting = SETTINGS.get(field)
        if setting and isinstance(setting.shape, One) and isinstance(setting.shape.kind, Quantity):
            try:
                setting.shape.kind(str(value))  # a negative one is no number there
            except BadValueError as error:
                self._operands.wrong(token, str(error), error.cure)
                return None
        return value

    def _time(self, token: Token, field: str) -> int | None:
        value = self._operands.seconds(token)
        if field == "dumpfreq" and value is not None:
            self.values["dump_at_end_only"] = value < 0
            value = max(value, 0)
        return None if value is None else self._limited(token, field, value)

    def _prefix(self, token: Token, most: int) -> int | None:
        try:
            return prefix(token.text, most)
        except BadValueError as error:
            self._operands.wrong(token, str(error), error.cure)
            return None

    def _file(self, parts: Sequence[Token]) -> Path | None:
        text = self._operands.text(parts[0])
        if text is not None and (not text or text.endswith("/")):
            self._operands.wrong(parts[0], f"{shown(text)} is no file", 'write it like "/a/file"')
            return None
        return None if text is None else Path(text)

    def _dumpfile(self, parts: Sequence[Token]) -> Path | None:
        if parts[1:]:
            if re.fullmatch(r"0?[0-7]{3}", parts[1].text):
                self.values["dumpfile_mode"] = int(parts[1].text, 8)
            else:
                self._operands.wrong(parts[1], "this is no mode of a file", "write one such as 640")
        return self._file(parts)

    def _socket(self, parts: Sequence[Token]) -> Place | None:
        if parts[1:]:
            if parts[1].text in _MODES:
                self.values["socket_mode"] = int(parts[1].text, 8)
            else:
                message = f"a socket cannot have the mode {parts[1].text}"
                self._operands.wrong(parts[1], message, "write 666, 660 or 600")
        text = self._operands.text(parts[0])
        try:
            return None if text is None else place(text)
        except BadValueError as error:
            self._operands.wrong(parts[0], str(error), error.cure)
            return None

    def _user(self, parts: Sequence[Token]) -> str | None:
        text = self._operands.text(parts[0])
        name = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}"
        if text is not None and not re.fullmatch(f"{name}(:{name})?", text):
            message = f"{shown(text)} is no name of a user"
            self._operands.wrong(parts[0], message, 'write it like "grey" or "grey:mail"')
        return text

    def _peer(self, parts: Sequence[Token]) -> tuple[tuple[str, int], ...] | None:
        host = parts[0]
        name = self._address(host) if host.kind == "address" else self._operands.name(host)
        seconds = self._operands.seconds(parts[2]) if parts[2:] else _PEER_SECONDS
        if name is None or seconds is None:
            return None
        if name in self._peers:
            self._report.warn_at(host.at, f"{name} is a peer already", "keep one of the two")
        self._peers[name] = max(0, seconds)
        return tuple(self._peers.items())

    def _address(self, token: Token) -> str | None:
        try:
            return str(network(token.text).network_address)
        except BadValueError as error:
            self._operands.wrong(token, str(error), error.cure)
            return None

    def _listen(self, parts: Sequence[Token]) -> tuple[str, int] | None:
        host = "*" if parts[0].kind == "star" else self._address(parts[0])
        port = self._operands.number(parts[2]) if parts[2:] else SYNC_PORT
        if port is not None and not 1 <= port <= 65_535:
            self._operands.wrong(parts[2], "this is no port", "write a number from 1 to 65535")
        return None if host is None or port is None else (host, port)


_Reader = Callable[[Values, Sequence[Token]], Any]
_READERS: Mapping[str, _Reader] = {
    "subnetmatch": lambda values, parts: values._prefix(parts[0], 32),
    "subnetmatch6": lambda values, parts: values._prefix(parts[0], 128),
    "pidfile": Values._file,
    "dumpfile": Values._dumpfile,
    "socket": Values._socket,
    "user": Values._user,
    "peer": Values._peer,
    "syncaddr": Values._listen,
    "syncsrcaddr": lambda values, parts: (values._listen(parts) or (None,))[0],
    "syncmaxqlen": lambda values, parts: values._operands.number(parts[0]),
    "report": lambda _, parts: ReportMode(parts[0].text),
    "logfac": lambda _, parts: parts[0].text,
    "lazyaw": lambda *_: 1,
}
