"""Remakes the README's pictures: `python -m tests.screenshots` drives the demo in Chromium."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Page, sync_playwright

from tests.chromium import find_chromium

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LIBRARIAN = "librarian@demo.example"
PASSWORD = "carrel-demo"
READER, FREE_COPIES, LATE_COPY, HELD_COPY = "R0011", ("00045-2", "00164-2"), "01399-1", "00084-1"
DEBTOR = "R0004"
PATIENCE_SECONDS = 240


@contextmanager
def demo_site() -> Iterator[str]:
    """Run `manage.py demo` on a free port and yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "manage.py", "demo", "--port", str(port)], cwd=ROOT)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_for(f"{address}/admin/login/", server)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urlopen(url):
                return
        except (URLError, ConnectionError):
            time.sleep(0.5)
    raise SystemExit("The demo did not start.")


def scan(page: Page, *codes: str) -> None:
    for code in codes:
        rows = page.locator("#rows > *").count()
        page.keyboard.type(code)
        page.keyboard.press("Enter")
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(300 if rows else 600)


def take(page: Page, name: str, *, is_whole: bool = False) -> None:
    """Keep what is seen of the page, or the whole of it; in the second case charts are drawn."""
    page.wait_for_load_state("networkidle")
    if is_whole:
        page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png", full_page=is_whole)


def sign_in(page: Page, address: str) -> None:
    page.goto(f"{address}/admin/login/")
    page.fill("input[name=username]", LIBRARIAN)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/admin/")


def picture(page: Page, address: str) -> None:
    sign_in(page, address)
    take(page, "today", is_whole=True)
    page.goto(f"{address}/admin/desk/")
    scan(page, READER, *FREE_COPIES, HELD_COPY)
    take(page, "desk")
    page.keyboard.press("Escape")
    page.keyboard.press("F2")
    scan(page, LATE_COPY)
    take(page, "return")
    page.keyboard.press("F9")
    page.keyboard.press("F2")
    scan(page, DEBTOR)
    account = page.locator("a[href*='/admin/money/account/']").first.get_attribute("href")
    page.goto(f"{address}{account}")
    take(page, "account")
    page.get_by_role("link", name="Loans now").click()
    take(page, "reader")
    page.goto(f"{address}/admin/catalog/book/?q=dickens")
    take(page, "books")
    page.goto(f"{address}/admin/catalog/book/import/")
    page.set_input_files("input[type=file]", HERE / "books-to-import.csv")
    page.locator("form button[type=submit], form input[type=submit]").last.click()
    take(page, "import")


def main() -> None:
    os.chdir(ROOT)
    with demo_site() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        picture(browser.new_page(viewport={"width": 1280, "height": 800}), address)
        browser.close()


if __name__ == "__main__":
    main()
