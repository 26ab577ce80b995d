// The page: routes, the bar at the top, live news, light and dark.

import { follow } from "ar1/api.js";
import { h, replace } from "ar1/dom.js";
import { configPage, evaluationPage } from "ar1/pages_evaluation.js";
import { groupPage } from "ar1/pages_group.js";
import { groupsPage } from "ar1/pages_groups.js";
import { overviewPage } from "ar1/pages_overview.js";
import { runsPage } from "ar1/pages_runs.js";

const bar = document.getElementById("bar"),
  host = document.getElementById("page");
let current = null,
  live = false,
  loading = null;

const ROUTES = [
  [/^\/$/, (host, context) => runsPage(host, context)],
  [/^\/runs\/([^/]+)$/, overviewPage],
  [/^\/runs\/([^/]+)\/groups$/, groupsPage],
  [/^\/runs\/([^/]+)\/groups\/(\d+)\/(.+)$/, groupPage],
  [/^\/runs\/([^/]+)\/evaluation$/, evaluationPage],
  [/^\/runs\/([^/]+)\/config$/, configPage],
];

function go(href) {
  history.pushState({}, "", href);
  show();
}

function theme(next) {
  if (next) localStorage.setItem("ar1.theme", next);
  const chosen = localStorage.getItem("ar1.theme") ?? "auto";
  const dark = chosen === "dark" || (chosen === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  current?.redraw?.();
}

function drawBar(run, tab) {
  const path = run && `/runs/${encodeURIComponent(run)}`;
  const link = (name, href) => h("a", { href, class: tab === name ? "on" : "" }, name);
  const tabs =
    run &&
    h(
      "nav",
      {},
      link("overview", path),
      link("groups", `${path}/groups`),
      link("evaluation", `${path}/evaluation`),
      link("config", `${path}/config`),
    );
  const other = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  replace(
    bar,
    h(
      "a",
      { href: "/", class: "brand" },
      h("img", { src: "/static/icon.svg", alt: "", width: 22, height: 22 }),
      "ar1-rl",
    ),
    run && h("span", { class: "slash" }, "/"),
    run && h("a", { href: path, class: "run" }, run),
    tabs,
    h("span", { class: "spring" }),
    h(
      "span",
      {
        class: `live${live ? " on" : ""}`,
        title: live ? "Updates arrive as the run writes" : "No connection to the dashboard's server",
      },
      live ? "live" : "offline",
    ),
    h("button", { class: "icon", title: "Light or dark", onclick: other }, "◐"),
  );
}

function explain(error) {
  replace(
    host,
    h(
      "section",
      { class: "card empty error" },
      h("h3", {}, "That did not work"),
      h("p", {}, error.message),
      h("p", {}, h("a", { href: "/" }, "All runs")),
    ),
  );
}

async function refresh() {
  // One load at a time; news during a load asks for one more.
  if (loading) return (loading.again = true);
  const page = current,
    token = (loading = { again: false });
  try {
    await page.load();
  } catch (error) {
    if (page === current) explain(error);
  }
  if (loading === token) loading = null;
  if (token.again && page === current) refresh();
}

async function show() {
  current?.leave?.();
  loading = null;
  const path = location.pathname.replace(/\/+$/, "") || "/";
  const found = ROUTES.map(([pattern, build]) => [path.match(pattern), build]).find(([match]) => match);
  if (!found) return explain(new Error(`There is no page ${path}.`));
  const [match, build] = found;
  const [run, step, groupId] = match.slice(1).map(decodeURIComponent);
  const page = document.createElement("div");
  page.className = "content";
  current = build(page, { run, step, groupId, query: new URLSearchParams(location.search), go });
  document.title = `${current.title} · ar1-rl`;
  drawBar(run, current.tab);
  page.append(h("p", { class: "loading" }, "reading the ledger …"));
  replace(host, page);
  await refresh();
  window.scrollTo(0, 0);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  const href = link.getAttribute("href");
  if (new URL(href, location.href).origin !== location.origin) return;
  event.preventDefault();
  go(href);
});
window.addEventListener("popstate", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme());
theme();
follow(
  (runs) => current && (runs === null || [...runs].some((name) => current.concerns(name))) && refresh(),
  (connected) => {
    live = connected;
    const mark = bar.querySelector(".live");
    if (mark) {
      mark.classList.toggle("on", live);
      mark.textContent = live ? "live" : "offline";
    }
  },
);
show();
