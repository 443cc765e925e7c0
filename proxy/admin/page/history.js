// The last five minutes, second by second, kept by the page. Pure.
//
// Strategy: the proxy keeps two minutes of its main figures itself and sends them with every
// answer, so a page that was just opened, or was hidden for a while, has no hole there. What is
// only known of the moment (traffic, clients, loop lag) is noted when it comes. Both are put
// into the same second.

export const SPAN_S = 300;
const BRIDGED_S = 3.5; // a line goes on over a poll or two that came late, not over more

export class History {
  constructor(spanS = SPAN_S) {
    this.spanS = spanS;
    this.points = []; // [{time, values}], the oldest first, one a second
  }

  /** Note values by name for the second that `time` (unix, seconds) lies in. */
  add(time, values) {
    const second = Math.floor(time);
    let place = this.points.length;
    while (place > 0 && this.points[place - 1].time > second) place -= 1;
    const before = this.points[place - 1];
    if (before?.time === second) Object.assign(before.values, values);
    else this.points.splice(place, 0, { time: second, values: { ...values } });
    const newest = this.points.at(-1).time;
    while (this.points[0].time < newest - this.spanS - 2) this.points.shift();
  }

  /** Forget everything: the proxy was started anew. */
  clear() {
    this.points = [];
  }

  /** Return the last known value of a name, at or before `time`; undefined if there is none near. */
  at(name, time) {
    for (let index = this.points.length - 1; index >= 0; index -= 1) {
      const point = this.points[index];
      if (point.time <= time && Number.isFinite(point.values[name])) {
        return time - point.time <= BRIDGED_S ? point.values[name] : undefined;
      }
    }
    return undefined;
  }

  /** Return the stretches of a name without a hole: `[[{time, value}]]`. */
  stretches(name) {
    const found = [];
    let last = -Infinity;
    for (const { time, values } of this.points) {
      const value = values[name];
      if (!Number.isFinite(value)) continue;
      if (time - last > BRIDGED_S) found.push([]);
      found.at(-1).push({ time, value });
      last = time;
    }
    return found;
  }

  /** Return the lowest value above zero and the highest one of some names: `[low, high]`. */
  extent(names) {
    let low = Infinity;
    let high = 0;
    for (const { values } of this.points) {
      for (const name of names) {
        if (values[name] > high) high = values[name];
        if (values[name] > 0 && values[name] < low) low = values[name];
      }
    }
    return [Math.min(low, high), high];
  }
}
