"""Dashboard and report in a real headless browser: drawn, clickable, live, and no request elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from example_run import make_clip, make_step, write_run
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from rl.ledger import LedgerReader, LedgerWriter
from rl.report import write_report
from rl.run_registry import Phase, RunRegistry

pytestmark = [pytest.mark.process, pytest.mark.slow]

PATIENCE_MS = 60_000  # a deadline for a busy machine, not a measure
expect.set_options(timeout=PATIENCE_MS)
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
INK = """canvas => { const d = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
         let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser on PATH ({', '.join(NAMES)}); apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def live_runs(tmp_path_factory: pytest.TempPathFactory, clip_store: Path) -> Path:
    """A folder of its own, for the test that writes while the dashboard watches."""
    folder = tmp_path_factory.mktemp("live")
    write_run(folder / "growing", [make_clip(n) for n in range(9)], steps=4, clip_stores=[clip_store])
    RunRegistry(folder / "growing").set_state(Phase.TRAINING, 4, 10, "step 5: generating")
    (folder / "growing/summary.json").unlink()
    return folder


def serve(runs: Path) -> Iterator[str]:
    """The command as a user starts it; yields its address."""
    command = "from rl.commands.dashboard import app; app()"
    arguments = [sys.executable, "-c", command, "--runs", str(runs), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()
            assert process.wait(timeout=20) is not None


@pytest.fixture(scope="module")
def url(runs_dir: Path) -> Iterator[str]:
    yield from serve(runs_dir)


@pytest.fixture(scope="module")
def live_url(live_runs: Path) -> Iterator[str]:
    yield from serve(live_runs)


class Visit:
    """A page that notes every request beyond this machine and every error on its console."""

    def __init__(self, browser: Browser) -> None:
        self.context = browser.new_context(locale="en-US", viewport={"width": 1440, "height": 950})
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.context.route("**/*", self._look)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)

    def _look(self, route: Route) -> None:
        where = urlsplit(route.request.url)
        if where.scheme in ("data", "file", "blob") or where.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    found = Visit(browser)
    yield found
    found.context.close()
    assert found.outside == []
    assert found.errors == []


def test_from_the_list_to_curves(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(url)
    expect(page.locator("tr[data-run='demo'] .phase")).to_have_text("finished")
    page.get_by_role("link", name="demo").click()
    chart = page.locator("[data-chart='Total reward']")
    expect(chart.locator("canvas")).to_be_visible()
    assert page.url == f"{url}/runs/demo"
    for title in (
        "Total reward",
        "reasoning",
        "Share of the advantage",
        "Length",
        "kl",
        "entropy",
        "Seconds by phase",
    ):
        canvas = page.locator(f"[data-chart='{title}'] canvas")
        expect(canvas).to_have_count(1)
        assert canvas.evaluate(INK) > 500, title
    expect(chart.locator(".legend")).to_contain_text("step 6")
    assert page.locator("[data-tile]").count() >= 8
    expect(page.locator(".correlations table")).to_contain_text("length")


def test_a_curve_leads_to_the_groups_of_its_step(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(f"{url}/runs/demo")
    over = page.locator("[data-chart='Total reward'] .u-over")
    box = over.bounding_box()
    assert box is not None
    over.click(position={"x": box["width"] - 2, "y": box["height"] / 2})
    expect(page).to_have_url(f"{url}/runs/demo/groups?at=6")
    expect(page.locator("tr[data-group]")).to_have_count(12)


def test_groups_are_sorted_opened_and_turned(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(f"{url}/runs/demo/groups")
    page.get_by_role("button", name="reasoning").click()
    expect(page).to_have_url(f"{url}/runs/demo/groups?sort=reward%3Areasoning&order=desc")
    rows = page.locator("tr[data-group]")
    expect(rows).to_have_count(50)
    first, second = (rows.nth(n).get_attribute("data-group") for n in (0, 1))
    rows.nth(0).locator("a").click()
    expect(page.locator("h1")).to_have_text(str(first))
    page.keyboard.press("j")
    expect(page.locator("h1")).to_have_text(str(second))
    page.locator("button.previous").click()
    expect(page.locator("h1")).to_have_text(str(first))
    page.go_back()
    expect(page.locator("h1")).to_have_text(str(second))


def test_a_group_is_shown_whole(visit: Visit, url: str, runs_dir: Path) -> None:
    group = LedgerReader(runs_dir / "demo").group(2, "g00002-005")
    page = visit.page
    page.goto(f"{url}/runs/demo/groups/2/g00002-005")
    images = page.locator(".camera img")
    expect(images).to_have_count(4)
    for n in range(4):
        images.nth(n).evaluate("image => image.decode()")
        assert images.nth(n).evaluate("image => [image.naturalWidth, image.naturalHeight]") == [36, 24]
    drawn = page.locator(".bird-eye .trail.sample")
    expect(drawn).to_have_count(8)
    expect(page.locator(".bird-eye .trail.expert")).to_have_count(1)
    assert page.locator(".bird-eye polygon.drivable").count() == 1
    assert page.locator(".bird-eye .agent").count() == 3
    expect(page.locator(".label .said")).to_have_text(make_clip(int(group.clip_id[-4:])).label.text)  # type: ignore[union-attr]
    for rollout in group.rollouts:
        row = page.locator(f"tr[data-sample='{rollout.index}']")
        expect(row.locator("p")).to_have_text(rollout.completion.text)
        scored = sum(score.value is not None for score in rollout.scores)
        expect(row.locator(".bar")).to_have_count(scored)
    missing = page.locator("tr[data-sample='2']")
    expect(missing.locator(".missing")).to_have_text("deadline")
    missing.click()
    expect(page.locator("tr.more:visible")).to_contain_text("no answer within 10 s")
    expect(page.locator(".bird-eye .trail.active")).to_have_attribute("data-id", "2")


def test_colour_and_time_move_the_picture(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(f"{url}/runs/demo/groups/2/g00002-001")
    trail = page.locator(".bird-eye .trail.sample").first
    expect(trail).to_be_attached()
    style, car = (
        trail.get_attribute("style"),
        page.locator(".bird-eye .agent.car").first.get_attribute("transform"),
    )
    page.get_by_label("Colour samples by").select_option("comfort")
    assert trail.get_attribute("style") != style
    page.get_by_label("Time").fill("40")
    expect(page.locator(".time output")).to_have_text("t0 + 4.0 s")
    assert page.locator(".bird-eye .agent.car").first.get_attribute("transform") != car
    assert page.locator(".bird-eye .ego.sample").count() == 8


def test_evaluation_shows_before_and_after_with_intervals(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(f"{url}/runs/demo/evaluation")
    reward = page.locator("tr[data-metric='reward']")
    expect(reward).to_contain_text("0.48")
    expect(reward).to_contain_text("0.73")
    expect(reward.locator(".verdict")).to_have_text("better")
    expect(page.locator("tr[data-metric='ade'] .verdict")).to_have_text("better")
    expect(page.locator("tr[data-metric='min_ade'] .verdict")).to_have_text("no clear change")
    expect(page.locator("tr[data-metric='reward@greedy']")).to_be_visible()


def test_a_new_step_arrives_by_itself(visit: Visit, live_url: str, live_runs: Path) -> None:
    page = visit.page
    page.goto(f"{live_url}/runs/growing")
    legend = page.locator("[data-chart='Total reward'] .legend")
    expect(legend).to_contain_text("step 4")
    expect(page.locator(".live")).to_have_text("live")
    page.evaluate("window.untouched = true")
    LedgerWriter(live_runs / "growing").append(5, make_step(5, [make_clip(n) for n in range(9)]))
    RunRegistry(live_runs / "growing").set_state(Phase.TRAINING, 5, 10, "step 6: generating")
    expect(legend).to_contain_text("step 5")
    expect(page.locator(".page-head .progress")).to_contain_text("5 / 10")
    assert page.evaluate("window.untouched") is True


def test_pages_that_are_not_there_say_so(visit: Visit, url: str) -> None:
    page = visit.page
    page.goto(f"{url}/runs/nobody")
    expect(page.locator(".error")).to_contain_text("no run 'nobody'")
    visit.errors = [text for text in visit.errors if "404" not in text]


def test_the_report_opens_from_a_file(visit: Visit, runs_dir: Path) -> None:
    path = write_report(runs_dir / "demo")
    page = visit.page
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    expect(page.locator("tr[data-metric='reward'] .verdict")).to_have_text("better")
    assert page.locator("[data-chart='Total reward'] canvas").evaluate(INK) > 500
    expect(page.locator(".bird-eye")).to_have_count(2)
    image = page.locator(".camera img").first
    image.evaluate("image => image.decode()")
    assert image.evaluate("image => image.naturalWidth") == 36
    page.get_by_role("button", name="Missing").click()
    expect(page.locator(".bird-eye")).to_have_count(1)
    assert page.locator("tr.sample .missing").count() > 0
    assert [r for r in requests if not r.startswith(("data:", "file:"))] == []
