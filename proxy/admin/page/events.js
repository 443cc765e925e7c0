// What happened: a timeline of the last five minutes and a list, and a voice for what matters.
//
// Strategy: events come numbered; each poll asks for those after the last one. Kinds are sorted
// into four lanes, levels have shapes as well as colours.

import { byId, draw, keep, make, mark, say } from "./dom.js";
import { fold } from "./fold.js";
import { clock, count, plain, plural } from "./format.js";

const KEPT = 500;
const LISTED = 200;
const LANES = {
  Slots: ["map_changed", "slot_moved", "migration_begun", "migration_ended"],
  Nodes: [
    ...["failover", "node_failed", "node_back", "node_added", "node_gone", "node_moved", "node_silent"],
    ...["node_down", "node_up", "breaker_opened", "breaker_closed"],
    ...["connected", "connection_lost", "unreachable"],
  ],
  Requests: ["redirects", "retries", "errors", "limit", "client_cut"],
  Proxy: ["reload", "drain", "started"],
};
const NAMES = Object.keys(LANES);
const GRAVITY = { info: 0, warning: 1, error: 2 };
const ROW_HEIGHT = 24;
const LEFT = 70;
const SHAPES = {
  info: "M0-4A4 4 0 1 1-.01-4Z",
  warning: "M0-5L5.4 4.4H-5.4Z",
  error: "M0-5.6L5.6 0 0 5.6-5.6 0Z",
};

export class Events {
  constructor(spanS) {
    this.spanS = spanS;
    this.events = [];
    this.last = 0;
    this.startedAt = null;
    this.least = 0;
    this.width = 600;
    this.svg = byId("timeline");
    this.#build();
    for (const choice of document.querySelectorAll("input[name=level]")) {
      choice.addEventListener("change", () => {
        this.least = GRAVITY[choice.value];
        this.#list();
      });
    }
    new ResizeObserver(() => this.#resize()).observe(this.svg.parentElement);
  }

  /** Return where to ask on. */
  get path() {
    return `events?after=${this.last}`;
  }

  /** Take the answer of `/events`. Returns whether the proxy was started anew since the last one. */
  take(answer) {
    const isNew = this.startedAt !== null && answer.started_at !== this.startedAt;
    this.startedAt = answer.started_at;
    if (isNew) {
      this.events = [];
      this.last = 0; // numbers begin anew; the next poll asks for all of them
      return true;
    }
    const isFirst = this.last === 0;
    const fresh = answer.events.filter((event) => event.number > this.last);
    this.events = [...this.events, ...fresh].slice(-KEPT);
    this.last = Math.max(this.last, answer.last);
    if (fresh.length) this.#list();
    if (!isFirst) this.#speak(fresh.filter((event) => event.level !== "info"));
    return false;
  }

  /** Return what the charts show of it: `[{key, time, tone}]`. */
  marks() {
    return this.events
      .filter((event) => event.level !== "info" || event.kind === "slot_moved")
      .map((event) => ({ key: event.number, time: event.at, tone: event.level }));
  }

  /** Draw the timeline as of `now` (unix, seconds). */
  show(now) {
    const seen = this.events.filter((event) => event.at > now - this.spanS);
    keep(
      this.dots,
      seen,
      (event) => event.number,
      (event) => {
        const title = draw("title", {}, `${clock(event.at)} ${plain(event.text)}`);
        return draw("path", { class: event.level, d: SHAPES[event.level] }, title);
      },
      (dot, event) => {
        const share = Math.min(1, 1 - (now - event.at) / this.spanS);
        const x = LEFT + share * (this.width - LEFT - 8);
        mark(dot, "transform", `translate(${x.toFixed(1)} ${laneOf(event) * ROW_HEIGHT + ROW_HEIGHT / 2})`);
      },
    );
    const grave = seen.filter((event) => event.level !== "info").length;
    const said = `${plural(seen.length, "event")}, ${count(grave)} of them warnings or errors`;
    mark(this.svg, "aria-label", `Timeline of the last five minutes: ${said}. The list below has them all.`);
  }

  #build() {
    const height = ROW_HEIGHT * NAMES.length + 16;
    this.rules = NAMES.map((name, lane) => {
      const y = lane * ROW_HEIGHT + ROW_HEIGHT / 2;
      const label = draw("text", { x: 0, y: y + 4 }, name);
      const rule = draw("line", { x1: LEFT, x2: LEFT, y1: y, y2: y });
      this.svg.append(label, rule);
      return rule;
    });
    this.times = [5, 4, 3, 2, 1, 0].map((minute) => {
      const text = draw("text", { class: "time", y: height - 2 }, minute ? `−${minute} min` : "now");
      this.svg.append(text);
      return text;
    });
    this.dots = draw("g");
    this.svg.append(this.dots);
    mark(this.svg, "height", String(height));
    this.#resize();
  }

  #resize() {
    const width = Math.round(this.svg.getBoundingClientRect().width);
    if (width > 0) this.width = width;
    mark(this.svg, "viewBox", `0 0 ${this.width} ${ROW_HEIGHT * NAMES.length + 16}`);
    for (const rule of this.rules) mark(rule, "x2", String(this.width));
    this.times.forEach((text, index) => {
      mark(text, "x", (LEFT + (index / 5) * (this.width - LEFT - 8)).toFixed(0));
      mark(text, "text-anchor", index === 5 ? "end" : index ? "middle" : "start");
      mark(text, "visibility", this.width < 480 && index % 5 ? "hidden" : null);
    });
  }

  #list() {
    const wanted = this.events.filter((event) => GRAVITY[event.level] >= this.least);
    const listed = fold(wanted).slice(-LISTED).reverse();
    keep(byId("event-list"), listed, (run) => run.first.number, newItem, fillItem);
    say(byId("event-note"), listed.length ? "" : "Nothing of that kind has happened.");
  }

  // Said by screen readers, so only what calls for a look, and a flood as one sentence.
  #speak(grave) {
    if (!grave.length) return;
    const newest = grave.at(-1);
    const more = grave.length > 1 ? ` and ${plural(grave.length - 1, "more event")}` : "";
    say(byId("voice"), plain(`${newest.text}${more}`));
  }
}

function laneOf(event) {
  const lane = NAMES.findIndex((name) => LANES[name].includes(event.kind));
  return lane < 0 ? NAMES.length - 1 : lane;
}

function newItem({ first }) {
  const shape = draw("svg", { viewBox: "-7 -7 14 14", "aria-hidden": "true" });
  shape.append(draw("path", { class: first.level, d: SHAPES[first.level] }));
  const kind = make("span", { class: "kind" }, first.kind.replaceAll("_", " "));
  const what = make("span", { class: "what" }, make("span"), make("span", { class: "times" }));
  return make("li", { class: first.level }, make("time"), shape, kind, what);
}

function fillItem(row, { first, newest, count: times }) {
  const [time, , , what] = row.children;
  mark(time, "datetime", new Date(newest.at * 1000).toISOString());
  say(time, clock(newest.at));
  say(what.children[0], plain(newest.text));
  const since = first === newest ? "" : ` since ${clock(first.at)}`;
  say(what.children[1], times > 1 ? `×${count(times)}${since}` : "");
}
