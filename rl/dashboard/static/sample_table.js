// The samples of a group side by side: what each said, drove and scored, and which reward moved its advantage.

import { h } from "ar1/dom.js";
import { MISSING, number, quantity, signed, words } from "ar1/format.js";
import { rewardColour } from "ar1/palette.js";

function bar(value, low, high, colour) {
  if (value === null) return null;
  const share = high - low < 1e-9 ? 1 : (value - low) / (high - low);
  return h(
    "div",
    { class: "bar" },
    h("i", { style: { width: `${Math.max(share, 0.02) * 100}%`, background: colour } }),
  );
}

// A share of the advantage: to the right it raised the sample, to the left it lowered it.
function shareBar(share, most) {
  if (share === null || share === undefined || most === 0) return h("div", { class: "share none" });
  const width = `${(Math.abs(share) / most) * 50}%`;
  const side = share < 0 ? { right: "50%" } : { left: "50%" };
  return h(
    "div",
    { class: "share", title: `advantage share ${signed(share)}` },
    h("i", { class: share < 0 ? "down" : "up", style: { width, ...side } }),
  );
}

function scoreCell(score, scale, colour) {
  if (!score) return h("td", { class: "score" }, h("span", { class: "missing" }, "not asked"));
  const head =
    score.value === null
      ? h("span", { class: "missing", title: score.explanation }, score.status.replace("_", " "))
      : h("span", { class: "value" }, number(score.value));
  return h(
    "td",
    { class: "score" },
    h("div", { class: "score-head" }, head, h("small", {}, score.share === null ? "" : signed(score.share))),
    bar(score.value, scale.low, scale.high, colour),
    shareBar(score.share, scale.share),
  );
}

function scoreDetail(name, score, colour) {
  const parts = Object.entries(score.components).map(([key, value]) =>
    h("span", { class: "part" }, `${words(key)} `, h("b", {}, number(value))),
  );
  const facts = [
    `v${score.version || "?"}`,
    `${score.attempts} attempt${score.attempts === 1 ? "" : "s"}`,
    score.cached ? "from cache" : quantity(score.latency_s, "s"),
  ];
  return h(
    "div",
    { class: "detail-score" },
    h(
      "div",
      {},
      h("i", { class: "dot", style: { background: colour } }),
      h("b", {}, words(name)),
      " ",
      score.value === null
        ? h("span", { class: "missing" }, `missing: ${score.status}`)
        : number(score.value),
    ),
    parts.length > 0 && h("div", { class: "parts" }, parts),
    score.explanation && h("p", {}, score.explanation),
    h("small", {}, facts.join(" · ")),
  );
}

function detail(rollout, page) {
  const versions =
    rollout.versions &&
    (rollout.versions[0] === rollout.versions[1]
      ? `${rollout.versions[0]}`
      : `${rollout.versions[0]} … ${rollout.versions[1]}`);
  const facts = [
    ["tokens", rollout.tokens],
    ["ended by", rollout.finish_reason],
    ["mean log-probability", number(rollout.mean_logprob)],
    ["weight version", versions ?? MISSING],
    ["seed", rollout.seed],
    ["fate", rollout.fate + (rollout.fate_reason ? `: ${rollout.fate_reason}` : "")],
  ];
  return h(
    "div",
    { class: "detail" },
    h(
      "dl",
      {},
      facts.map(([key, value]) => h("div", {}, h("dt", {}, key), h("dd", {}, value))),
    ),
    h(
      "div",
      { class: "detail-scores" },
      page.rewards
        .filter((name) => rollout.scores[name])
        .map((name) => scoreDetail(name, rollout.scores[name], rewardColour(name, page.rewards))),
    ),
  );
}

