// Before and after training, and the facts of the run.

import { get, runApi } from "ar1/api.js";
import { h, replace } from "ar1/dom.js";
import { evaluationView, runFacts } from "ar1/evaluation_view.js";

export function evaluationPage(host, { run, query }) {
  const asked = query.get("tag") ?? "";
  async function load() {
    const own = await get(runApi(run, "summary"), { tag: asked });
    // A run without a summary of its own shows an evaluation that was made of it.
    const tag = own.summary || asked ? asked : (own.tags.at(-1) ?? "");
    const { summary, tags } = tag === asked ? own : await get(runApi(run, "summary"), { tag });
    const place = `/runs/${encodeURIComponent(run)}/evaluation`;
    const link = (name) =>
      h(
        "a",
        {
          class: `pill${name === tag ? " on" : ""}`,
          href: name ? `${place}?tag=${encodeURIComponent(name)}` : place,
        },
        name || "run",
      );
    const head = h(
      "div",
      { class: "page-head" },
      h("h1", {}, "Evaluation"),
      tags.length > 0 && ["", ...tags].map(link),
    );
    if (!summary)
      replace(
        host,
        head,
        h(
          "section",
          { class: "card empty" },
          h("h3", {}, "No evaluation yet"),
          h("p", {}, "It is written when the run ends, or by ", h("code", {}, "ar1 evaluate"), "."),
        ),
      );
    else replace(host, head, evaluationView(summary), runFacts(summary));
  }
  return { title: `evaluation of ${run}`, load, tab: "evaluation", concerns: (name) => name === run };
}

export function configPage(host, { run }) {
  async function load() {
    const { config, facts } = await get(runApi(run, "config"));
    const shown = Object.entries(facts).map(([name, value]) =>
      h("div", {}, h("dt", {}, name), h("dd", {}, typeof value === "string" ? value : JSON.stringify(value))),
    );
    replace(
      host,
      h("div", { class: "page-head" }, h("h1", {}, "Config")),
      shown.length > 0 &&
        h("section", { class: "card facts wide" }, h("h3", {}, "Facts"), h("dl", {}, shown)),
      h(
        "section",
        { class: "card" },
        h("h3", {}, "config.yaml, resolved"),
        h("pre", {}, config ?? "The run wrote none."),
      ),
    );
  }
  return { title: `config of ${run}`, load, tab: "config", concerns: () => false };
}
