"""The pages of the examples in a real browser: alive, fit for any screen, and nothing foreign."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from Test.Examples.running import Example

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow, pytest.mark.timeout(90)]

FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]  # as root, in a container
PAGES = ["web", "websocket"]
MILLISECONDS = 20_000

# What there is of text with less contrast to its ground than WCAG asks for (4.5 to 1).
FAINT = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => {
    const [r, g, b] = numbers(colour).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = e => { for (; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (colour !== "rgba(0, 0, 0, 0)") return colour; } return "rgb(255, 255, 255)"; };
  return [...document.querySelectorAll("main *")]
    .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
    .map(e => [e.tagName, light(getComputedStyle(e).color), light(ground(e))])
    .filter(([, a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5)
    .map(([name]) => name); }"""


@pytest.fixture(scope="module")
def browser(find_program: Callable[[str], Path]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_program("chromium"), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Example]]:
    """Gives serve(name, port=0), which starts one of the servers."""
    with ExitStack() as stack:
        yield lambda name, port=0: stack.enter_context(
            Example(f"Servers/{name}.py", tmp_path, port)
        )


@pytest.fixture
def open_tab(
    browser: Any,  # noqa: ANN401 - playwright's
    serve: object,  # the servers go after the tabs, whose complaints would be of that
) -> Iterator[Callable[..., Any]]:
    """Gives tab(address, **settings); at the end nobody may have complained about anything."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def tab(address: str, **settings: object) -> Any:  # noqa: ANN401
        context = browser.new_context(**settings)
        contexts.append(context)
        made = context.new_page()
        made.set_default_timeout(MILLISECONDS)
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        made.on(
            "request",
            lambda asked: None if asked.url.startswith(address) else complaints.append(asked.url),
        )
        made.goto(address)
        made.wait_for_selector("#state[data-state=live]")
        made.complaints = complaints
        return made

    yield tab
    for context in contexts:
        context.close()
    assert complaints == []


def address_of(server: Example) -> str:
    return f"http://127.0.0.1:{server.port}/"


def reads(tab: Any, selector: str, text: str) -> None:  # noqa: ANN401
    """Wait until that is there."""
    tab.wait_for_selector(f"{selector}:text-is('{text}')")


def test_the_live_page_changes_without_being_loaded_again(
    serve: Callable[..., Example], open_tab: Callable[..., Any]
) -> None:
    address = address_of(serve("web"))
    first = open_tab(address)
    first.evaluate("window.loaded = 'once'")
    reads(first, "#visitors", "1")
    clock = first.text_content("#clock")
    second = open_tab(address)
    reads(first, "#visitors", "2")
    reads(second, "#visitors", "2")
    first.wait_for_function("was => document.querySelector('#clock').textContent != was", arg=clock)
    second.close()
    reads(first, "#visitors", "1")
    assert first.evaluate("window.loaded") == "once"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_that_its_server_has_gone_and_finds_it_again(
    serve: Callable[..., Example], open_tab: Callable[..., Any], name: str
) -> None:
    server = serve(name)
    port = server.port
    tab = open_tab(address_of(server))
    assert server.interrupt() == 0
    assert "Traceback" not in server.said()
    tab.wait_for_selector("#state[data-state=waiting]")
    assert "not connected" in tab.text_content("#state")
    serve(name, port)
    tab.wait_for_selector("#state[data-state=live]")
    assert all("net::ERR_" in said for said in tab.complaints)  # that nobody was there
    tab.complaints.clear()


def test_the_room_hears_what_one_says_and_takes_nothing_for_a_page(
    serve: Callable[..., Example], open_tab: Callable[..., Any]
) -> None:
    address = address_of(serve("websocket"))
    first, second = open_tab(address), open_tab(address)
    first.fill("#text", "<b>hello</b>")
    first.press("#text", "Enter")
    second.wait_for_selector("#said li")
    assert second.text_content("#said li") == "<b>hello</b>"
    second.fill("#text", "good day")
    second.click("button")
    reads(first, "#said li", "good day")
    assert first.input_value("#text") == ""
    assert first.locator("#said li").count() == 2


def test_the_room_takes_no_pages_of_others(serve: Callable[..., Example]) -> None:
    port = serve("websocket").port
    address = f"ws://127.0.0.1:{port}/talk"
    with connect(address, origin=Origin(f"http://localhost:{port}")) as socket:
        socket.send("x" * 600)
        assert socket.recv(timeout=20) == "x" * 500
    for origin in (Origin("http://evil.example"), None):
        with pytest.raises(InvalidStatus, match="403"), connect(address, origin=origin):
            pass


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_page_fits_its_screen_and_can_be_read(
    serve: Callable[..., Example],
    open_tab: Callable[..., Any],
    tmp_path: Path,
    name: str,
    scheme: str,
    width: int,
) -> None:
    screen = {"width": width, "height": 844}
    tab = open_tab(address_of(serve(name)), color_scheme=scheme, viewport=screen)
    if name == "websocket":
        tab.fill("#text", "word" * 100)
        tab.press("#text", "Enter")
        tab.wait_for_selector("#said li")
    else:
        reads(tab, "#visitors", "1")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(FAINT) == []
    tab.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png")


def test_faint_text_is_found(serve: Callable[..., Example], open_tab: Callable[..., Any]) -> None:
    tab = open_tab(address_of(serve("web")), color_scheme="light")
    tab.evaluate("document.querySelector('h1').style.color = '#999999'")
    assert tab.evaluate(FAINT) == ["H1"]
