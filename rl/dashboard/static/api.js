// What the server answers. An error carries the server's own words.

export async function get(path, parameters = {}) {
  const query = new URLSearchParams(
    Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== ""),
  );
  const answer = await fetch(`${path}${query.size ? `?${query}` : ""}`);
  const body = await answer.json();
  if (!answer.ok)
    throw new Error(body.error || body.detail?.[0]?.msg || `${answer.status} ${answer.statusText}`);
  return body;
}

export const runApi = (run, rest) => `/api/runs/${encodeURIComponent(run)}/${rest}`;

// Calls back with the set of runs that have news. Closed while the tab is hidden, so that many open tabs do not
// hold the browser's six connections; on return it assumes news.
export function follow(onNews, onStatus) {
  let source = null;
  const open = () => {
    source = new EventSource("/api/live");
    source.addEventListener("hello", () => onStatus(true));
    source.addEventListener("news", (event) => onNews(new Set(JSON.parse(event.data).runs)));
    source.onerror = () => onStatus(false);
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      open();
      onNews(null);
    }
  });
  open();
}
