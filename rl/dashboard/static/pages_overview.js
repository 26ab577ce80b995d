// One run: headline, curves, events; live.

import { get, runApi } from "ar1/api.js";
import { h, replace } from "ar1/dom.js";
import { clock, duration } from "ar1/format.js";
import { ChartBoard, tiles } from "ar1/overview_view.js";
import { phaseChip, progress } from "ar1/pages_runs.js";

function events(rows) {
  if (!rows.length) return null;
  const line = (e) =>
    h(
      "li",
      { class: e.kind },
      h("time", {}, clock(e.time)),
      h("span", { class: "kind" }, e.kind),
      h("span", {}, e.text),
    );
  return h(
    "section",
    { class: "card events" },
    h("h3", {}, "Events"),
    h("ol", {}, rows.slice(0, 40).map(line)),
  );
}

function warnings(overview) {
  return Object.entries(overview.nonfinite).map(([name, steps]) =>
    h("p", { class: "warning card" }, `${name} was not finite at step ${steps.join(", ")}`),
  );
}

function remaining(overview) {
  const step = overview.headline.find((row) => row.name === "perf/step_s"),
    state = overview.state;
  if (!step || !state?.total || state.phase !== "training") return null;
  return h("span", { class: "muted" }, `about ${duration(step.now * (state.total - state.step))} left`);
}

export function overviewPage(host, { run, go }) {
  const head = h("div", {}),
    board = h("div", {}),
    foot = h("div", {});
  const stored = Number(localStorage.getItem("ar1.smoothing") ?? 0);
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 0.95,
    step: 0.05,
    value: stored,
    "aria-label": "Smoothing",
  });
  const charts = new ChartBoard(board, {
    sync: "steps",
    smoothing: () => Number(slider.value),
    onStep: (step) => go(`/runs/${encodeURIComponent(run)}/groups?at=${step}`),
  });
  let latest = null;
  slider.addEventListener("input", () => {
    localStorage.setItem("ar1.smoothing", slider.value);
    if (latest) charts.update(latest);
  });
  async function load() {
    latest = await get(runApi(run, "overview"));
    // Charts measure their width, so the board is in the page before it is drawn on.
    if (!board.isConnected) replace(host, head, board, foot);
    const tools = h("label", { class: "smoothing" }, "smoothing ", slider);
    replace(
      head,
      h(
        "div",
        { class: "page-head" },
        h("h1", {}, run),
        phaseChip(latest.state),
        progress(latest.state, 0),
        remaining(latest),
        latest.state?.message && h("span", { class: "muted" }, latest.state.message),
        h("span", { class: "spring" }),
        tools,
      ),
      warnings(latest),
      tiles(latest.headline, latest.rewards),
    );
    if (!latest.charts.length)
      replace(
        board,
        h(
          "section",
          { class: "card empty" },
          h("h3", {}, "No step yet"),
          h("p", {}, "Curves appear with the first training step."),
        ),
      );
    else {
      board.querySelector(".empty")?.remove();
      charts.update(latest);
    }
    replace(foot, events(latest.events));
  }
  return {
    title: run,
    load,
    tab: "overview",
    redraw: () => charts.redraw(),
    leave: () => charts.destroy(),
    concerns: (name) => name === run,
  };
}
