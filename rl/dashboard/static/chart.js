// One panel of curves: title, legend that follows the cursor, uPlot canvas. Panels share one cursor.

import { alpha, css, nthColour, rewardColour } from "ar1/palette.js";
import { h, replace } from "ar1/dom.js";
import { quantity, words } from "ar1/format.js";

const HEIGHT = 172,
  WIDE_HEIGHT = 380;
const FATES = { trained: "--good", dropped: "--warn", cancelled: "--faint" };

function smoothed(values, amount) {
  if (!amount) return values;
  let mean = null,
    weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    mean = amount * (mean ?? 0) + (1 - amount) * value;
    weight = amount * weight + (1 - amount);
    return mean / weight;
  });
}

function cumulated(lines) {
  const sum = lines[0].values.map(() => 0);
  return lines.map((line) => line.values.map((value, i) => (sum[i] += value ?? 0)));
}

export class Chart {
  // options: rewards (names in colour order), onStep(step), sync key, smoothing 0…1
  constructor(host, chart, options) {
    this.options = options;
    this.legend = h("div", { class: "legend" });
    this.canvas = h("div", { class: "plot" });
    this.title = h("h3", {}, chart.title);
    const grow = h(
      "button",
      { class: "icon", title: "Wide or narrow", onclick: () => this.toggleWide() },
      "⤢",
    );
    this.root = h(
      "figure",
      { class: "chart card", "data-chart": chart.title },
      h(
        "figcaption",
        {},
        h("div", { class: "chart-head" }, this.title, grow),
        h("p", { class: "note" }, chart.note),
      ),
      this.legend,
      this.canvas,
    );
    host.append(this.root);
    this.build(chart);
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.canvas);
  }

  colour(line, index) {
    if (this.chart.kind === "band") {
      const reward = line.name.match(/^rewards\/(.+)\/mean$/);
      return reward ? rewardColour(reward[1], this.options.rewards) : css("--ink");
    }
    if (FATES[line.label]) return css(FATES[line.label]);
    if (this.options.rewards.includes(line.label)) return rewardColour(line.label, this.options.rewards);
    return line.label === "total" ? css("--ink") : nthColour(index);
  }

  get stacked() {
    return this.chart.kind === "stack" || this.chart.kind === "steps";
  }

  build(chart) {
    this.chart = chart;
    this.plot?.destroy();
    this.shape = this.shapeOf(chart);
    const { data, series, bands } = this.columns();
    this.plot = new uPlot(
      {
        width: Math.max(this.canvas.clientWidth, 120),
        height: this.height,
        series: [{}, ...series],
        bands,
        legend: { show: false },
        cursor: { sync: { key: this.options.sync, setSeries: false }, points: { size: 6 }, y: false },
        scales: { x: { time: false }, y: { range: (u, low, high) => this.range(low, high) } },
        axes: this.axes(),
        hooks: { setCursor: [() => this.updateLegend()] },
        padding: [8, 10, 0, 0],
      },
      data,
      this.canvas,
    );
    this.listen();
    this.updateLegend();
  }

  listen() {
    let from = 0;
    this.plot.over.addEventListener("mousedown", (event) => (from = event.clientX));
    this.plot.over.addEventListener("click", (event) => {
      const at = this.plot.cursor.idx;
      if (Math.abs(event.clientX - from) < 4 && at !== null) this.options.onStep?.(this.chart.steps[at]);
    });
  }

  axes() {
    const font = "11px system-ui, sans-serif",
      stroke = css("--muted");
    const grid = { stroke: css("--grid"), width: 1 },
      ticks = { show: false };
    const values = (u, splits) => splits.map((v) => (Number.isInteger(v) ? v : ""));
    return [
      { font, stroke, grid: { show: false }, ticks, size: 24, gap: 4, values, space: 60 },
      {
        font,
        stroke,
        grid,
        ticks,
        size: 46,
        gap: 6,
        space: 34,
        values: (u, v) => v.map((x) => this.tick(x)),
      },
    ];
  }

  tick(value) {
    if (this.chart.unit === "share") return `${+(value * 100).toFixed(1)}%`;
    if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(0);
    return Math.abs(value) >= 10000 ? `${+(value / 1000).toFixed(1)}k` : String(+value.toPrecision(4));
  }

  range(low, high) {
    if (low === null || !Number.isFinite(low)) return [0, 1];
    if (this.chart.kind === "stack") return [0, Math.max(high, 1e-9)];
    if (this.chart.kind === "steps") return [0, high * 1.05 || 1];
    if (this.chart.unit === "share" && high <= 1) {
      if (low >= 0 && high < 0.001) return [0, 0.01];
      return [
        Math.max(low - 0.05 * (high - low) - 0.002, 0),
        Math.min(high + 0.08 * (high - low) + 0.002, 1.005),
      ];
    }
    if (high - low < 1e-12) return [low - (Math.abs(low) || 1) * 0.5, high + (Math.abs(high) || 1) * 0.5];
    return [low - 0.06 * (high - low), high + 0.06 * (high - low)];
  }

  columns() {
    const { steps, lines, kind } = this.chart;
    const data = [steps],
      series = [],
      bands = [];
    const spanGaps = true,
      points = { show: steps.length < 3 };
    const add = (values, options) => (
      data.push(values),
      series.push({ spanGaps, points, ...options }),
      series.length
    );
    if (this.stacked) {
      const paths = kind === "steps" ? uPlot.paths.stepped({ align: 1 }) : undefined;
      cumulated(lines)
        .map((values, i) => ({ values, i }))
        .reverse()
        .forEach(({ values, i }) => {
          const stroke = this.colour(lines[i], i);
          add(values, { stroke, width: 1, fill: alpha(stroke, 0.85), paths, points: { show: false } });
        });
      return { data, series, bands };
    }
    const amount = this.options.smoothing();
    lines.forEach((line, i) => {
      const stroke = this.colour(line, i);
      if (line.low) {
        const none = { stroke: "transparent", width: 0, points: { show: false } };
        const top = add(smoothed(line.high, amount), none),
          bottom = add(smoothed(line.low, amount), none);
        bands.push({ series: [top, bottom], fill: alpha(stroke, kind === "band" ? 0.16 : 0.1) });
      }
      if (amount) add(line.values, { stroke: alpha(stroke, 0.28), width: 1 });
      add(smoothed(line.values, amount), { stroke, width: 1.75 });
    });
    return { data, series, bands };
  }

  updateLegend() {
    const { steps, lines, unit } = this.chart;
    const hover = this.plot?.cursor?.idx;
    const at = hover === null || hover === undefined ? steps.length - 1 : hover;
    const item = (line, i) => {
      const band = line.low ? ` (${quantity(line.low[at], unit)} … ${quantity(line.high[at], unit)})` : "";
      const label = lines.length > 1 ? h("span", { class: "label" }, words(line.label)) : null;
      const dot = h("i", { style: { background: this.colour(line, i) } });
      return h(
        "span",
        { class: "item" },
        dot,
        label,
        h("b", {}, quantity(line.values[at], unit)),
        h("em", {}, band),
      );
    };
    replace(this.legend, h("span", { class: "step" }, `step ${steps[at]}`), lines.map(item));
  }

  shapeOf(chart) {
    return JSON.stringify([chart.kind, chart.lines.map((line) => [line.name, Boolean(line.low)])]);
  }

  update(chart) {
    if (this.shapeOf(chart) !== this.shape || this.options.smoothing() !== this.drawnSmoothing) {
      this.drawnSmoothing = this.options.smoothing();
      return this.build(chart);
    }
    this.chart = chart;
    this.plot.setData(this.columns().data);
    this.updateLegend();
  }

  redraw() {
    this.build(this.chart);
  }

  get height() {
    return this.root.classList.contains("wide") ? WIDE_HEIGHT : HEIGHT;
  }

  toggleWide() {
    this.root.classList.toggle("wide");
    this.resize();
  }

  resize() {
    const width = this.canvas.clientWidth;
    if (width > 0 && (width !== this.plot.width || this.height !== this.plot.height)) {
      this.plot.setSize({ width, height: this.height });
    }
  }

  destroy() {
    this.watch.disconnect();
    this.plot.destroy();
    this.root.remove();
  }
}
