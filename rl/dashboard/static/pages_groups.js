// All groups of a run: filter, sort, open one.

import { get, runApi } from "ar1/api.js";
import { h, replace, s } from "ar1/dom.js";
import { number, words } from "ar1/format.js";
import { spreadOut, valueColour } from "ar1/palette.js";

const PAGE = 50;
export const QUERY_KEYS = ["sort", "order", "fate", "at", "clip", "missing"];

export function groupHref(run, group, query) {
  const kept = new URLSearchParams([...query].filter(([key]) => QUERY_KEYS.includes(key)));
  const place = `/runs/${encodeURIComponent(run)}/groups/${group.step}/${encodeURIComponent(group.group_id)}`;
  return `${place}${kept.size ? `?${kept}` : ""}`;
}

function dots(totals) {
  const keyed = Object.fromEntries(totals.map((v, i) => [i, v]));
  const shares = spreadOut(keyed);
  const known = totals.filter((v) => v !== null);
  const low = Math.min(0, ...known),
    high = Math.max(1, ...known);
  const x = (v) => 6 + (128 * (v - low)) / (high - low);
  return s(
    "svg",
    { class: "dots", viewBox: "0 0 140 18", width: 140, height: 18 },
    s("line", { x1: 4, x2: 136, y1: 9, y2: 9 }),
    totals.map(
      (v, i) =>
        v !== null &&
        s(
          "circle",
          { cx: x(v), cy: 9, r: 4, style: { fill: valueColour(shares[i]) } },
          s("title", {}, `sample ${i}: ${number(v)}`),
        ),
    ),
  );
}

function fate(group) {
  return h(
    "span",
    { class: `chip fate ${group.fate}`, title: group.fate_reason ?? "" },
    group.fate_reason && group.fate !== "trained" ? `${group.fate}: ${group.fate_reason}` : group.fate,
  );
}

export function groupsPage(host, { run, query, go }) {
  const state = {
    sort: query.get("sort") ?? "step",
    order: query.get("order") ?? "desc",
    fate: query.get("fate") ?? "",
    at: query.get("at") ?? "",
    clip: query.get("clip") ?? "",
    missing: query.get("missing") ?? "",
    offset: Number(query.get("offset") ?? 0),
  };
  const visit = (changes) => {
    const next = { ...state, offset: 0, ...changes };
    const kept = Object.entries(next).filter(([, v]) => v !== "" && v !== 0);
    go(`/runs/${encodeURIComponent(run)}/groups?${new URLSearchParams(kept)}`);
  };
  const input = (key, placeholder, width) =>
    h("input", {
      type: "search",
      value: state[key],
      placeholder,
      style: { width },
      "aria-label": placeholder,
      onchange: (e) => visit({ [key]: e.target.value.trim() }),
    });

  function tools(count) {
    const fates = ["", "trained", "dropped", "cancelled"].map((f) =>
      h("option", { value: f, selected: f === state.fate }, f || "any fate"),
    );
    const missing = h("input", {
      type: "checkbox",
      checked: state.missing === "true",
      onchange: (e) => visit({ missing: e.target.checked ? "true" : "" }),
    });
    return h(
      "div",
      { class: "page-head" },
      h("h1", {}, "Groups"),
      h("span", { class: "muted" }, `${count.toLocaleString("en-US")} found`),
      h("span", { class: "spring" }),
      input("at", "step", "5.5rem"),
      input("clip", "clip id", "11rem"),
      h("select", { "aria-label": "Fate", onchange: (e) => visit({ fate: e.target.value }) }, fates),
      h("label", { class: "check" }, missing, " with missing scores"),
    );
  }

  function header(key, text, title, numeric = true) {
    const on = state.sort === key;
    const flip = () => visit({ sort: key, order: on && state.order === "desc" ? "asc" : "desc" });
    return h(
      "th",
      { class: numeric ? "num" : "", title },
      h(
        "button",
        { class: on ? "on" : "", onclick: flip },
        text,
        on ? (state.order === "desc" ? " ↓" : " ↑") : "",
      ),
    );
  }

  function row(group, rewards) {
    const href = groupHref(run, group, query);
    const of = Object.fromEntries((group.rewards ?? []).map((r) => [r.reward, r]));
    const cell = (name) =>
      h(
        "td",
        { class: "num" },
        number(of[name]?.mean ?? null),
        of[name]?.std > 0 && h("small", {}, ` ±${number(of[name].std, 2)}`),
      );
    return h(
      "tr",
      { "data-group": group.group_id, onclick: (e) => !e.target.closest("a") && go(href) },
      h("td", { class: "num" }, group.step),
      h(
        "td",
        {},
        h("a", { href, class: "mono" }, group.group_id),
        h("div", { class: "muted small mono" }, group.clip_id),
      ),
      h("td", {}, fate(group)),
      h("td", { class: "num" }, h("b", {}, number(group.total))),
      h("td", { class: "num" }, number(group.std)),
      h("td", {}, group.totals && dots(group.totals)),
      rewards.map(cell),
      h("td", { class: "num" }, number(group.disagreement)),
      h(
        "td",
        { class: "num" },
        group.missing + group.invalid > 0 ? h("span", { class: "missing" }, group.missing) : "0",
      ),
    );
  }

  function pager(count) {
    const step = (offset, text, enabled) =>
      h("button", { disabled: !enabled, onclick: () => visit({ offset }) }, text);
    const end = Math.min(state.offset + PAGE, count);
    return h(
      "div",
      { class: "pager" },
      step(Math.max(state.offset - PAGE, 0), "← previous", state.offset > 0),
      h("span", { class: "muted" }, `${count ? state.offset + 1 : 0} – ${end} of ${count}`),
      step(state.offset + PAGE, "next →", end < count),
    );
  }

  async function load() {
    const { count, groups } = await get(runApi(run, "groups"), { ...state, limit: PAGE });
    const rewards = [...new Set(groups.flatMap((g) => (g.rewards ?? []).map((r) => r.reward)))].sort();
    const head = h(
      "tr",
      {},
      header("step", "step", "Training step"),
      h("th", {}, "group, clip"),
      h("th", {}, "fate"),
      header("total", "total", "Mean total"),
      header("std", "std", "Spread of totals: the group's signal"),
      h("th", {}, "samples"),
      rewards.map((name) => header(`reward:${name}`, words(name), "Mean and spread of this reward")),
      header("disagreement", "disagr.", "Curator's divergence, nats"),
      header("missing", "missing", "Missing scores"),
    );
    const table = h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "table-scroll" },
        h(
          "table",
          { class: "groups" },
          h("thead", {}, head),
          h(
            "tbody",
            {},
            groups.map((g) => row(g, rewards)),
          ),
        ),
      ),
      pager(count),
    );
    const empty = h(
      "section",
      { class: "card empty" },
      h("h3", {}, "No groups"),
      h("p", {}, "Nothing in the ledger matches; clear the filters, or wait for the first step."),
    );
    replace(host, tools(count), count ? table : empty);
  }
  return {
    title: `groups of ${run}`,
    load,
    tab: "groups",
    concerns: (name) =>
      name === run && state.offset === 0 && !document.activeElement?.matches("input, select"),
  };
}
