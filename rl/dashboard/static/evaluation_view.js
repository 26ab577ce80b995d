// Before and after: the table of summary.json with its 95 % intervals.

import { h, s } from "ar1/dom.js";
import { duration, number, percent, signed, words } from "ar1/format.js";

const LOWER_IS_BETTER = new Set(["ade", "min_ade", "fde", "min_fde", "collision", "off_road"]);
const SHARES = /^(collision|validity|off_road|decision\/.*)$/;
const ORDER = ["reward", "reasoning", "consistency", "trajectory", "ade", "min_ade", "collision", "validity"];
const METRES = new Set(["ade", "min_ade", "fde", "min_fde"]);
const RECORDED = "recorded/";

// "recorded/ade@greedy": metric ade, on recorded traffic, decoded greedily.
const base = (name) => name.split("@")[0].replace(RECORDED, "");
const setting = (name) => (name.startsWith(RECORDED) ? RECORDED : "") + (name.split("@")[1] ?? "");

function settingTitle(key) {
  const kind = key.replace(RECORDED, ""),
    where = key.startsWith(RECORDED) ? "Recorded traffic, " : "";
  const how =
    kind === ""
      ? "at the run's sampling temperature"
      : kind === "greedy"
        ? "greedy decoding"
        : `decoded at temperature ${kind.replace(/^t/, "")}`;
  return where ? where + how : how[0].toUpperCase() + how.slice(1);
}

function rank(name) {
  const at = ORDER.indexOf(base(name));
  return at < 0 ? ORDER.length + (base(name).startsWith("decision/") ? 1 : 0) : at;
}

function show(name, value) {
  return SHARES.test(base(name)) ? `${(value * 100).toFixed(1)} %` : number(value);
}

function verdict(name, paired) {
  if (!paired) return "unknown";
  const [, low, high] = paired;
  if (low <= 0 && high >= 0) return "unclear";
  return low > 0 === !LOWER_IS_BETTER.has(base(name)) ? "better" : "worse";
}

function interval(triple, name) {
  if (!triple) return h("td", { class: "num" }, "–");
  const [mean, low, high] = triple;
  return h(
    "td",
    { class: "num" },
    h("b", {}, show(name, mean)),
    h("small", {}, ` ${show(name, low)} … ${show(name, high)}`),
  );
}

function paired(triple, name) {
  if (!triple) return h("td", { class: "num" }, "–");
  const scale = SHARES.test(base(name)) ? 100 : 1,
    digits = scale === 100 ? 1 : 3;
  const text = (v) => signed(v * scale, digits);
  const unit = scale === 100 ? " pp" : "";
  return h(
    "td",
    { class: "num" },
    h("b", {}, text(triple[0]) + unit),
    h("small", {}, ` ${text(triple[1])} … ${text(triple[2])}`),
  );
}

// Both intervals on one axis of the row's own range.
function forest(row) {
  const all = [...(row.before ?? []), ...(row.after ?? [])];
  if (!all.length) return h("td", {});
  const low = Math.min(...all),
    high = Math.max(...all),
    span = high - low || 1;
  const x = (v) => 6 + (148 * (v - low)) / span;
  const draw = (triple, kind, y) =>
    triple &&
    s(
      "g",
      { class: kind },
      s("line", { x1: x(triple[1]), x2: x(triple[2]), y1: y, y2: y }),
      s("circle", { cx: x(triple[0]), cy: y, r: 3.6 }),
    );
  const arrow =
    row.before &&
    row.after &&
    s("line", { class: "move", x1: x(row.before[0]), x2: x(row.after[0]), y1: 8, y2: 19 });
  return h(
    "td",
    { class: "forest" },
    s(
      "svg",
      { viewBox: "0 0 160 27", width: 160, height: 27 },
      arrow,
      draw(row.before, "before", 8),
      draw(row.after, "after", 19),
    ),
  );
}

