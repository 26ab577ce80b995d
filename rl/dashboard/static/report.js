// The report: everything is in the document; nothing is fetched.

import { h, replace } from "ar1/dom.js";
import { evaluationView, runFacts } from "ar1/evaluation_view.js";
import { number } from "ar1/format.js";
import { GroupView } from "ar1/group_view.js";
import { ChartBoard, tiles } from "ar1/overview_view.js";

function groupPanel(data, group) {
  const page = data.pages[group[1]];
  const head = h(
    "div",
    { class: "page-head" },
    h("h3", { class: "mono" }, page.group_id),
    h(
      "span",
      { class: `chip fate ${page.fate}` },
      page.fate_reason ? `${page.fate}: ${page.fate_reason}` : page.fate,
    ),
    h(
      "span",
      { class: "muted" },
      `step ${page.step} · ${page.clip_id}${page.disagreement === null ? "" : ` · disagreement ${number(page.disagreement)} nats`}`,
    ),
  );
  const body = h("div", { class: "group" });
  const images = data.images[page.clip_id] ?? [];
  return {
    root: h("section", { class: "report-group" }, head, body),
    draw: () => new GroupView(body, page, { imageUrl: (camera) => images[camera] }),
  };
}

function groups(data) {
  if (!data.chosen.length) return null;
  const note = h("p", { class: "muted" }),
    body = h("div", {});
  const buttons = data.chosen.map((entry) => h("button", { onclick: () => open(entry) }, entry.title));
  function open(entry) {
    buttons.forEach((button, i) => button.classList.toggle("on", data.chosen[i] === entry));
    note.textContent = entry.note;
    const panels = entry.groups.map((group) => groupPanel(data, group));
    replace(
      body,
      panels.map((panel) => panel.root),
    );
    panels.forEach((panel) => panel.draw());
  }
  open(data.chosen[0]);
  return h("section", {}, h("h2", {}, "Groups"), h("div", { class: "choices" }, buttons), note, body);
}

function accounting(data) {
  const rows = Object.entries(data.accounting).map(([key, value]) =>
    h("div", {}, h("dt", {}, key), h("dd", {}, value.toLocaleString("en-US"))),
  );
  const digest =
    data.digest &&
    h("div", {}, h("dt", {}, "content digest"), h("dd", { class: "mono" }, data.digest.slice(0, 16)));
  return h("section", { class: "card facts" }, h("h3", {}, "Ledger"), h("dl", {}, rows, digest));
}

export function show() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = () => (document.documentElement.dataset.theme = dark() ? "dark" : "light");
  theme();
  const host = h("div", { class: "content" }),
    board = h("div", {});
  replace(document.getElementById("page"), host);
  const { overview, summary, config } = data,
    state = overview.state;
  const head = h(
    "div",
    { class: "page-head" },
    h("h1", {}, overview.name),
    state && h("span", { class: `chip phase ${state.phase}` }, state.phase),
    state &&
      h(
        "span",
        { class: "muted" },
        `${state.step} steps · ${new Date(state.updated * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`,
      ),
  );
  const before = summary
    ? [h("h2", {}, "Before and after"), evaluationView(summary)]
    : h("p", { class: "card muted" }, "No evaluation: the run wrote no summary.json.");
  replace(
    host,
    head,
    before,
    overview.headline.length > 0 && [
      h("h2", {}, "Training, first to last tenth"),
      tiles(overview.headline, overview.rewards),
    ],
    board,
  );
  const charts = new ChartBoard(board, { sync: "steps", smoothing: () => 0 });
  charts.update(overview);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (theme(), charts.redraw()));
  const chosen = groups(data);
  if (chosen) host.append(chosen);
  host.append(
    h("h2", {}, "Facts"),
    summary ? runFacts(summary) : "",
    h("div", { class: "facts-row" }, accounting(data)),
  );
  if (config)
    host.append(h("details", { class: "card" }, h("summary", {}, "config.yaml"), h("pre", {}, config)));
}
