// Speed over the horizon: the expert and every sample, small, in step with the bird's-eye view.

import { replace, s } from "ar1/dom.js";

const WIDTH = 320,
  HEIGHT = 96,
  LEFT = 30,
  BOTTOM = 16,
  TOP = 6;

export class SpeedChart {
  constructor(host, scene) {
    this.scene = scene;
    this.paths = scene.paths.filter((p) => p.role !== "history");
    this.top = Math.max(2, ...this.paths.flatMap((p) => p.states.map((state) => state[3]))) * 1.08;
    this.low = Math.min(0, ...this.paths.flatMap((p) => p.states.map((state) => state[3])));
    this.svg = s("svg", {
      class: "speed",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": "Speed",
    });
    host.append(this.svg);
    this.set({ time: 0, active: null, colours: {} });
  }

  x(index) {
    const last = this.paths[0].states.length - 1;
    return LEFT + ((WIDTH - LEFT - 6) * index) / last;
  }

  y(speed) {
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (speed - this.low) / (this.top - this.low));
  }

  set(changes) {
    this.state = { ...this.state, ...changes };
    const { time, active, colours } = this.state;
    const line = (p) =>
      p.states.map((state, i) => `${this.x(i).toFixed(1)},${this.y(state[3]).toFixed(1)}`).join(" ");
    const step = this.top > 14 ? 5 : 2;
    const ticks = [];
    for (let v = 0; v < this.top; v += step * Math.ceil(this.top / step / 4)) ticks.push(v);
    const last = this.paths[0].states.length - 1;
    const seconds = [0, 2, 4, 6].filter((t) => t / this.scene.step_s <= last);
    replace(
      this.svg,
      ticks.map((v) => [
        s("line", { class: "grid", x1: LEFT, x2: WIDTH - 6, y1: this.y(v), y2: this.y(v) }),
        s("text", { x: LEFT - 5, y: this.y(v) + 3, "text-anchor": "end" }, v),
      ]),
      seconds.map((t) =>
        s("text", { x: this.x(t / this.scene.step_s), y: HEIGHT - 4, "text-anchor": "middle" }, `${t} s`),
      ),
      this.paths
        .filter((p) => p.role === "sample")
        .map((p) =>
          s("polyline", {
            class: `curve sample${active === p.id ? " active" : active !== null ? " dimmed" : ""}`,
            points: line(p),
            style: { "--sample": colours[p.id] ?? "" },
          }),
        ),
      this.paths
        .filter((p) => p.role === "expert")
        .map((p) => s("polyline", { class: "curve expert", points: line(p) })),
      s("line", { class: "now", x1: this.x(time), x2: this.x(time), y1: TOP, y2: HEIGHT - BOTTOM }),
    );
  }
}