function metricRow([name, row]) {
  const mark = verdict(name, row.paired);
  const text = { better: "better", worse: "worse", unclear: "no clear change", unknown: "" }[mark];
  const unit = METRES.has(base(name)) ? ", m" : "",
    direction = LOWER_IS_BETTER.has(base(name)) ? " ↓" : "";
  const clips = row.clips ? `${row.clips} clips` : "";
  return h(
    "tr",
    { "data-metric": name, class: mark, title: clips },
    h("th", { scope: "row" }, words(base(name).replace("decision/", "")), h("small", {}, unit + direction)),
    interval(row.before, name),
    interval(row.after, name),
    forest(row),
    paired(row.paired, name),
    h("td", {}, h("span", { class: `verdict ${mark}` }, text)),
  );
}

function table(title, rows) {
  const head = ["", "before", "after", "", "paired difference", ""].map((text) => h("th", {}, text));
  return h(
    "section",
    { class: "card" },
    h("h3", {}, title),
    h(
      "div",
      { class: "table-scroll" },
      h(
        "table",
        { class: "evaluation" },
        h("thead", {}, h("tr", {}, head)),
        h("tbody", {}, rows.map(metricRow)),
      ),
    ),
  );
}

export function evaluationView(summary) {
  const entries = Object.entries(summary.metrics ?? {}).sort(
    ([a], [b]) => rank(a) - rank(b) || a.localeCompare(b),
  );
  const settings = [...new Set(entries.map(([name]) => setting(name)))].sort(
    (a, b) => a.startsWith(RECORDED) - b.startsWith(RECORDED) || a.localeCompare(b),
  );
  const tables = settings.flatMap((key) => {
    const rows = entries.filter(([name]) => setting(name) === key);
    const decisions = rows.filter(([name]) => base(name).startsWith("decision/")),
      others = rows.filter(([name]) => !base(name).startsWith("decision/"));
    return [
      others.length > 0 && table(settingTitle(key), others),
      decisions.length > 0 && table(`${settingTitle(key)}: share right by decision`, decisions),
    ].filter(Boolean);
  });
  const counts = [...new Set(entries.map(([, row]) => row.clips).filter(Boolean))];
  const clips = counts.length
    ? ` Up to ${Math.max(...counts)} clips${summary.split ? ` of the ${summary.split} split` : ""}; a row's own count shows when pointed at.`
    : "";
  const note = `Mean with 95 % interval. The paired difference compares the same clips; “better” and “worse” mean that its interval excludes 0. ↓ lower is better.${clips}`;
  return h(
    "div",
    { class: "evaluation-view" },
    h("p", { class: "muted" }, note),
    tables,
    ceiling(summary.ceiling),
  );
}

// What the clean expert scores with its own label: no policy is expected above it.
function ceiling(rows) {
  if (!rows || !Object.keys(rows).length) return null;
  const line = ([name, row]) =>
    h(
      "div",
      {},
      h("dt", {}, words(name)),
      h("dd", {}, `${number(row[0])} (${number(row[1])} … ${number(row[2])})`),
    );
  return h(
    "section",
    { class: "card facts" },
    h("h3", {}, "Ceiling: the clean expert"),
    h("dl", {}, Object.entries(rows).map(line)),
  );
}

export function runFacts(summary) {
  const list = (title, rows) =>
    rows.length > 0 &&
    h(
      "section",
      { class: "card facts" },
      h("h3", {}, title),
      h(
        "dl",
        {},
        rows.map(([key, value]) => h("div", {}, h("dt", {}, words(key)), h("dd", {}, value))),
      ),
    );
  const whole = Object.values(summary.seconds ?? {}).reduce((a, b) => a + b, 0);
  const seconds = Object.entries(summary.seconds ?? {}).map(([k, v]) => [
    k,
    `${duration(v)} (${percent(v / whole)})`,
  ]);
  const counts = Object.entries(summary.counts ?? {}).map(([k, v]) => [k, Number(v).toLocaleString("en-US")]);
  if (summary.peak_rss_gib) counts.push(["peak memory", `${number(summary.peak_rss_gib)} GiB`]);
  const versions = Object.entries(summary.versions ?? {}).map(([k, v]) => [k, String(v)]);
  if (summary.config_sha256) versions.push(["config sha256", String(summary.config_sha256).slice(0, 12)]);
  return h(
    "div",
    { class: "facts-row" },
    list("Counts", counts),
    list("Seconds by phase", seconds),
    list("Versions", versions),
  );
}
