"""The page in headless Chromium: tables sort by mouse and keyboard, links open what they name."""

import pytest

from tests.report.test_browser import (
    OPEN_ALL,
    PHONE,
    TEXT_COLOURS,
    WIDTHS,
    _contrast,
    _load,
    driver,  # noqa: F401
)

pytestmark = pytest.mark.browser

COLUMN = """
const table = document.getElementById(arguments[0]);
return [...table.tBodies].map(body => [...body.rows].map(row =>
  row.classList.contains('group') ? 'GROUP' : row.cells[arguments[1]].dataset.value ?? null));
"""
SORTED = "return [...document.querySelectorAll('#main-game th[aria-sort]')].map(h => h.ariaSort)"
BUTTON = "return document.querySelectorAll('#main-game thead button')[arguments[0]]"


@pytest.fixture
def url(written):
    return written[".html"].as_uri()


def _check_order(driver, column, falling):  # noqa: F811
    for group in driver.execute_script(COLUMN, "main-game", column):
        assert group[0] == "GROUP"
        given = [value for value in group[1:] if value is not None]
        assert group[1:] == given + [None] * (len(group) - 1 - len(given))
        values = list(map(float, given))
        assert values == sorted(values, reverse=falling)


def test_a_click_sorts_within_groups(driver, url):  # noqa: F811
    _load(driver, url)
    before = driver.execute_script(COLUMN, "main-game", 4)
    assert len(before) == 3
    driver.execute_script(BUTTON, 4).click()
    _check_order(driver, 4, falling=True)
    assert driver.execute_script(SORTED) == ["descending"]
    assert driver.execute_script(COLUMN, "main-game", 4) != before
    driver.execute_script(BUTTON, 4).click()
    _check_order(driver, 4, falling=False)
    assert driver.execute_script(SORTED) == ["ascending"]
    # What has no value, such as the oracle's mean over targets, is last both ways.
    assert driver.execute_script(COLUMN, "main-game", 4)[0][-1] is None
    driver.execute_script(BUTTON, 2).click()
    _check_order(driver, 2, falling=True)
    assert driver.execute_script(SORTED) == ["descending"]
    assert driver.get_log("browser") == []


def test_the_keyboard_sorts_too(driver, url):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    _load(driver, url)
    names = "return [...document.querySelectorAll('#main-game tbody th[scope=row]')]" + (
        ".slice(0, 4).map(h => h.textContent)"
    )
    driver.execute_script(BUTTON, 0).send_keys(Keys.ENTER)
    assert driver.execute_script(names) == ["BN", "BN, oracle of dashcam", "IBN-a", "IBN-b"]
    driver.execute_script(BUTTON, 0).send_keys(Keys.SPACE)
    assert driver.execute_script(names) == ["IBN-b", "IBN-a", "BN, oracle of dashcam", "BN"]


def test_a_number_s_link_opens_its_runs(driver, url):  # noqa: F811
    _load(driver, url)
    driver.execute_script("document.querySelector('#main-game td a[href^=\"#\"]').click()")
    hidden = """
    const target = document.getElementById(location.hash.slice(1));
    return [target.closest('details').open, target.getBoundingClientRect().height > 0];
    """
    assert driver.execute_script(hidden) == [True, True]


def test_a_phone_does_not_scroll_sideways(driver, url):  # noqa: F811
    _load(driver, url, width=PHONE)
    driver.execute_script(OPEN_ALL)
    assert driver.execute_script(WIDTHS)[0] <= PHONE


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_schemes(driver, url, scheme):  # noqa: F811
    _load(driver, url, scheme=scheme)
    driver.execute_script(OPEN_ALL)
    found = driver.execute_script(TEXT_COLOURS)
    assert len(found) > 1000
    assert [words for text, ground, words in found if _contrast(text, ground) < 4.5] == []
    assert driver.get_log("browser") == []
