"""
Server-sent events as bytes
===========================
What a browser's EventSource reads (HTML standard, section 9.2):

>>> ServerSentEvent("two\\nlines", event="news", id="7").to_wire()
b'event: news\\nid: 7\\ndata: two\\ndata: lines\\n\\n'

A line of a stream ends with LF, CR or both, so each of the three within the data begins a new
"data:" line, and none may be in a name or an id: no text can make an event of its own.
"""

import re
from dataclasses import dataclass

CONTENT_TYPE = "text/event-stream"

_line_ends = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event. event: its type, for which a page listens. id: what the browser says
    (Last-Event-ID) when it connects again. retry_seconds: how long it is to wait before that.

    Raises TypeError or ValueError for what a stream cannot hold."""

    data: str
    event: str = ""
    id: str = ""
    retry_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("data", "event", "id"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise TypeError(f"{name} of an event must be str, not {type(value).__name__}")
        if _line_ends.search(self.event) or _line_ends.search(self.id) or "\0" in self.id:
            raise ValueError("a name or an id of an event must be a single line")
        if self.retry_seconds is not None and self.retry_seconds < 0:
            raise ValueError("an event's retry_seconds must not be negative")

    def to_wire(self) -> bytes:
        lines = []
        if self.event:
            lines.append(f"event: {self.event}")
        if self.id:
            lines.append(f"id: {self.id}")
        if self.retry_seconds is not None:
            lines.append(f"retry: {round(self.retry_seconds * 1000)}")
        lines.extend(f"data: {line}" for line in _line_ends.split(self.data))
        # A lone surrogate is no text that anybody could read; it must not end the stream.
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def comment(text: str = "") -> bytes:
    """A line that no page sees: it shows that the connection lives."""
    return b": " + _line_ends.sub(" ", text).encode("utf-8", "replace") + b"\n\n"
