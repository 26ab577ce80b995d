// One group: what the cameras showed, what the samples said and drove, what each reward thought of it.
// Used by the dashboard and, with embedded images, by the report.

import { BirdEye, birdEyeLegend } from "ar1/bird_eye.js";
import { cameraStrip } from "ar1/cameras.js";
import { h } from "ar1/dom.js";
import { number, words } from "ar1/format.js";
import { spreadOut, valueColour } from "ar1/palette.js";
import { SampleTable } from "ar1/sample_table.js";
import { SpeedChart } from "ar1/speed_chart.js";

function values(page, reward) {
  return Object.fromEntries(
    page.rollouts.map((r) => [
      String(r.index),
      reward === "total" ? r.total : (r.scores[reward]?.value ?? null),
    ]),
  );
}

function labelCard(clip) {
  const label = clip.label;
  if (!label)
    return h(
      "section",
      { class: "label card" },
      h("h3", {}, "Label"),
      h("p", { class: "muted" }, "This clip carries no Chain-of-Causation label."),
    );
  const decisions = [
    label.longitudinal,
    label.lateral && [label.lateral, label.direction].filter(Boolean).join(" "),
  ].filter(Boolean);
  return h(
    "section",
    { class: "label card" },
    h("h3", {}, "Label"),
    h("p", { class: "said" }, label.text),
    h(
      "div",
      { class: "chips" },
      decisions.map((d) => h("span", { class: "chip strong" }, words(d))),
      label.factors.map((f) =>
        h(
          "span",
          { class: "chip", title: `${f.instance} · ${f.camera}, frame ${f.frame}, ${f.pixels} pixels` },
          words(f.kind),
        ),
      ),
    ),
  );
}

export class GroupView {
  // options: imageUrl(camera, frame)
  constructor(host, page, { imageUrl }) {
    this.page = page;
    this.state = { time: 0, active: null, open: null, colourBy: "total" };
    const left = h("div", { class: "group-left" }),
      right = h("div", { class: "group-right" });
    if (page.clip?.cameras) host.append(cameraStrip(page.clip.cameras, imageUrl));
    if (page.clip_error)
      host.append(h("p", { class: "warning card" }, `No images or map: ${page.clip_error}`));
    host.append(
      h("div", { class: `group-columns${page.scene ? "" : " single"}` }, page.scene && left, right),
    );
    const onHover = (id) => this.set({ active: id ?? this.state.open });
    const onPick = (id) => this.set({ open: this.state.open === id ? null : id, active: id });
    if (page.scene) this.buildScene(left, onHover, onPick);
    if (page.clip) right.append(labelCard(page.clip));
    const samples = h("section", { class: "card" });
    right.append(samples);
    this.table = new SampleTable(samples, page, { onHover, onPick, weights: page.weights });
    this.set({});
  }

  buildScene(host, onHover, onPick) {
    const card = h("section", { class: "scene card" });
    const options = ["total", ...this.page.rewards].map((name) => h("option", { value: name }, words(name)));
    const select = h(
      "select",
      { "aria-label": "Colour samples by", onchange: () => this.set({ colourBy: select.value }) },
      options,
    );
    this.range = h("span", { class: "ramp-range" });
    const tools = h(
      "div",
      { class: "tools" },
      h("label", {}, "colour by ", select),
      h("span", { class: "ramp" }),
      this.range,
    );
    const frame = h("div", { class: "frame-box" });
    this.bird = new BirdEye(frame, this.page.scene, { onHover, onPick });
    const last = Math.max(...this.page.scene.paths.map((p) => p.states.length)) - 1;
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: last,
      value: 0,
      step: 1,
      "aria-label": "Time",
      oninput: () => this.stop(this.set({ time: Number(this.slider.value) })),
    });
    this.clock = h("output", {});
    this.button = h("button", { class: "play", title: "Play (space)", onclick: () => this.play() }, "▶");
    const speed = h("div", { class: "speed-box" }, h("h4", {}, "Speed, m/s"));
    card.append(
      tools,
      frame,
      birdEyeLegend(),
      h("div", { class: "time" }, this.button, this.slider, this.clock),
      speed,
    );
    this.speed = new SpeedChart(speed, this.page.scene);
    this.last = last;
    host.append(card);
  }

  play() {
    if (this.timer) return this.stop();
    this.button.textContent = "❚❚";
    const from = this.state.time >= this.last ? 0 : this.state.time,
      began = performance.now();
    const tick = (now) => {
      const time = from + (now - began) / 1000 / this.page.scene.step_s;
      this.set({ time: Math.min(time, this.last) });
      if (time >= this.last) return this.stop();
      this.timer = requestAnimationFrame(tick);
    };
    this.timer = requestAnimationFrame(tick);
  }

  stop() {
    if (this.timer) cancelAnimationFrame(this.timer);
    this.timer = null;
    this.button.textContent = "▶";
  }

  set(changes) {
    this.state = { ...this.state, ...changes };
    const { time, active, open, colourBy } = this.state;
    const shown = values(this.page, colourBy);
    const colours = Object.fromEntries(
      Object.entries(spreadOut(shown)).map(([id, share]) => [id, valueColour(share)]),
    );
    this.table.set({ active, open, colours });
    if (!this.bird) return;
    this.bird.set({ time, active, colours });
    this.speed.set({ time, active, colours });
    this.slider.value = time;
    this.clock.textContent = `t0 + ${(time * this.page.scene.step_s).toFixed(1)} s`;
    const known = Object.values(shown).filter((v) => v !== null);
    this.range.textContent = known.length
      ? `${number(Math.min(...known))} … ${number(Math.max(...known))}`
      : "no values";
  }
}
