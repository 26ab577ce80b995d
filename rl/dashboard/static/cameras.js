// The images that the policy saw: one row of cameras, one history frame at a time, pixels left sharp.

import { h } from "ar1/dom.js";
import { words } from "ar1/format.js";

export function cameraStrip(cameras, imageUrl) {
  let frame = cameras.times.length - 1;
  const picture = (camera) =>
    h("img", {
      alt: words(cameras.names[camera]),
      "data-camera": camera,
      width: cameras.width,
      height: cameras.height,
    });
  const images = cameras.names.map((_, camera) => picture(camera));
  const label = (time) => (time === 0 ? "t0" : `${time.toFixed(1)} s`);
  const buttons = cameras.times.map((time, i) =>
    h("button", { class: "frame", onclick: () => show(i) }, label(time)),
  );
  function show(next) {
    frame = next;
    images.forEach((image, camera) => (image.src = imageUrl(camera, frame)));
    buttons.forEach((button, i) => button.classList.toggle("on", i === frame));
  }
  show(frame);
  const figure = (image, i) =>
    h("figure", { class: "camera" }, image, h("figcaption", {}, words(cameras.names[i])));
  const strip = h(
    "div",
    { class: "strip", style: { "--cameras": cameras.names.length } },
    images.map(figure),
  );
  return h(
    "section",
    { class: "cameras card" },
    strip,
    buttons.length > 1 && h("div", { class: "frames" }, "history ", buttons),
  );
}
