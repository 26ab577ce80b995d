// A scene from above as SVG: forward is up. Draws the primitives of rl/bird_eye.py; their roles are CSS classes.

import { h, replace, s } from "ar1/dom.js";

const at = (point) => `${(-point[1]).toFixed(2)},${(-point[0]).toFixed(2)}`;
const line = (points) => points.map(at).join(" ");

function box(pose, length, width, attributes, offset = 0) {
  const [x, y, yaw] = pose;
  const cx = x + offset * Math.cos(yaw),
    cy = y + offset * Math.sin(yaw);
  const turn = `translate(${at([cx, cy])}) rotate(${(-yaw * 180) / Math.PI})`;
  const nose = Math.min(length * 0.22, 1.1);
  return s(
    "g",
    { transform: turn, ...attributes },
    s("rect", { x: -width / 2, y: -length / 2, width, height: length, rx: Math.min(width, length) * 0.18 }),
    length > 1.2 &&
      s("path", {
        class: "nose",
        d: `M${-width * 0.32},${-length / 2 + nose}L0,${-length / 2 + 0.25}L${width * 0.32},${-length / 2 + nose}`,
      }),
  );
}

export class BirdEye {
  // colours: sample id -> colour; onHover(id or null), onPick(id)
  constructor(host, scene, { onHover, onPick } = {}) {
    this.scene = scene;
    this.colours = {};
    this.time = 0;
    this.active = null;
    const [x0, y0, x1, y1] = scene.extent;
    this.svg = s("svg", {
      class: "bird-eye",
      viewBox: `${-y1} ${-x1} ${y1 - y0} ${x1 - x0}`,
      preserveAspectRatio: "xMidYMid meet",
      role: "img",
      "aria-label": "Bird's-eye view: road, agents, expert and samples",
    });
    this.still = s("g", {});
    this.trails = s("g", {});
    this.moving = s("g", {});
    this.svg.append(this.still, this.trails, this.moving);
    host.append(this.svg);
    this.onHover = onHover ?? (() => {});
    this.onPick = onPick ?? (() => {});
    this.drawRoad();
    this.drawTrails();
    this.draw();
  }

  drawRoad() {
    const { polygons, polylines, marks, boxes } = this.scene;
    replace(
      this.still,
      polygons.map((p) => s("polygon", { class: p.role, points: line(p.points) })),
      polylines.map((p) => s("polyline", { class: p.role, points: line(p.points) })),
      marks.filter((m) => m.role !== "signal").map((m) => this.sign(m)),
      boxes.map((b) => s("polyline", { class: "agent-path", points: line(b.poses.filter(Boolean)) })),
    );
  }

  sign(mark) {
    const group = s("g", { class: `sign ${mark.role}`, transform: `translate(${at([mark.x, mark.y])})` });
    group.append(
      mark.role === "stop"
        ? s("rect", { x: -0.6, y: -0.6, width: 1.2, height: 1.2, transform: "rotate(45)" })
        : s("circle", { r: 0.7 }),
    );
    return group;
  }

  drawTrails() {
    const trail = (path) =>
      s("polyline", {
        class: `trail ${path.role}`,
        "data-id": path.id,
        points: line(path.states),
        ...(path.role === "sample" && {
          onmouseenter: () => this.onHover(path.id),
          onmouseleave: () => this.onHover(null),
          onclick: () => this.onPick(path.id),
        }),
      });
    const order = { history: 0, sample: 1, expert: 2 };
    const paths = [...this.scene.paths].sort((a, b) => order[a.role] - order[b.role]);
    replace(this.trails, paths.map(trail));
  }

  // step 0 is t0; fractional steps between
  draw() {
    const index = Math.round(this.time);
    const agents = this.scene.boxes
      .filter((b) => b.poses[index])
      .map((b) => {
        const drawn = box(b.poses[index], b.length, b.width, { class: `agent ${b.role}` });
        drawn.append(s("title", {}, b.id));
        return drawn;
      });
    const lights = this.scene.marks
      .filter((m) => m.role === "signal")
      .map((m) => s("circle", { class: `signal ${m.states[index]}`, r: 0.9, cx: -m.y, cy: -m.x }));
    const egos = this.scene.paths
      .filter((p) => p.role !== "history" && p.states[index] && (index > 0 || p.role === "expert"))
      .filter((p) => p.role === "expert" || this.active === null || this.active === p.id)
      .map((p) =>
        box(
          p.states[index],
          p.length,
          p.width,
          {
            class: `ego ${index === 0 ? "start" : p.role}`,
            style: { "--sample": this.colours[p.id] ?? "" },
          },
          p.offset,
        ),
      );
    replace(this.moving, agents, lights, egos);
    for (const trail of this.trails.children) {
      const id = trail.dataset.id;
      if (trail.classList.contains("sample")) trail.style.setProperty("--sample", this.colours[id] ?? "");
      trail.classList.toggle("active", this.active === id);
      trail.classList.toggle(
        "dimmed",
        this.active !== null && this.active !== id && trail.classList.contains("sample"),
      );
    }
  }

  set({ time, active, colours }) {
    if (time !== undefined) this.time = time;
    if (active !== undefined) this.active = active;
    if (colours !== undefined) this.colours = colours;
    this.draw();
  }
}

export function birdEyeLegend() {
  const key = (name, text) => h("span", { class: `key ${name}` }, h("i", {}), text);
  return h(
    "div",
    { class: "bev-legend" },
    key("expert", "expert"),
    key("sample", "samples"),
    key("history", "history"),
    key("agent", "road users"),
  );
}
