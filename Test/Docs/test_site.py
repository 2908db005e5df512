"""
The site of the documents: built without a warning, complete, nothing in it from elsewhere, and fit
to be read on a phone, by day and by night.
"""

import functools
import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

from Test.children import CHROMIUM_FLAGS, unmeasured

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "Docs"
READERS = ("for-operators", "for-remixers", "for-learners")
SECONDS = 200
pytestmark = [pytest.mark.needs("dot"), pytest.mark.slow, pytest.mark.timeout(240)]


def build(
    source: Path, target: Path, kind: str = "html", read: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """read: the target of another build of this source, whose reading is used again."""
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-j", "2"]
    trees = f"{read or target}.trees"
    command += ["-b", kind, "-c", str(DOCS), "-d", trees, str(source), str(target)]
    return subprocess.run(
        command,
        env=unmeasured(PYTHONDONTWRITEBYTECODE="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    done = build(DOCS, tmp_path_factory.mktemp("docs") / "site")
    done.args = done.args[-1]
    return done


@pytest.fixture(scope="module")
def site(built: subprocess.CompletedProcess[str]) -> Path:
    return Path(str(built.args))


# ---- what a page consists of


@dataclass(slots=True)
class Page:
    """What matters here of one page."""

    language: str | None = None
    headings: int = 0
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    without_text: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """Reads one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.page = Page()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.page.ids.add(values["id"])
        match tag:
            case "html":
                self.page.language = values.get("lang")
            case "h1":
                self.page.headings += 1
            case "a" if "href" in values:
                self.page.links.append(values["href"])
            case "link" if values.get("rel") not in (
                "canonical",
                "index",
                "search",
                "next",
                "prev",
            ):
                self.page.loads.append(values.get("href", ""))
            case "img":
                self.page.loads.append(values.get("src", ""))
                if not values.get("alt"):
                    self.page.without_text.append(values.get("src", ""))
            case "script" | "iframe" | "source" | "video" | "audio" | "embed" if "src" in values:
                self.page.loads.append(values["src"])


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {
        path: Reader(path.read_text(encoding="utf-8")).page for path in sorted(site.rglob("*.html"))
    }


def of_documents(site: Path, pages: dict[Path, Page]) -> dict[Path, Page]:
    """Those that come from a document of ours: not the search page."""
    made = [site / path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")]
    return {path: pages[path] for path in made}


# ---- the build


def test_it_is_built_without_a_warning(built: subprocess.CompletedProcess[str]) -> None:
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""


def test_every_document_is_a_page_with_a_language_and_one_heading(
    site: Path, pages: dict[Path, Page]
) -> None:
    for path, page in of_documents(site, pages).items():
        assert page.language == "en", path
        assert page.headings == 1, path


def test_every_link_inside_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if re.match(r"[a-z]+:", link):
                continue
            goal = (path.parent / unquote(target)).resolve() if target else path
            there = goal.is_file() and goal.is_relative_to(site)
            if there and anchor and goal.suffix == ".html":
                there = unquote(anchor) in pages[goal].ids
            if not there:
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_a_link_out_of_the_documents_is_a_download_and_of_a_folder_its_text(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    for name in ("beside.md", "beside.py"):
        (tmp_path / name).write_text("# Beside\n", encoding="utf-8")
    text = "# One\n\n[md](../beside.md) [py](../beside.py) [folder](../source)\n"
    (source / "index.md").write_text(text, encoding="utf-8")
    done = build(source, tmp_path / "site")
    assert (done.returncode, done.stderr) == (0, "")
    page = Reader((tmp_path / "site" / "index.html").read_text(encoding="utf-8")).page
    downloads = [link for link in page.links if link.startswith("_downloads/")]
    assert [link.rpartition("/")[2] for link in downloads] == ["beside.md", "beside.py"]
    assert all((tmp_path / "site" / link).is_file() for link in downloads)


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    outside = re.compile(r"(?:https?:)?//")
    found = [
        f"{path.name}: {load}"
        for path, page in pages.items()
        for load in page.loads
        if outside.match(load)
    ]
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        found += [
            f"{style.name}: {hit}"
            for hit in re.findall(r"@import[^;]*|url\([\"']?(?:https?:)?//[^)]*", text)
        ]
    assert found == []


def test_everything_that_is_loaded_is_there(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for load in page.loads:
            if not load.startswith("data:"):
                assert (path.parent / unquote(load.partition("?")[0])).is_file(), (path, load)


def test_every_picture_is_told_to_those_who_do_not_see_it(
    site: Path, pages: dict[Path, Page]
) -> None:
    for path, page in pages.items():
        assert page.without_text == [], path
    text = (site / "kamaelia" / "README.html").read_text(encoding="utf-8")
    svg = text.partition('<svg xmlns="http://www.w3.org/2000/svg" class="axon-picture"')[2]
    assert "<title " in svg
    assert "leads to" in svg.partition("<desc ")[2].partition("</desc>")[0]


def test_charts_are_pictures_and_not_text(site: Path) -> None:
    for path in DOCS.rglob("*.md"):
        charts = path.read_text(encoding="utf-8").count("\n```mermaid\n")
        made = site / path.relative_to(DOCS).with_suffix(".html")
        text = made.read_text(encoding="utf-8")
        assert text.count('class="axon-picture"') >= charts, path
        assert "flowchart LR" not in text, path


@pytest.mark.parametrize("name", READERS)
def test_each_reader_has_a_page_to_which_the_readme_leads(name: str, site: Path) -> None:
    assert (site / f"{name}.html").is_file()
    assert f"](Docs/{name}.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


MISTAKES = {
    "link": ("[nowhere](nowhere.md)\n", "nowhere"),
    "anchor": ("[a heading](#nowhere)\n", "nowhere"),
    "chart": ("```mermaid\nflowchart LR\n  A ~~~ B\n```\n", "line 2"),
    "picture": ("![picture](nowhere.svg)\n", "nowhere"),
}


@pytest.fixture(scope="module")
def built_with_mistakes(
    tmp_path_factory: pytest.TempPathFactory,
) -> subprocess.CompletedProcess[str]:
    """All of them in one run, to be quick: each in a page of its own."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "source").mkdir()
    (folder / "source" / "index.md").write_text("# One\n", encoding="utf-8")
    for name, (text, _) in MISTAKES.items():
        page = f"---\norphan: true\n---\n# One\n\n{text}"
        (folder / "source" / f"{name}.md").write_text(page, encoding="utf-8")
    return build(folder / "source", folder / "site")


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_document_ends_the_build(
    name: str, built_with_mistakes: subprocess.CompletedProcess[str]
) -> None:
    done = built_with_mistakes
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if f"{name}.md:" in line]
    assert any(MISTAKES[name][1] in line for line in told), done.stderr


def test_the_operators_pages_are_manual_pages_too(tmp_path: Path, site: Path) -> None:
    done = build(DOCS, tmp_path / "man", "man", read=site)
    assert (done.returncode, done.stderr) == (0, "")
    for name, says in (
        ("kamaelia-grey.8", "Take no new clients"),
        ("greylist.conf.5", "servername"),
    ):
        text = (tmp_path / "man" / name).read_text(encoding="utf-8")
        assert '\n.TH "' in text
        assert says.lower() in text.lower()


# ---- in a browser

LOOKED_AT = (
    "index.html",
    "for-operators.html",
    "for-remixers.html",
    "for-learners.html",
    "architecture.html",
    "performance.html",
    "axon/README.html",
    "axon/wake-ups.html",
    "kamaelia/README.html",
    "kamaelia/reference/README.html",
    "kamaelia/reference/Chassis.Graphline.html",
    "operating/policy.html",
    "operating/running.html",
    "operating/reference/README.html",
    "operating/reference/statement.ratelimit.html",
    "man/greylist.conf.5.html",
    "tutorial/README.html",
)
# The contrast of every text to what lies below it, as far as plain colours tell.
TOO_FAINT = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const lum = c => { const [r, g, b] = c.slice(0, 3).map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const below = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] > 0.99) return c; } return [255, 255, 255]; };
  const found = new Set();
  const article = document.querySelector("article");
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const e = n.parentElement;
    if (!n.textContent.trim() || e.closest("svg, .headerlink, style, script")) continue;
    if (!e.getClientRects().length || getComputedStyle(e).visibility === "hidden") continue;
    const [a, b] = [lum(parse(getComputedStyle(e).color)), lum(below(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}: ` +
                               n.textContent.trim().slice(0, 30));
  }
  return [...found];
}"""


class Silent(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_words: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Silent, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(find_program: Callable[[str], Path]) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=find_program("chromium"), args=CHROMIUM_FLAGS
        )
        yield started
        started.close()


@pytest.mark.needs("chromium")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_pages_fit_their_screen_and_can_be_read(
    browser: Any,  # noqa: ANN401 - playwright's
    address: str,
    width: int,
    scheme: str,
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 844})
    complaints: list[str] = []
    tab = context.new_page()
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    tab.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((address, "data:", "blob:"))
            else complaints.append(asked.url)
        ),
    )
    for name in LOOKED_AT:
        tab.goto(address + name)
        wide = tab.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            complaints.append(f"{name} is {wide} wide")
        complaints += [f"{name}: {faint}" for faint in tab.evaluate(TOO_FAINT)]
    context.close()
    assert complaints == []


@pytest.mark.needs("chromium")
def test_a_faint_text_is_found(browser: Any, address: str) -> None:  # noqa: ANN401 - see above
    context = browser.new_context(color_scheme="light")
    tab = context.new_page()
    tab.goto(address + "index.html")
    tab.add_style_tag(content="article p { color: #888; }")
    assert any("P." in faint for faint in tab.evaluate(TOO_FAINT))
    context.close()


@pytest.mark.needs("chromium")
def test_pictures_follow_the_pages_switch_and_not_only_the_readers_system(
    browser: Any,  # noqa: ANN401 - see above
    address: str,
) -> None:
    context = browser.new_context(color_scheme="light")
    tab = context.new_page()
    tab.goto(address + "kamaelia/README.html")
    ground = "getComputedStyle(document.querySelector('.axon-picture .ground')).fill"
    light = tab.evaluate(ground)
    tab.evaluate("document.body.dataset.theme = 'dark'")
    assert tab.evaluate(ground) != light
    context.close()


@pytest.mark.needs("chromium")
def test_a_wide_picture_scrolls_in_its_own_box(browser: Any, address: str) -> None:  # noqa: ANN401
    context = browser.new_context(viewport={"width": 390, "height": 844})
    tab = context.new_page()
    tab.goto(address + "index.html")
    inner, outer = tab.evaluate(
        "(box => [box.scrollWidth, box.clientWidth])(document.querySelector('.picture-box'))"
    )
    assert inner > outer
    assert outer < 390
    context.close()
