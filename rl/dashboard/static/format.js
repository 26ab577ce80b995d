// Numbers, times and names as people read them. Missing is a dash, never a zero.

export const MISSING = "–";

export function number(value, digits = 3) {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1e-3 || size >= 1e6) return value.toExponential(digits - 1).replace("e+", "e");
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 100) return value.toFixed(Math.max(digits - 3, 0));
  if (size >= 10) return value.toFixed(Math.max(digits - 2, 0));
  return value.toFixed(size < 0.1 ? digits + (size < 0.01 && size > 0 ? 1 : 0) : Math.max(digits - 1, 2));
}

export function quantity(value, unit) {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  if (unit === "share") return percent(value);
  if (unit === "s") return value >= 0.1 || value === 0 ? `${number(value)} s` : `${number(value * 1000)} ms`;
  if (unit === "tokens") return value.toFixed(value < 100 ? 1 : 0);
  return number(value);
}

export function percent(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const p = value * 100;
  return `${p === 0 || p === 100 ? p : Math.abs(p) < 10 || p > 99 ? p.toFixed(1) : p.toFixed(0)} %`;
}

export function signed(value, digits = 2) {
  if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return `${value < 0 ? "−" : "+"}${text}`;
}

export function ago(seconds, now = Date.now() / 1000) {
  const age = Math.max(now - seconds, 0);
  if (age < 5) return "now";
  if (age < 60) return `${Math.round(age)} s ago`;
  if (age < 3600) return `${Math.round(age / 60)} min ago`;
  if (age < 86400) return `${Math.round(age / 3600)} h ago`;
  return new Date(seconds * 1000).toISOString().slice(0, 10);
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return MISSING;
  if (seconds < 90) return `${number(seconds)} s`;
  if (seconds < 5400) return `${(seconds / 60).toFixed(1)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}

export function words(name) {
  return name.replaceAll("_", " ");
}
