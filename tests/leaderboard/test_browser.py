"""The page in headless Chromium: tables sort by mouse and keyboard, links open what they name."""

from pathlib import Path

import pytest

from ibn_seg.leaderboard import write_leaderboard
from tests.leaderboard.made import Folder
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
    driver.execute_script(OPEN_ALL)
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
    driver.execute_script(OPEN_ALL)
    names = "return [...document.querySelectorAll('#main-game tbody th[scope=row]')]" + (
        ".slice(0, 4).map(h => h.textContent)"
    )
    driver.execute_script(BUTTON, 0).send_keys(Keys.ENTER)
    assert driver.execute_script(names) == ["BN", "BN, oracle of dashcam", "IBN-a", "IBN-b"]
    driver.execute_script(BUTTON, 0).send_keys(Keys.SPACE)
    assert driver.execute_script(names) == ["IBN-b", "IBN-a", "BN, oracle of dashcam", "BN"]


def test_a_number_s_link_opens_its_runs(driver, url):  # noqa: F811
    _load(driver, url)
    driver.execute_script(OPEN_ALL)
    driver.execute_script("document.querySelector('#main-game td a[href^=\"#\"]').click()")
    hidden = """
    const target = document.getElementById(location.hash.slice(1));
    return [target.closest('details').open, target.getBoundingClientRect().height > 0];
    """
    assert driver.execute_script(hidden) == [True, True]


def test_the_ranking_sorts_by_keyboard_and_keeps_the_oracle_last(driver, url):  # noqa: F811
    from selenium.webdriver.common.keys import Keys

    _load(driver, url)
    names = (
        "return [...document.querySelector('#ranked-game tbody').rows]"
        ".map(row => row.querySelector('.term')?.textContent ?? 'GROUP')"
    )
    assert driver.execute_script(names) == ["GROUP", "IBN-b", "IBN-a", "BN", "BN, oracle"]
    sort = "return [...document.querySelectorAll('#ranked-game th')].map(h => h.ariaSort)"
    assert driver.execute_script(sort)[1] == "descending"
    button = driver.execute_script("return document.querySelector('#ranked-game thead button')")
    cue = "return getComputedStyle(arguments[0], '::after').content"
    before = driver.execute_script(cue, button)
    button.send_keys(Keys.ENTER)
    assert driver.execute_script(names) == ["GROUP", "BN", "IBN-a", "IBN-b", "BN, oracle"]
    assert driver.execute_script(sort)[:2] == ["ascending", None]
    assert driver.execute_script(cue, button) != before
    # Intervals and their drawing are not sorted by themselves.
    assert len(driver.find_elements("css selector", "#ranked-game thead button")) == 6


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_has_one_left_edge_and_its_table_fits(driver, url, width):  # noqa: F811
    _load(driver, url, width=width)
    edges = driver.execute_script("""
    return [...document.querySelectorAll('h1, h2:not(.unseen-title), .headline, .scroll, .chart')]
      .filter(e => e.getClientRects().length && !e.matches('.chart ~ .chart'))
      .map(e => Math.round(e.getBoundingClientRect().left));
    """)
    assert len(set(edges)) == 1
    box = "const b = document.getElementById('ranked-game').parentElement;"
    wide, room, top = driver.execute_script(
        f"{box} return [b.scrollWidth, b.clientWidth, b.getBoundingClientRect().top]"
    )
    assert wide <= room
    if width == 1280:
        # The table begins above the fold.
        assert top < 400
    assert driver.get_log("browser") == []


def test_a_phone_shows_the_interval_below_the_difference_and_links_to_all_columns(driver, url):  # noqa: F811
    shown = """
    const row = document.querySelector('#ranked-game tbody tr:nth-child(2)');
    return [...row.cells].filter(cell => cell.getClientRects().length).map(cell => cell.innerText);
    """
    _load(driver, url)
    on_desk = driver.execute_script(shown)
    assert len(on_desk) == 8
    _load(driver, url, width=390)
    name, score, difference = driver.execute_script(shown)
    assert name.endswith("IBN-b")
    assert score == on_desk[1]
    assert difference.split("\n") == [on_desk[2], on_desk[3]]
    link = driver.execute_script("return document.querySelector('#ranking a[href^=\"#main\"]')")
    link.click()
    assert driver.execute_script(
        "return document.getElementById('main-game').getBoundingClientRect().height > 0"
    )


def test_the_page_of_a_whole_plan_is_short_before_it_is_unfolded(driver, tmp_path):  # noqa: F811
    kept = Path(__file__).resolve().parents[2] / "data/benchmark/embedded_full"
    (page,) = write_leaderboard([kept], tmp_path / "b.html")
    _load(driver, page.as_uri())
    assert driver.execute_script("return document.scrollingElement.scrollHeight") < 6000
    box = "const b = document.getElementById('ranked-game').parentElement;"
    wide, room = driver.execute_script(f"{box} return [b.scrollWidth, b.clientWidth]")
    assert wide <= room


def test_many_long_names_still_fit(driver, tmp_path):  # noqa: F811
    folder = Folder(tmp_path)
    skill = {"game": 0.8} | {f"a_long_domain_{k}": 0.5 for k in range(8)}
    for entropy, method in enumerate(("BN", "IBN-a with a rather long name")):
        for seed in (0, 1):
            folder.train(method, seed, skill, entropy=entropy)
    (page,) = write_leaderboard([folder.write()])
    box = "const b = document.getElementById('ranked-game').parentElement;"
    for width in (PHONE, 1280):
        _load(driver, page.as_uri(), width=width)
        wide, room = driver.execute_script(f"{box} return [b.scrollWidth, b.clientWidth]")
        assert wide <= room
    assert "In the table of all columns: a_long_domain_7, game." in driver.page_source


def test_numbers_stand_point_below_point(driver, url):  # noqa: F811
    _load(driver, url)
    driver.execute_script(OPEN_ALL)
    spread = driver.execute_script("""
    const worst = [];
    for (const table of document.querySelectorAll('table')) {
      const columns = {};
      for (const row of table.querySelectorAll('tbody tr')) {
        for (const cell of row.cells) {
          const text = cell.querySelector('span')?.firstChild;
          const at = text?.nodeType === 3 ? text.data.search(/\\./) : -1;
          if (cell.tagName !== 'TD' || cell.matches('.name, .text') || at < 0) continue;
          const range = document.createRange();
          range.setStart(text, at); range.setEnd(text, at + 1);
          (columns[cell.cellIndex] ??= []).push(range.getBoundingClientRect().right);
        }
      }
      for (const xs of Object.values(columns)) worst.push(Math.max(...xs) - Math.min(...xs));
    }
    return worst;
    """)
    assert len(spread) > 50
    # Bold digits are a little wider.
    assert max(spread) < 2.5


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
