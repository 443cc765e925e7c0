// Small line charts over the last five minutes, drawn as SVG.
//
// Strategy: a chart is a picture and a slider at once. Pointing at it, or moving along it with
// the arrow keys, sets one time for all charts; each then says its values of that time. Cost: a
// path of at most 300 points a line, once a second.

import { draw, keep, make, mark, say } from "./dom.js";
import { age, clock } from "./format.js";
import { linear } from "./scale.js";

const LEFT = 48; // room for the labels of the axis
const TOP = 8;
const BOTTOM = 18;
const RULES = 6; // at most so many lines across
const MINUTES = [5, 4, 3, 2, 1, 0];
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -Infinity, End: Infinity };

/** All charts of the page: one span of time, one time that the reader looks at. */
export class ChartGroup {
  constructor(history) {
    this.history = history;
    this.charts = [];
    this.marks = [];
    this.now = Date.now() / 1000;
    this.looking = null; // unix time, or null for now
  }

  /** Draw everything as of `now`. `marks`: `[{key, time, tone}]`, ticks of what happened. */
  show(now, marks) {
    this.now = now;
    this.marks = marks.filter((one) => one.time > now - this.history.spanS);
    this.redraw();
  }

  /** Look at a time (null for now). */
  look(time) {
    this.looking = time;
    this.redraw();
  }

  redraw() {
    for (const chart of this.charts) chart.show();
  }

  /** Move by whole seconds, by keyboard. */
  step(by) {
    const { now } = this;
    const first = this.history.points[0]?.time ?? now;
    const next = Math.max(first, (this.looking ?? now) + by);
    this.look(next >= now ? null : next);
  }
}

export class Chart {
  /**
   * @param group The charts it belongs to.
   * @param host An empty figure.
   * @param title What is shown.
   * @param format Makes text of a value.
   * @param unit What the big value is followed by.
   * @param lines `[{name, label, tone, dashed?}]`.
   * @param big The name of the line whose value is shown big; the first one's if not given.
   * @param axis Makes an axis for the lowest and highest value (`scale.js`).
   */
  constructor(group, host, { title, format, unit = "", lines, big = lines[0].name, axis = linear(1) }) {
    Object.assign(this, { group, title, format, unit, big, axisFor: axis, axis: axis(0, 0) });
    Object.assign(this, { width: 300, height: 116 });
    this.lines = lines.map((line) => ({ ...line }));
    this.value = make("strong");
    this.legend = make("ul", { class: "legend" });
    this.svg = draw("svg", {
      role: "slider",
      tabindex: "0",
      "aria-label": `${title}, the last five minutes`,
      "aria-valuemin": String(-group.history.spanS),
      "aria-valuemax": "0",
    });
    host.append(make("figcaption", {}, make("span", {}, title), this.value), this.svg, this.legend);
    this.#build();
    this.#listen();
    group.charts.push(this);
    new ResizeObserver(() => this.#resize()).observe(this.svg);
  }

  /** Draw the lines, the marks and the values of where the reader looks. */
  show() {
    const { group } = this;
    const names = this.lines.map((line) => line.name);
    this.axis = this.axisFor(...group.history.extent(names));
    this.#rules();
    this.#ticks();
    for (const line of this.lines) mark(line.path, "d", this.#path(line.name));
    const time = group.looking ?? group.now;
    mark(this.cursor, "visibility", group.looking === null ? "hidden" : null);
    this.#upright(this.cursor, time);
    this.#tell(time);
  }

  #build() {
    this.ticks = draw("g", { class: "marks" });
    this.cursor = draw("line", { class: "looking" });
    this.rules = Array.from({ length: RULES }, () => draw("line", { x1: LEFT }));
    this.labels = Array.from({ length: RULES }, () => draw("text", { "text-anchor": "end", x: LEFT - 6 }));
    this.minutes = MINUTES.map((minute) => draw("text", {}, minute ? `−${minute} min` : "now"));
    const grid = draw("g", { class: "grid" }, ...this.rules, ...this.labels, ...this.minutes);
    this.svg.append(grid, this.ticks);
    for (const line of this.lines) {
      const look = `${line.tone}${line.dashed ? " dashed" : ""}`;
      line.path = draw("path", { class: `line ${look}` });
      line.value = make("b");
      const key = draw("svg", { class: "key", viewBox: "0 0 14 4", "aria-hidden": "true" });
      key.append(draw("path", { class: `line ${look}`, d: "M0 2H14" }));
      this.legend.append(make("li", {}, key, make("span", {}, line.label), line.value));
    }
    this.svg.append(...this.lines.map((line) => line.path).reverse(), this.cursor);
    this.#resize();
  }

  #listen() {
    const { group, svg } = this;
    svg.addEventListener("keydown", (event) => {
      if (event.key === "Escape") group.look(null);
      else if (event.key in STEPS) group.step(STEPS[event.key]);
      else return;
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => {
      const left = event.clientX - svg.getBoundingClientRect().left;
      const share = Math.max(0, Math.min(1, (left - LEFT) / (this.width - LEFT)));
      group.look(group.now - (1 - share) * group.history.spanS);
    });
    svg.addEventListener("pointerleave", () => group.look(null));
    svg.addEventListener("blur", () => group.look(null));
  }

  #resize() {
    const box = this.svg.getBoundingClientRect();
    if (box.width > 0) Object.assign(this, { width: Math.round(box.width), height: Math.round(box.height) });
    mark(this.svg, "viewBox", `0 0 ${this.width} ${this.height}`);
    for (const rule of this.rules) mark(rule, "x2", String(this.width));
    const isNarrow = this.width < 400;
    this.minutes.forEach((text, index) => {
      const share = index / (MINUTES.length - 1);
      mark(text, "y", String(this.height - 3));
      mark(text, "x", (LEFT + share * (this.width - LEFT)).toFixed(0));
      mark(text, "text-anchor", { 0: "start", 1: "end" }[share] ?? "middle");
      mark(text, "visibility", isNarrow && share > 0 && share < 1 ? "hidden" : null);
    });
    this.show();
  }

