// Axes of charts: where a value lies between bottom and top, and which values get a line. Pure.
//
// An axis is `{share(value), ticks}`; `share` is 0 at the bottom and 1 at the top.

/** Return a maker of axes from zero to a round number, which is at least `least`. */
export function linear(least, round = roundUp) {
  return (_low, high) => {
    const top = round(Math.max(least, high));
    return { share: (value) => between(value / top), ticks: [0, top / 2, top] };
  };
}

/**
 * Return a maker of axes by powers of ten: a failover takes a thousand times as long as a GET,
 * and both must be seen. The axis spans at least two of them, `least` to a hundred times that.
 */
export function logarithmic(least) {
  return (low, high) => {
    const top = Math.max(2, Math.ceil(Math.log10(Math.max(high, least) / least) - 1e-9));
    const bottom = low > 0 ? Math.max(0, Math.min(top - 2, Math.floor(Math.log10(low / least) + 1e-9))) : 0;
    const step = Math.ceil((top - bottom) / 5);
    const ticks = [];
    for (let power = bottom; power <= top; power += step) ticks.push(least * 10 ** power);
    const share = (value) => between((Math.log10(value / least) - bottom) / (top - bottom));
    return { share: (value) => (value > 0 ? share(value) : 0), ticks };
  };
}

/** Return a round number that is at least `value`: 1, 2 or 5 times a power of ten. */
export function roundUp(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((step) => step * power >= value * 0.999999);
  return factor * power;
}

/** Return a round number of bytes that is at least `value`: 1, 2, 5, 10 ... of a binary unit. */
export function roundUpBytes(value) {
  if (!(value > 0)) return 1;
  const unit = 1024 ** Math.floor(Math.log(value) / Math.log(1024));
  const rounded = roundUp(value / unit);
  return (rounded > 500 ? 1024 : rounded) * unit;
}

function between(share) {
  return Math.max(0, Math.min(1, share));
}
