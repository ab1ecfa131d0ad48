"""The playground in a real browser that reaches nothing but the server."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from graphql import parse, validate
from playwright.async_api import Browser, Page, Route, async_playwright
from playwright.async_api import TimeoutError as TimedOut

from deployd.graphql.schema import SCHEMA
from deployd.model.actor import Role
from deployd.model.world import SYSTEM
from deployd.store import tokens, worlds
from deployd.web import playground
from tests.integration.web.server import Served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FETCHED = (playground.ASSETS / playground.FETCHED / "graphiql.js").is_file()
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
SUBSCRIPTION = (
    'subscription Followed { transitions(world: "local") { ... on TransitionBatch { transitions { seq } } } }'
)
TOKEN = "ada-0123456789abcdef0123456789abcdef"
PATIENCE = 90_000
"""Milliseconds until something that should happen has not."""
SHOTS = os.environ.get("DEPLOYD_SCREENSHOTS")
"""A folder, for whoever wants to look."""

browsers = pytest.mark.skipif(
    CHROMIUM is None or not FETCHED,
    reason="needs chromium (Debian: apt install chromium) and the playground (make playground)",
)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield chromium
        await chromium.close()


async def opened(browser: Browser, served: Served, scheme: str) -> tuple[Page, list[str]]:
    """The playground, and a list of whatever goes wrong on it."""
    page = await browser.new_page(color_scheme=cast("Any", scheme), viewport={"width": 1280, "height": 800})
    wrong: list[str] = []
    page.on("console", lambda one: wrong.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda one: wrong.append(str(one)))
    page.on("crash", lambda _: wrong.append("it crashed"))

    async def only_ours(route: Route) -> None:
        if route.request.url.startswith(served.url):
            await route.continue_()
        else:
            wrong.append(f"it asked for {route.request.url}")
            await route.abort()

    await page.route("**/*", only_ours)
    page.set_default_timeout(PATIENCE)
    await page.goto(f"{served.url}/graphql")
    try:
        await page.wait_for_selector(".graphiql-query-editor .CodeMirror")
    except TimedOut:
        pytest.fail(f"there is no editor: {wrong or 'nothing went wrong'}\n{await page.content()}")
    return page, wrong


async def write(page: Page, text: str) -> None:
    """A named operation, until GraphiQL has read it: it gives its tab the name."""
    await page.evaluate(
        "text => document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.setValue(text)", text
    )
    await page.locator(".graphiql-tab", has_text=text.split()[1]).first.wait_for()


async def answered(page: Page, text: str) -> None:
    """Until the result contains it."""
    await page.wait_for_function(
        "text => document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue().includes(text)",
        arg=text,
    )


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.wait_for_timeout(500)
        await page.screenshot(path=Path(SHOTS) / f"{name}.png")


def test_what_it_begins_with_is_a_query_of_the_schema() -> None:
    script = (playground.ASSETS / "playground.js").read_text(encoding="utf-8")
    begun = re.search(r"const defaultQuery = `(.*?)`;", script, re.DOTALL)
    assert begun is not None
    assert validate(SCHEMA._schema, parse(begun[1])) == []


@browsers
async def test_it_asks_follows_explains_and_remembers(served: Served, browser: Browser) -> None:
    page, wrong = await opened(browser, served, "light")
    await write(page, "query Named { worlds { name } }")
    await page.click(".graphiql-execute-button")
    await answered(page, '"name": "local"')
    await shot(page, "query")

    await page.click('button[aria-label="Show Documentation Explorer"]')
    await page.get_by_role("link", name="Query", exact=True).click()
    await page.get_by_text("What can be looked at.").wait_for()
    await page.get_by_text("All worlds, by name.").wait_for()
    await shot(page, "docs")
    await page.click('button[aria-label="Show History"]')
    await page.get_by_text("Named").first.wait_for()

    await write(page, SUBSCRIPTION)
    await page.click(".graphiql-execute-button")
    await answered(page, '"transitions": []')
    await served.committer.store(births=(served.deployment(),))
    await answered(page, '"seq": 1')
    await page.click(".graphiql-execute-button")  # stop

    await page.click('button[aria-label="Open settings dialog"]')  # its styles come under the nonce
    await page.get_by_role("dialog").wait_for()
    await shot(page, "settings")
    await page.keyboard.press("Escape")
    await page.reload()
    await page.click('button[aria-label="Show History"]')
    await page.get_by_text("Named").first.wait_for()
    assert wrong == []


@browsers
async def test_the_token_is_that_of_the_headers_editor(strict: Served, browser: Browser) -> None:
    system = await worlds.get(strict.db, SYSTEM)
    assert system is not None
    await tokens.add(strict.db, system.world_id, "ada", Role.ADMIN, TOKEN)
    page, _ = await opened(browser, strict, "dark")
    await write(page, "query Asked { worlds { name } }")
    await page.click(".graphiql-execute-button")
    await answered(page, "UNAUTHENTICATED")
    await page.get_by_role("button", name="Headers").click()
    await page.evaluate(
        "text => [...document.querySelectorAll('.graphiql-editor-tool .CodeMirror')]"
        ".at(-1).CodeMirror.setValue(text)",
        f'{{"Authorization": "Bearer {TOKEN}"}}',
    )
    await page.click(".graphiql-execute-button")
    await answered(page, '"name": "local"')
    await write(page, SUBSCRIPTION)
    await page.click(".graphiql-execute-button")
    await answered(page, '"transitions": []')
    await shot(page, "dark")
    await page.reload()
    await page.locator(".graphiql-tab", has_text="Followed").first.wait_for()
    stored = await page.evaluate("JSON.stringify(localStorage)")
    assert "Followed" in stored, "what was written is kept"
    assert TOKEN not in stored, "it is not left behind"


async def test_the_page_has_a_policy_of_its_own(strict: Served) -> None:
    """And needs no token: what it asks does."""
    async with strict.session.get(f"{strict.url}/graphql", headers=HTML) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        policy = response.headers["Content-Security-Policy"]
    directives = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
    async with strict.session.get(f"{strict.url}/graphql/assets/playground.js") as response:
        assert (response.status, response.content_type) == (200, "text/javascript")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        etag = {"If-None-Match": response.headers["ETag"]}
    async with strict.session.get(f"{strict.url}/graphql/assets/playground.js", headers=etag) as response:
        assert response.status == 304
    for name in ("nothing.js", "missing.html", "..%2Fguard.py", "versions.txt"):
        async with strict.session.get(f"{strict.url}/graphql/assets/{name}") as response:
            assert response.status == 404


def test_what_is_missing_of_it_is_said(tmp_path: Path) -> None:
    shutil.copytree(playground.ASSETS, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / playground.FETCHED, ignore_errors=True)
    request = cast("web.Request", SimpleNamespace(host="localhost:1"))
    text = playground.page(request, tmp_path).text
    assert text is not None
    assert "<pre>make playground</pre>" in text
    assert "graphiql.js" in text
    assert "<script" not in text
