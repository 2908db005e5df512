"""
What an HTTP server says
========================
The `urlcheck` of greylist.conf: a GET of an address with a client's particulars in it, or in the
DATA stage a POST of the message, answered by `key: value` lines (Answers.py has the keys).

Example Usage
-------------
A Handler of the LookupService; `handlers` in Others.py makes it::

    checks = UrlChecks(config.definitions.urlchecks, contents)
    checks.start(UrlCheck("prefs", "http://127.0.0.1:8080/grey?rcpt=anna"), done)

Rules:

- All of it, the name of the server looked up and redirects followed, has the time that the
  definition gives. Redirects lead to http and https only; certificates are checked; no proxy is
  used, whatever the environment says.
- An answer of more than 4,096 bytes is a failure, and so is a server that cannot be reached. An
  error page and an empty answer are no match.
- The message is the part "message" of a multipart/form-data form, as a file "message.eml" of the
  type message/rfc822; its first megabyte.
- At most 200 such look-ups run at once; one more is a failure. Answers are not kept: who asks the
  server for every message means it.
"""

import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from Axon.Component import component
from Axon.Ipc import shutdownMicroprocess
from Kamaelia.Apps.Grey.Core.Access.Definitions import UrlCheckDef
from Kamaelia.Apps.Grey.Core.Access.Questions import UrlCheck
from Kamaelia.Apps.Grey.Lookups.Answers import (
    ANSWER_BYTES,
    KEEP_NOTHING,
    Done,
    failed,
    lines_of,
    lookup_text,
)
from Kamaelia.Apps.Grey.Lookups.Contents import Contents
from Kamaelia.Apps.Grey.Lookups.LookupService import LookupService
from Kamaelia.Exceptions import ProtocolError
from Kamaelia.Protocol.HTTP.Caretaker import CaretakerMixin
from Kamaelia.Protocol.HTTP.SingleShotHTTPClient import SingleShotHTTPClient
from Kamaelia.Support.Protocol.HTTP.Messages import (
    HTTPFailure,
    ParsedHTTPBodyChunk,
    ParsedHTTPHeader,
)
from Kamaelia.Support.Protocol.HTTP.Uri import Url

MESSAGE_BYTES = 1_048_576
MOST = 200  # at once
SECONDS = 5.0  # of a definition that gives none
WINDOW = 4  # pieces of an answer that may wait


