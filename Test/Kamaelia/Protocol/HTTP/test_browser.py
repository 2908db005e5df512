"""A page in a real browser: files, a feed by EventSource, and a WebSocket."""

from collections.abc import Callable
from pathlib import Path

import pytest

from Axon.Component import component
from Kamaelia.Protocol.EchoProtocol import EchoProtocol
from Kamaelia.Protocol.HTTP.EventStream import EventStream, ServerSentEvent
from Kamaelia.Protocol.HTTP.Handlers.Minimal import Minimal
from Kamaelia.Protocol.HTTP.HTTPServer import HTTPProtocol
from Kamaelia.Protocol.HTTP.WebSocket import WebSocketProtocol
from Kamaelia.Support.Protocol.HTTP.Messages import Request
from Kamaelia.Util.DataSource import DataSource
from Test.children import CHROMIUM_FLAGS
from Test.Kamaelia.Protocol.HTTP.handlers import server_in_a_thread

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Page</title>
<link rel="icon" href="data:,"><script type="module" src="page.js"></script></head>
<body><ul id="feed"></ul><p id="socket"></p></body></html>
"""

# The feed ends after three events; the browser connects again and says what it had last.
SCRIPT = """
const feed = new EventSource("/feed");
feed.addEventListener("number", (event) => {
  const line = document.createElement("li");
  line.textContent = event.lastEventId + ": " + event.data;
  document.getElementById("feed").append(line);
  if (event.lastEventId === "6") feed.close();
});
const socket = new WebSocket("ws://" + location.host + "/echo");
socket.binaryType = "arraybuffer";
const heard = [];
socket.onopen = () => { socket.send("grün"); socket.send(new Uint8Array([1, 2, 255])); };
socket.onmessage = ({data}) => {
  heard.push(typeof data === "string" ? data : [...new Uint8Array(data)].join(" "));
  if (heard.length === 2) socket.close(4001, "enough");
};
socket.onclose = ({code, wasClean}) => {
  document.getElementById("socket").textContent = [...heard, code, wasClean].join(", ");
};
"""


def feed(request: Request) -> component:
    first = int(request.header("last-event-id", "0")) + 1
    events = [
        ServerSentEvent(f"line {n}\nof the feed", "number", str(n)) for n in range(first, first + 3)
    ]
    return EventStream(DataSource(events), retry_seconds=0.05)


@pytest.mark.needs("chromium")
def test_a_page_with_a_feed_and_a_websocket(
    find_program: Callable[[str], Path], tmp_path: Path
) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "page.js").write_text(SCRIPT, encoding="utf-8")
    origins: list[str] = []
    routing = [
        ["/feed", feed],
        ["/echo", WebSocketProtocol(lambda _: EchoProtocol(), origins=origins)],
        ["/", lambda request: Minimal(request, homedirectory=tmp_path)],
    ]
    complaints: list[str] = []
    with server_in_a_thread(HTTPProtocol(routing)) as where, sync_api.sync_playwright() as tool:
        origins.append(f"http://{where}")
        browser = tool.chromium.launch(
            executable_path=str(find_program("chromium")),
            args=CHROMIUM_FLAGS,
        )
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://{where}/")
        page.wait_for_function("document.querySelectorAll('#feed li').length === 6", timeout=10_000)
        page.wait_for_function("document.getElementById('socket').textContent", timeout=10_000)
        lines = page.locator("#feed li").all_text_contents()
        said = page.locator("#socket").text_content()
        browser.close()
    assert lines == [f"{n}: line {n}\nof the feed" for n in range(1, 7)]
    assert said == "grün, 1 2 255, 4001, true"
    assert complaints == []
