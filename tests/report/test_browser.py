"""The page in headless Chromium: it loads whole, fits a phone, and is readable in the dark.

Needs Debian's `chromium` and `chromium-driver` and the package `selenium`; skipped without them,
unless IBN_SEG_REQUIRE_BROWSER=1 makes their absence a failure.
"""

import contextlib
import functools
import http.server
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from ibn_seg.report import write_report

pytestmark = pytest.mark.browser

PHONE = 360
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# Every element with text of its own: its colour, and the first opaque colour behind it.
TEXT_COLOURS = """
const opaque = c => !/^rgba\\(.*, 0\\)$/.test(c) && c !== 'transparent';
const found = [];
for (const element of document.body.querySelectorAll('*')) {
  const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || element.closest('style') || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  let behind = element;
  while (behind && !opaque(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
  found.push([
    element.closest('svg') ? style.fill : style.color,
    behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)',
    element.textContent.trim().slice(0, 40),
  ]);
}
return found;
"""
WIDTHS = "return [document.scrollingElement.scrollWidth, window.innerWidth]"
OPEN_ALL = "for (const d of document.querySelectorAll('details')) d.open = true"
BROKEN_IMAGES = """
return [...document.images].filter(i => !(i.complete && i.naturalWidth > 0)).map(i => i.alt)
"""
FETCHED = "return performance.getEntriesByType('resource').map(e => e.name)"
TEXT_SIZES = """
return [...document.querySelectorAll('svg text')].map(text => {
  const svg = text.ownerSVGElement;
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return parseFloat(getComputedStyle(text).fontSize) * scale;
})
"""


def _missing() -> str | None:
    if not _chromium() or not shutil.which("chromedriver"):
        return "chromium and chromium-driver are not installed"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed"
    return None


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """A fresh browser with a profile of its own."""
    if reason := _missing():
        if os.environ.get("IBN_SEG_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = _chromium()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield browser
    browser.quit()


@pytest.fixture
def url(report_file):
    return report_file.as_uri()


@pytest.fixture
def serve():
    """Serve a folder at a local port; returns the address and the list of paths asked for."""
    with contextlib.ExitStack() as stack:

        def start(folder: Path) -> tuple[str, list[str]]:
            asked: list[str] = []

            class Handler(http.server.SimpleHTTPRequestHandler):
                def log_request(self, *_: object) -> None:
                    asked.append(self.path)

                def log_error(self, *_: object) -> None:
                    pass

            handler = functools.partial(Handler, directory=str(folder))
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}", asked

        yield start


def _load(driver, url: str, *, width: int = 1280, scheme: str = "light") -> None:
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    # Not "mobile": a phone's browser widens innerWidth to fit what overflows, which would hide it.
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": False},
    )
    driver.get_log("browser")
    driver.get(url)


def _luminance(colour: str) -> float:
    """Return the relative luminance of an opaque CSS rgb() colour (WCAG 2.2)."""
    channels = [int(value) / 255 for value in re.fullmatch(r"rgb\((.+)\)", colour)[1].split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(text: str, ground: str) -> float:
    low, high = sorted((_luminance(text), _luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def test_the_checks_see_what_they_look_for(driver, tmp_path, serve):
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<body style='background:#fff'><p style='color:#999;width:900px'>faint</p>"
        "<img src='missing.png' alt='gone'><script>console.error('broken')</script></body>"
    )
    address, asked = serve(tmp_path)
    _load(driver, f"{address}/bad.html", width=PHONE)
    assert any(entry["level"] == "SEVERE" for entry in driver.get_log("browser"))
    assert driver.execute_script(BROKEN_IMAGES) == ["gone"]
    assert f"{address}/missing.png" in driver.execute_script(FETCHED)
    assert "/missing.png" in asked
    scroll, inner = driver.execute_script(WIDTHS)
    assert scroll > PHONE == inner
    ((text, ground, _),) = driver.execute_script(TEXT_COLOURS)
    assert _contrast(text, ground) < 4.5


def test_page_loads_whole_without_errors_or_requests(driver, report_file, panels, serve):
    address, asked = serve(report_file.parent)
    _load(driver, f"{address}/report.html")
    assert driver.get_log("browser") == []
    assert driver.execute_script("return document.images.length") == 5 * len(panels)
    assert driver.execute_script(BROKEN_IMAGES) == []
    fetched = driver.execute_script(FETCHED)
    assert [name for name in fetched if not name.startswith("data:")] == []
    assert asked == ["/report.html"]


@pytest.mark.parametrize("opened", [False, True], ids=["closed", "opened"])
def test_phone_does_not_scroll_sideways(driver, url, opened):
    _load(driver, url, width=PHONE)
    if opened:
        driver.execute_script(OPEN_ALL)
    scroll, inner = driver.execute_script(WIDTHS)
    assert inner == PHONE
    assert scroll <= PHONE
    assert min(driver.execute_script(TEXT_SIZES)) >= 9


def test_a_phone_shows_the_rows_of_the_main_tables_as_cards(driver, url):
    _load(driver, url, width=390)
    cards = """
    return [...document.querySelectorAll('#result table, #runs table')].map(table => {
      const cells = [...table.querySelectorAll('tbody tr:first-child > *')];
      const label = cell => getComputedStyle(cell, '::before').content;
      return [table.parentElement.scrollWidth <= table.parentElement.clientWidth,
              getComputedStyle(table.tHead).display, cells.map(label)];
    });
    """
    summary, seeds = driver.execute_script(cards)
    assert summary[:2] == seeds[:2] == [True, "none"]
    names = ["gta5 (source)", "cityscapes (target)", "Gap", "Target vs BN", "Seeds"]
    assert summary[2] == ["none", *(f'"{name}"' for name in names)]
    assert seeds[2][1] == '"Seed"'
    # On a desk they are tables.
    _load(driver, url)
    assert driver.execute_script(cards)[0][1:] == ["table-header-group", ["none"] * 6]


def test_long_names_and_many_domains_fit_a_phone_too(driver, tmp_path, make_result, panels):
    domains = ("gta5", *(f"a_rather_long_domain_name_{k}" for k in range(4)))
    results = [
        make_result(method, 0, {d: 50.0 - k for k, d in enumerate(domains)}, name="n" * 200)
        for method in ("BN", "IBN-a", "m" * 80, "<script>document.title='run'</script>")
    ]
    panel = panels[0]
    object.__setattr__(panel, "caption", "c" * 150)
    out = write_report(results, [panel], tmp_path / "r.html", title="t" * 90, notes=["n" * 300])
    _load(driver, out.as_uri(), width=PHONE)
    driver.execute_script(OPEN_ALL)
    assert driver.execute_script(WIDTHS)[0] <= PHONE
    assert driver.title == "t" * 90
    assert driver.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(driver, url, scheme):
    _load(driver, url, scheme=scheme)
    driver.execute_script(OPEN_ALL)
    found = driver.execute_script(TEXT_COLOURS)
    assert len(found) > 300
    faint = [
        (words, text, ground) for text, ground, words in found if _contrast(text, ground) < 4.5
    ]
    assert faint == []
    body = driver.execute_script(
        "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    )
    text, ground = (_luminance(colour) for colour in body)
    assert (text > 0.6 and ground < 0.05) if scheme == "dark" else (text < 0.05 and ground > 0.6)


def test_details_open_by_keyboard(driver, url):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    _load(driver, url)
    details = driver.find_element(By.CSS_SELECTOR, "details.run")
    command = details.find_element(By.TAG_NAME, "pre")
    assert not command.is_displayed()
    details.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert command.is_displayed()