function scales(page) {
  const shares = page.rollouts.flatMap((r) =>
    Object.values(r.scores).map((score) => Math.abs(score.share ?? 0)),
  );
  const most = Math.max(0, ...shares);
  return Object.fromEntries(
    page.rewards.map((name) => {
      const values = page.rollouts
        .map((r) => r.scores[name]?.value)
        .filter((v) => v !== null && v !== undefined);
      return [
        name,
        {
          low: Math.min(0, ...values),
          high: Math.max(values.every((v) => v <= 1) ? 1 : 0, ...values),
          share: most,
        },
      ];
    }),
  );
}

const SORTS = {
  index: (r) => r.index,
  total: (r) => -(r.total ?? -Infinity),
  advantage: (r) => -(r.advantage ?? -Infinity),
};

export class SampleTable {
  // onHover(id or null), onPick(id)
  constructor(host, page, { onHover, onPick, weights }) {
    this.page = page;
    this.rows = new Map();
    const scale = scales(page);
    const head = (key, text, title) =>
      h(
        "th",
        { class: key in SORTS ? "" : "score", title },
        h("button", { onclick: () => this.sort(key) }, text),
      );
    const weightOf = (name) =>
      weights && name in weights
        ? h("small", {}, weights[name] === 0 ? " shadow" : ` ×${weights[name]}`)
        : null;
    const header = h(
      "tr",
      {},
      head("index", "sample", "Sort by sample number"),
      head("total", "total", "Combined reward"),
      head("advantage", "adv.", "What the learner was given"),
      page.rewards.map((name) =>
        h(
          "th",
          { class: "score" },
          h(
            "button",
            { onclick: () => this.sort(name) },
            h("i", { class: "dot", style: { background: rewardColour(name, page.rewards) } }),
            words(name),
            weightOf(name),
          ),
        ),
      ),
    );
    this.body = h("tbody", {});
    for (const rollout of page.rollouts) {
      const id = String(rollout.index);
      const text = rollout.valid
        ? rollout.text
        : h("span", { class: "missing" }, `invalid: ${rollout.reason}`);
      const row = h(
        "tr",
        {
          class: "sample",
          "data-sample": id,
          tabindex: 0,
          onmouseenter: () => onHover(id),
          onmouseleave: () => onHover(null),
          onclick: () => onPick(id),
          onkeydown: (e) => e.key === "Enter" && onPick(id),
        },
        h(
          "td",
          { class: "said" },
          h(
            "div",
            { class: "said-row" },
            h("i", { class: "swatch" }),
            h("b", { class: "index" }, rollout.index),
            h("p", {}, text),
          ),
        ),
        h("td", { class: "total" }, number(rollout.total)),
        h(
          "td",
          { class: `advantage ${rollout.advantage === null ? "" : rollout.advantage < 0 ? "down" : "up"}` },
          signed(rollout.advantage),
        ),
        page.rewards.map((name) =>
          scoreCell(rollout.scores[name], scale[name], rewardColour(name, page.rewards)),
        ),
      );
      const more = h(
        "tr",
        { class: "more", hidden: true },
        h("td", { colspan: 3 + page.rewards.length }, detail(rollout, page)),
      );
      this.rows.set(id, { row, more, rollout });
    }
    this.order = "index";
    this.sort("index");
    host.append(
      h(
        "div",
        { class: "table-scroll" },
        h("table", { class: "samples" }, h("thead", {}, header), this.body),
      ),
    );
  }

  sort(key) {
    const rank = SORTS[key] ?? ((r) => -(r.scores[key]?.value ?? -Infinity));
    const sorted = [...this.rows.values()].sort(
      (a, b) => rank(a.rollout) - rank(b.rollout) || a.rollout.index - b.rollout.index,
    );
    this.body.replaceChildren(...sorted.flatMap(({ row, more }) => [row, more]));
  }

  set({ active, open, colours }) {
    for (const [id, { row, more }] of this.rows) {
      row.classList.toggle("active", active === id);
      row.classList.toggle("open", open === id);
      more.hidden = open !== id;
      if (colours) row.style.setProperty("--sample", colours[id] ?? "");
    }
  }
}
