"""A real headless browser for tests of pages: playwright driving Debian's Chromium; skipped where either is missing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required",
)  # fmt: skip


@contextmanager
def opened(**options: Any) -> Iterator[Any]:
    """A browser context without network, closed afterwards."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium is installed (Debian: apt-get install chromium)")
    with _own_temporary_folder(), playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=list(FLAGS))
        context = browser.new_context(offline=True, accept_downloads=True, **options)
        try:
            yield context
        finally:
            browser.close()


@contextmanager
def _own_temporary_folder() -> Iterator[None]:
    """Where the browser keeps its profile for as long as it lives, and a little longer."""
    with (
        tempfile.TemporaryDirectory(prefix=".browser-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("TMPDIR", folder)
        yield