class UrlChecks:
    """UrlChecks(definitions, contents, tls=None) -> answers UrlCheck questions.

    definitions: by name; contents: where messages are; tls: another context than the usual one."""

    def __init__(
        self,
        definitions: Mapping[str, UrlCheckDef],
        contents: Contents,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._definitions = definitions
        self._contents = contents
        self._given_tls = tls
        self._service: LookupService | None = None
        self._running: set[_Fetch] = set()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        # Once: it reads every root certificate of the system.
        return self._given_tls or ssl.create_default_context()

    def open(self, service: LookupService) -> None:
        self._service = service

    def close(self) -> None:
        self._service = None
        for fetch in list(self._running):
            fetch.stop()

    def seconds(self, question: UrlCheck) -> float:
        """How long that one may take."""
        definition = self._definitions.get(question.name)
        return float(definition.seconds) if definition and definition.seconds > 0 else SECONDS

    def start(self, question: UrlCheck, done: Done) -> None:
        definition = self._definitions.get(question.name)
        if definition is None or self._service is None:
            done(failed(f"there is no urlcheck {question.name}"), KEEP_NOTHING)
            return
        if len(self._running) >= MOST:
            done(failed(f"more than {MOST} at once"), KEEP_NOTHING)
            return
        try:
            url = Url.parse(question.url)
            headers, body = self._form(question)
        except (OSError, ProtocolError) as error:
            done(failed(error), KEEP_NOTHING)
            return
        if url.scheme not in ("http", "https"):
            done(failed(f"{url} is for no HTTP server"), KEEP_NOTHING)
            return
        client = SingleShotHTTPClient(
            question.url,
            body,
            extraheaders=headers,
            timeout=self.seconds(question),
            body_limit=ANSWER_BYTES,
            tls=self._tls if url.secure else self._given_tls,
        )

        def took(fetch: "_Fetch", answer: object) -> None:
            self._running.discard(fetch)
            done(answer, KEEP_NOTHING)

        fetch = _Fetch(client, self.seconds(question), not definition.getprop, took)
        self._running.add(fetch)
        fetch.activate(Scheduler=self._service.scheduler)

    def _form(self, question: UrlCheck) -> tuple[dict[str, str], bytes]:
        """Headers and body of the request. Raises OSError."""
        if not question.with_message:
            return {}, b""
        message = self._contents.read(question.message_id, MESSAGE_BYTES)
        if message is None:
            raise OSError("the message is not at hand")
        # So much chance in it that no message has this line, and no sender knows it.
        boundary = secrets.token_hex(16)
        return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, (
            b'--%b\r\nContent-Disposition: form-data; name="message"; filename="message.eml"\r\n'
            b"Content-Type: message/rfc822\r\n\r\n%b\r\n--%b--\r\n"
            % (boundary.encode("ascii"), message, boundary.encode("ascii"))
        )


class _Fetch(CaretakerMixin, component):
    """One look-up. took(fetch, answer) is called once, whatever happens."""

    Inboxes = {
        "inbox": "ParsedHTTPHeader, ParsedHTTPBodyChunk, ParsedHTTPEnd, HTTPFailure: the answer",
        "control": "shutdownMicroprocess (stop now)",
        "_over": "object: nothing more will come",
    }
    Outboxes = {
        "outbox": "nothing",
        "signal": "the shutdown that came in",
        "_stop": "shutdownMicroprocess: to the one that fetches",
    }

    def __init__(
        self,
        client: SingleShotHTTPClient,
        seconds: float,
        only_known: bool,
        took: "Callable[[_Fetch, object], None]",
    ) -> None:
        super().__init__()
        self._client = client
        self._seconds = seconds
        self._only_known = only_known
        self._took: Callable[[_Fetch, object], None] | None = took
        self._status = 0
        self._body = b""
        self._failure: HTTPFailure | None = None

    def main(self) -> Iterator[object]:
        until = self.now() + self._seconds
        client = self._client
        self.link((client, "outbox"), (self, "inbox"), pipewidth=WINDOW)
        self.link((client, "signal"), (self, "_over"))
        self.link((self, "_stop"), (client, "control"))
        self.addChildren(client)
        client.activate(Scheduler=self.scheduler)
        while not self.told_to_stop():
            self._take_in()
            if self.dataReady("_over") and not self.dataReady("inbox"):
                self._say(self._answer())
                return
            if self.now() >= until:
                break
            self.pause(until - self.now())
            yield 1
        self._say(failed(f"{client.starturl.partition('?')[0]}: no answer in time"))
        self.send(shutdownMicroprocess(self), "_stop")
        yield from self._see_them_end()

    def stop(self) -> None:
        self._say(failed("the look-ups were stopped"))
        super().stop()

    def _take_in(self) -> None:
        for piece in self.Inbox("inbox"):
            match piece:
                case ParsedHTTPHeader(header):
                    self._status = int(header["responsecode"])
                case ParsedHTTPBodyChunk(chunk):
                    self._body += chunk
                case HTTPFailure():
                    self._failure = piece

    def _answer(self) -> object:
        if self._failure is not None:
            return failed(f"{self._client.starturl.partition('?')[0]}: {self._failure.reason}")
        page = self._body if 200 <= self._status < 300 else b""
        return lookup_text(lines_of(page), only_known=self._only_known)

    def _say(self, answer: object) -> None:
        took, self._took = self._took, None
        if took is not None:
            took(self, answer)
