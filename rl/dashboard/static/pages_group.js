// One group, with its neighbours in the order it was found in, and the same clip at other steps.

import { get, runApi } from "ar1/api.js";
import { h, replace, s } from "ar1/dom.js";
import { number } from "ar1/format.js";
import { GroupView } from "ar1/group_view.js";
import { groupHref, QUERY_KEYS } from "ar1/pages_groups.js";

function sameClip(page, run) {
  const others = page.same_clip;
  if (others.length < 2) return null;
  const known = others.filter((g) => g.total !== null);
  const first = others[0].step,
    last = others.at(-1).step;
  const low = Math.min(...known.map((g) => g.total)),
    high = Math.max(...known.map((g) => g.total));
  const x = (g) => 8 + (984 * (g.step - first)) / (last - first || 1);
  const y = (g) => (g.total === null ? 40 : 36 - (28 * (g.total - low)) / (high - low || 1));
  const place = (g) => groupHref(run, g, new URLSearchParams({ clip: page.clip_id, order: "asc" }));
  const dot = (g) =>
    s(
      "a",
      { class: g.group_id === page.group_id ? "on" : "", href: place(g), "data-group": g.group_id },
      s(
        "circle",
        { cx: x(g), cy: y(g), r: g.group_id === page.group_id ? 6 : 4 },
        s("title", {}, `step ${g.step}: mean total ${number(g.total)}, ${g.fate}`),
      ),
    );
  const line = s("polyline", { points: known.map((g) => `${x(g)},${y(g)}`).join(" ") });
  const text = known.length ? `${number(known[0].total)} → ${number(known.at(-1).total)}` : "";
  return h(
    "section",
    { class: "same-clip card" },
    h("span", {}, `this clip, step ${first} to ${last}`),
    s("svg", { viewBox: "0 0 1000 44" }, line, others.map(dot)),
    h("b", {}, text),
  );
}

export function groupPage(host, { run, step, groupId, query, go }) {
  const parameters = Object.fromEntries(QUERY_KEYS.map((key) => [key, query.get(key)]));
  let view = null,
    place = null;
  const visit = (group) => group && go(groupHref(run, group, query));
  const keys = (event) => {
    if (event.target.matches("input, select, textarea") || event.metaKey || event.ctrlKey) return;
    if (event.key === "j" || event.key === "ArrowRight") visit(place?.next);
    else if (event.key === "k" || event.key === "ArrowLeft") visit(place?.previous);
    else if (event.key === " " && view?.bird) {
      event.preventDefault();
      view.play();
    }
  };
  document.addEventListener("keydown", keys);

  async function load() {
    const page = await get(runApi(run, `groups/${step}/${encodeURIComponent(groupId)}`), parameters);
    place = page.place;
    const back = `/runs/${encodeURIComponent(run)}/groups?${new URLSearchParams([...query])}`;
    const turn = (group, text, title, name) =>
      h("button", { class: name, title, disabled: !group, onclick: () => visit(group) }, text);
    const facts = [
      `step ${page.step}`,
      `version ${page.version}`,
      page.disagreement !== null && `disagreement ${number(page.disagreement)} nats`,
      page.clip && `${page.clip.source} at ${number(page.clip.speed)} m/s`,
    ].filter(Boolean);
    const head = h(
      "div",
      { class: "page-head" },
      h("h1", { class: "mono" }, page.group_id),
      h(
        "span",
        { class: `chip fate ${page.fate}` },
        page.fate_reason ? `${page.fate}: ${page.fate_reason}` : page.fate,
      ),
      h("span", { class: "mono muted" }, page.clip_id),
      h("span", { class: "muted" }, facts.join(" · ")),
      h("span", { class: "spring" }),
      h(
        "a",
        { class: "muted", href: back },
        place.position === null ? "all groups" : `${place.position + 1} of ${place.count}`,
      ),
      turn(place.previous, "←", "Previous group (k)", "previous"),
      turn(place.next, "→", "Next group (j)", "next"),
    );
    const body = h("div", { class: "group" });
    replace(host, head, sameClip(page, run), body);
    const imageUrl = (camera, frame) =>
      runApi(run, `image?${new URLSearchParams({ clip: page.clip_id, camera, frame })}`);
    view = new GroupView(body, page, { imageUrl });
  }
  return {
    title: groupId,
    load,
    tab: "groups",
    leave: () => (document.removeEventListener("keydown", keys), view?.bird && view.stop()),
    redraw: () => view?.set({}),
    concerns: () => false,
  };
}
