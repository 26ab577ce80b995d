// Colours by meaning. Rewards keep their colour on every page; values run from rust over sand to teal, which
// red-green colour blindness leaves apart.

const REWARDS = ["#4a7fd6", "#dd7a35", "#2a9d7c", "#a765c9", "#c94f6d", "#7f8b2f", "#2f9fc0", "#9a6b4d"];
const LOW = [196, 67, 58],
  MIDDLE = [214, 168, 74],
  HIGH = [22, 138, 128];

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function rewardColour(name, names) {
  const at = names.indexOf(name);
  return at < 0 ? css("--ink") : REWARDS[at % REWARDS.length];
}

export function nthColour(index) {
  return REWARDS[index % REWARDS.length];
}

export function alpha(colour, share) {
  const hex = Math.round(share * 255)
    .toString(16)
    .padStart(2, "0");
  return colour.length === 7 ? colour + hex : colour;
}

// share in [0, 1]: 0 worst of the group, 1 best; null: missing.
export function valueColour(share) {
  if (share === null || share === undefined || !Number.isFinite(share)) return css("--faint");
  const x = Math.min(Math.max(share, 0), 1) * 2;
  const [from, to, t] = x < 1 ? [LOW, MIDDLE, x] : [MIDDLE, HIGH, x - 1];
  const mixed = from.map((value, i) => Math.round(value + (to[i] - value) * t));
  return `rgb(${mixed.join(",")})`;
}

// Shares of values within their own range; all alike: the middle.
export function spreadOut(values) {
  const known = Object.values(values).filter((v) => v !== null && v !== undefined);
  const low = Math.min(...known),
    high = Math.max(...known);
  return Object.fromEntries(
    Object.entries(values).map(([key, v]) => {
      if (v === null || v === undefined) return [key, null];
      return [key, high - low < 1e-9 ? 0.5 : (v - low) / (high - low)];
    }),
  );
}

// Correlation r in [-1, 1] as a tint.
export function correlationColour(r) {
  if (r === null) return "transparent";
  return r < 0 ? `rgba(${LOW.join(",")},${Math.abs(r) * 0.75})` : `rgba(${HIGH.join(",")},${r * 0.75})`;
}
