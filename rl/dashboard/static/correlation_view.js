// How the rewards move together over rollouts, and with length: conflicts and length hacking show here.

import { h } from "ar1/dom.js";
import { signed, words } from "ar1/format.js";
import { correlationColour } from "ar1/palette.js";

export function correlationView({ names, values }) {
  const cell = (r, i, j) =>
    i === j
      ? h("td", { class: "same" })
      : h(
          "td",
          { style: { background: correlationColour(r) }, title: `${names[i]} and ${names[j]}` },
          r === null ? "–" : signed(r).replace("+", ""),
        );
  return h(
    "figure",
    { class: "chart card correlations" },
    h(
      "figcaption",
      {},
      h("div", { class: "chart-head" }, h("h3", {}, "Correlation of rewards")),
      h("p", { class: "note" }, "Pearson’s r over rollouts, mean of the last 20 steps"),
    ),
    h(
      "div",
      { class: "table-scroll" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", {}),
            names.map((name) => h("th", {}, words(name))),
          ),
        ),
        h(
          "tbody",
          {},
          values.map((row, i) =>
            h(
              "tr",
              {},
              h("th", {}, words(names[i])),
              row.map((r, j) => cell(r, i, j)),
            ),
          ),
        ),
      ),
    ),
  );
}
