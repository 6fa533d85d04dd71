"""`ibn-seg reid demo`, with a plan of seconds in place of its own."""

import pytest

from ibn_seg.cli import run as run_cli
from ibn_seg.demo import search_demo
from tests.benchmark.test_search_plan import plan_of


@pytest.mark.slow
def test_the_demo_ends_with_a_page_and_goes_on(tmp_path, monkeypatch, capsys):
    plan = plan_of(tmp_path, methods=["BN", "IBN-a"])
    monkeypatch.setattr(search_demo, "PLANS", {True: str(plan)})
    call = ["reid", "demo", "--quick", "--work-dir", str(tmp_path / "demo")]
    assert run_cli(call) == 0
    printed = capsys.readouterr().out
    assert "colour histograms have rank-1" in printed
    page = tmp_path / "demo" / "report.html"
    assert f"Report: {page}" in printed
    assert "IBN-a" in page.read_text()
    results = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
    assert len(results) == 2
    assert run_cli(call) == 0
    assert results == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("result.json")}
