"""A real browser: the machine's Chromium, driven by Playwright. tests/conftest.py loads this.

Whatever a page says that it should not (a script that fails, something that its policy forbids, a request that goes
elsewhere or is not answered) fails the test that looks at it.
"""

import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, Request, ViewportSize, async_playwright

from sandbox.parts.errors import BROWSER, PartMissing

ROOT = Path(__file__).parents[1]
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: No sandbox: tests may be root; nothing that calls home at a start.
_ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip
#: The smallest screen that is promised, a usual one.
NARROW, WIDE = ViewportSize(width=360, height=740), ViewportSize(width=1280, height=900)


class Person:
    """Somebody before a browser of their own: `page` is what they look at."""

    def __init__(self, context: BrowserContext, page: Page, url: str, others: Sequence[str] = ()) -> None:
        self.context = context
        self.page = page
        self.url = url
        self._known = {urlsplit(one).netloc for one in (url, *others)}
        #: What pages said that they should not.
        self.complaints: list[str] = []
        #: Clicks of this person, to be counted.
        self.clicks = 0
        page.on("console", lambda told: self._heard(told.type, told.text))
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", self._asked)

    def _heard(self, kind: str, text: str) -> None:
        """What a browser says of an answer that is no success is no complaint: tests ask for such on purpose."""
        if kind in ("error", "warning") and "the server responded with a status of" not in text:
            self.complaints.append(f"{kind}: {text}")

    def _asked(self, request: Request) -> None:
        host = urlsplit(request.url)
        if host.scheme not in ("data", "about") and host.netloc not in self._known:
            self.complaints.append(f"went elsewhere: {request.url}")

    async def goto(self, path: str) -> int:
        """Open a page of ours; answers its status."""
        answer = await self.page.goto(self.url + path)
        assert answer is not None
        return answer.status

    async def sign_in(self, token: str) -> None:
        """As people do: by the form."""
        await self.goto("/signin")
        await self.page.get_by_label("Token").fill(token)
        await self.page.get_by_role("button", name="Sign in").click()
        await self.page.wait_for_url(lambda url: "/signin" not in url)

    async def click(self, role: Any, name: str, **options: Any) -> None:
        """A click, which is counted."""
        await self.page.get_by_role(role, name=name, **options).first.click()
        self.clicks += 1

    async def text(self) -> str:
        """What the page says."""
        return await self.page.locator("main").inner_text()

    async def found_by_axe(self) -> list[str]:
        """What axe finds wrong for people who do not see, or do not use a mouse."""
        source = ROOT / "service/http/console/node_modules/axe-core/axe.min.js"
        await self.page.evaluate(source.read_text(encoding="utf-8"))
        told: list[str] = await self.page.evaluate(
            "async () => (await axe.run()).violations.map(v => `${v.id}: ${v.nodes.map(n => n.html).join(' | ')}`)"
        )
        return told

    async def overflow(self) -> int:
        """Pixels by which the page is wider than the screen."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--pictures docs/images`: where pictures of the documents are written."""
    parser.addoption("--pictures", metavar="DIR", help="write the pictures of the documents there")


@pytest.fixture
def picture(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`await picture(person, name)` takes a picture of the page, where that is asked for."""
    folder = request.config.getoption("--pictures")

    async def take(person: Person, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            await person.page.screenshot(path=Path(folder) / f"{name}.png")

    return take


def _executable(do_without: Callable[[Exception], NoReturn]) -> str:
    for name in _BROWSERS:
        if path := shutil.which(name):
            return path
    return do_without(PartMissing(BROWSER))


@pytest.fixture
async def chromium(do_without: Callable[[Exception], NoReturn]) -> AsyncIterator[Browser]:
    """A browser of this test's own."""
    executable = _executable(do_without)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        yield browser
        await browser.close()


@pytest.fixture
async def person(chromium: Browser) -> AsyncIterator[Callable[..., Any]]:
    """`await person(url, dark=…, screen=…, others=…)` is somebody before a browser, with nothing to complain of."""
    people: list[Person] = []

    async def come(
        url: str, *, dark: bool = False, screen: ViewportSize | None = None, others: Sequence[str] = ()
    ) -> Person:
        context = await chromium.new_context(
            viewport=screen or WIDE, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        context.set_default_timeout(15_000)
        people.append(Person(context, await context.new_page(), url.rstrip("/"), others))
        return people[-1]

    yield come
    for one in people:
        await one.context.close()
    assert [one.complaints for one in people if one.complaints] == []
