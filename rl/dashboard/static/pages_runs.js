// The list of runs.

import { get } from "ar1/api.js";
import { h, replace, s } from "ar1/dom.js";
import { ago, quantity, words } from "ar1/format.js";
import { rewardColour } from "ar1/palette.js";

export function phaseChip(state) {
  if (!state) return h("span", { class: "chip phase" }, "no state");
  return h("span", { class: `chip phase ${state.phase}`, title: state.message }, state.phase);
}

export function progress(state, steps) {
  const step = state?.step ?? steps,
    total = state?.total;
  const text = total ? `${step} / ${total}` : `${step}`;
  return h(
    "div",
    { class: "progress", title: `step ${text}` },
    total &&
      h("div", { class: "track" }, h("i", { style: { width: `${Math.min(step / total, 1) * 100}%` } })),
    h("span", {}, text),
  );
}

function spark(values) {
  if (values.length < 2) return null;
  const low = Math.min(...values),
    span = Math.max(...values) - low || 1;
  const points = values.map(
    (v, i) =>
      `${((i / (values.length - 1)) * 116 + 2).toFixed(1)},${(28 - ((v - low) / span) * 24).toFixed(1)}`,
  );
  return s(
    "svg",
    { class: "spark", viewBox: "0 0 120 32", width: 120, height: 32 },
    s("polyline", { points: points.join(" ") }),
  );
}

function brokenRow(run) {
  return h(
    "tr",
    { "data-run": run.name },
    h("td", {}, h("span", { class: "run-name" }, run.name)),
    h("td", { colspan: 6, class: "missing" }, run.error),
  );
}

function row(run, go) {
  if (run.error) return brokenRow(run);
  const of = (name) => run.headline.find((row) => row.name === name);
  const reward = of("reward");
  const rewards = run.rewards.map((name) =>
    h(
      "span",
      { class: "mini" },
      h("i", { class: "dot", style: { background: rewardColour(name, run.rewards) } }),
      words(name),
      " ",
      h("b", {}, quantity(of(`rewards/${name}/mean`)?.now ?? null, "")),
    ),
  );
  const href = `/runs/${encodeURIComponent(run.name)}`;
  return h(
    "tr",
    { "data-run": run.name, onclick: (event) => !event.target.closest("a") && go(href) },
    h(
      "td",
      {},
      h("a", { href, class: "run-name" }, run.name),
      run.state?.message && h("div", { class: "muted small" }, run.state.message),
    ),
    h("td", {}, phaseChip(run.state)),
    h("td", {}, progress(run.state, run.steps)),
    h("td", { class: "num" }, h("b", {}, quantity(reward?.now ?? null, ""))),
    h("td", {}, spark(run.spark)),
    h("td", {}, h("div", { class: "minis" }, rewards)),
    h("td", { class: "muted" }, run.state ? ago(run.state.updated) : "–"),
  );
}

export function runsPage(host, { go }) {
  async function load() {
    const { runs, folder } = await get("/api/runs");
    const newest = [...runs].sort((a, b) => (b.state?.updated ?? 0) - (a.state?.updated ?? 0));
    const head = ["run", "phase", "step", "reward", "", "rewards", "last news"].map((text) =>
      h("th", { class: text === "reward" ? "num" : "" }, text),
    );
    const table = h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "table-scroll" },
        h(
          "table",
          { class: "runs" },
          h("thead", {}, h("tr", {}, head)),
          h(
            "tbody",
            {},
            newest.map((run) => row(run, go)),
          ),
        ),
      ),
    );
    const empty = h(
      "section",
      { class: "card empty" },
      h("h3", {}, "No runs yet"),
      h(
        "p",
        {},
        "Start a job with ",
        h("code", {}, "ar1 grpo --config …"),
        "; it appears here with its first step.",
      ),
    );
    replace(
      host,
      h("div", { class: "page-head" }, h("h1", {}, "Runs"), h("span", { class: "muted" }, folder)),
      runs.length ? table : empty,
    );
  }
  return { title: "runs", load, concerns: () => true };
}