  #rules() {
    const { ticks } = this.axis;
    this.rules.forEach((rule, index) => {
      const isUsed = index < ticks.length;
      const y = isUsed ? this.#y(ticks[index]) : 0;
      mark(rule, "visibility", isUsed ? null : "hidden");
      mark(rule, "y1", y.toFixed(1));
      mark(rule, "y2", y.toFixed(1));
      mark(this.labels[index], "y", (y + 3.5).toFixed(1));
      say(this.labels[index], isUsed ? label(this.format(ticks[index])) : "");
    });
  }

  #ticks() {
    keep(
      this.ticks,
      this.group.marks,
      (one) => one.key,
      (one) => draw("line", { class: one.tone }),
      (line, one) => this.#upright(line, one.time),
    );
  }

  #upright(line, time) {
    const x = this.#x(time).toFixed(1);
    const ends = { x1: x, x2: x, y1: TOP, y2: this.height - BOTTOM };
    for (const [name, value] of Object.entries(ends)) mark(line, name, String(value));
  }

  #path(name) {
    const oldest = this.group.now - this.group.history.spanS;
    let path = "";
    for (const stretch of this.group.history.stretches(name)) {
      const seen = stretch.filter((point) => point.time >= oldest && point.time <= this.group.now);
      const dots = seen.map(({ time, value }) => `${this.#x(time).toFixed(1)} ${this.#y(value).toFixed(1)}`);
      // A lone point would be a line of no length, which nobody sees.
      if (dots.length) path += `M${dots.join("L")}${dots.length === 1 ? "h1" : ""}`;
    }
    return path;
  }

  #tell(time) {
    const { group } = this;
    const value = (name) => this.format(group.history.at(name, time));
    say(this.value, `${value(this.big)}${this.unit}`);
    for (const line of this.lines) say(line.value, value(line.name));
    const ago = group.now - time;
    const when = group.looking === null ? "now" : `${age(ago)} ago, at ${clock(time)}`;
    const said = this.lines.map((line) => `${line.label} ${value(line.name)}${this.unit}`);
    mark(this.svg, "aria-valuenow", String(-Math.round(ago)));
    mark(this.svg, "aria-valuetext", `${when}: ${said.join(", ")}`);
  }

  #x(time) {
    const share = 1 - (this.group.now - time) / this.group.history.spanS;
    return LEFT + share * (this.width - LEFT);
  }

  #y(value) {
    return TOP + (1 - this.axis.share(value)) * (this.height - BOTTOM - TOP);
  }
}

// On an axis, zeros behind the point only take room.
function label(text) {
  return text.replace(/(\.\d*?)0+(?=\D|$)/, "$1").replace(/\.(?=\D|$)/, "");
}
