// A run at a glance: its headline numbers, then every curve, in sections. Also drawn by the report.

import { Chart } from "ar1/chart.js";
import { correlationView } from "ar1/correlation_view.js";
import { h, replace } from "ar1/dom.js";
import { quantity, signed, words } from "ar1/format.js";
import { css, rewardColour } from "ar1/palette.js";

export function tiles(headline, rewards) {
  const tile = (row) => {
    const reward = row.name.match(/^rewards\/(.+)\/mean$/);
    const change = row.now - row.then,
      scale = row.unit === "share" ? 100 : 1;
    const small = Math.abs(change * scale) < (scale === 100 ? 0.05 : 0.0005);
    const kind = small || row.better === 0 ? "" : change * row.better > 0 ? "up" : "down";
    const digits = row.unit === "share" || row.unit === "tokens" ? 1 : Math.abs(row.now) < 0.1 ? 4 : 3;
    const text = `${signed(change * scale, digits)}${scale === 100 ? " pp" : ""}`;
    return h(
      "div",
      {
        class: "tile card",
        "data-tile": row.name,
        title: `mean of the last ${row.window} step(s); change against the first ${row.window}`,
      },
      h(
        "span",
        { class: "name" },
        h("i", {
          class: "dot",
          style: { background: reward ? rewardColour(reward[1], rewards) : css("--ink") },
        }),
        words(row.label),
      ),
      h("b", {}, quantity(row.now, row.unit)),
      h("small", { class: kind }, small ? "unchanged" : text),
    );
  };
  return h("div", { class: "tiles" }, headline.map(tile));
}

export class ChartBoard {
  // options: onStep(step), smoothing(), sync
  constructor(host, options) {
    this.host = host;
    this.options = options;
    this.drawn = new Map();
    this.sections = new Map();
  }

  update({ charts, correlations, rewards }) {
    this.options.rewards = rewards;
    const seen = new Set();
    for (const chart of charts) {
      const key = `${chart.section}/${chart.title}`;
      seen.add(key);
      if (this.drawn.has(key)) this.drawn.get(key).update(chart);
      else this.drawn.set(key, new Chart(this.grid(chart.section), chart, this.options));
    }
    for (const [key, chart] of this.drawn) {
      if (!seen.has(key)) {
        chart.destroy();
        this.drawn.delete(key);
      }
    }
    if (correlations) {
      const view = correlationView(correlations);
      if (this.correlations) this.correlations.replaceWith(view);
      else this.grid("Rewards compared").append(view);
      this.correlations = view;
    }
  }

  grid(section) {
    if (!this.sections.has(section)) {
      const grid = h("div", { class: "chart-grid" });
      this.host.append(
        h(
          "section",
          { class: "chart-section", id: section.toLowerCase().replaceAll(" ", "-") },
          h("h2", {}, section),
          grid,
        ),
      );
      this.sections.set(section, grid);
    }
    return this.sections.get(section);
  }

  redraw() {
    for (const chart of this.drawn.values()) chart.redraw();
  }

  destroy() {
    for (const chart of this.drawn.values()) chart.destroy();
    replace(this.host);
  }
}
