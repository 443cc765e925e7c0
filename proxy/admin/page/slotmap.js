// The slot map as something to use: pointer, keyboard, search, and the same in words.
//
// Strategy: for assistive technology the map is a slider over the slots, whose value is said in
// words ("slot 1800, shard 1, 10.0.0.1:7000"); the ranges stand in a table as well.

import { byId, keep, make, mark, say } from "./dom.js";
import { age, count, plain, plural } from "./format.js";
import { movedSlots, placeText, shardText, uncovered } from "./model.js";
import { SlotPainter, shardColour } from "./slotmap_paint.js";
import { rangesText, rangeText, ROW, runs, SLOT_COUNT, slotMeant } from "./slots.js";

const MANY = 6; // shards, from which on the legend is short
const RECENT_MS = 30000; // how long a slot that has moved is marked
const STEPS = {
  ArrowLeft: -1,
  ArrowRight: 1,
  ArrowUp: -ROW,
  ArrowDown: ROW,
  PageUp: -8 * ROW,
  PageDown: 8 * ROW,
};

export class SlotMap {
  constructor() {
    this.canvas = byId("slots");
    this.frame = byId("slots-frame");
    this.cursor = byId("slot-cursor");
    this.tip = byId("slot-tip");
    this.painter = new SlotPainter(this.canvas);
    this.model = null;
    this.look = ""; // what was painted last
    this.slot = 0;
    this.cell = 4;
    this.movedAt = new Map(); // slot -> when, by performance.now()
    this.#listen();
    new ResizeObserver(() => this.#fit()).observe(this.frame.parentElement);
    document.addEventListener("themechange", () => this.#paint());
  }

  /** Show another map (of `mapModel`). */
  show(model) {
    const before = this.model;
    this.model = model;
    const marked = this.movedAt.size;
    const now = performance.now();
    if (before) for (const slot of movedSlots(before, model)) this.movedAt.set(slot, now);
    for (const [slot, when] of this.movedAt) if (now - when > RECENT_MS) this.movedAt.delete(slot);
    const look = JSON.stringify([model.shards.map((shard) => [shard.number, shard.ranges]), [...model.moving]]);
    if (look !== this.look || this.movedAt.size !== marked) this.#paint();
    this.look = look;
    this.#point(this.slot);
    this.#legend();
    this.#words();
  }

  #fit() {
    this.cell = this.painter.fit(this.frame.parentElement.clientWidth);
    this.#paint();
    this.#point(this.slot);
  }

  #paint() {
    if (this.model) this.painter.paint(this.model, new Set(this.movedAt.keys()));
  }

  #listen() {
    this.canvas.addEventListener("focus", () => this.#choose(this.slot));
    this.canvas.addEventListener("keydown", (event) => {
      const next = this.#afterKey(event.key);
      if (next === null) return;
      event.preventDefault();
      this.#choose(next);
    });
    this.canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.canvas.addEventListener("pointerdown", (event) => this.#choose(this.#under(event)));
    this.canvas.addEventListener("pointerleave", () => mark(this.tip, "hidden", ""));
    byId("slot-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const text = byId("slot-search").value.trim();
      if (text) this.#choose(slotMeant(text));
    });
  }

  #afterKey(key) {
    const last = SLOT_COUNT - 1;
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (key === "n" && this.model) return this.#nextOfInterest();
    if (!(key in STEPS)) return null;
    return Math.max(0, Math.min(last, this.slot + STEPS[key]));
  }

  // The next slot that moves or has moved, or else the first one of the next run.
  #nextOfInterest() {
    const marked = [...this.model.moving.keys(), ...this.movedAt.keys()];
    const places = marked.length ? marked : runs(this.model.owner).map((run) => run.first);
    places.sort((a, b) => a - b);
    return places.find((slot) => slot > this.slot) ?? places[0];
  }

  #under(event) {
    const box = this.canvas.getBoundingClientRect();
    const place = (offset) => Math.max(0, Math.min(ROW - 1, Math.floor(offset / this.cell)));
    return place(event.clientY - box.top) * ROW + place(event.clientX - box.left);
  }

  #hover(event) {
    if (!this.model) return;
    const slot = this.#under(event);
    say(this.tip, this.#text(slot));
    mark(this.tip, "hidden", null);
    const box = this.frame.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, box.width - this.tip.offsetWidth);
    this.tip.style.left = `${Math.max(0, left)}px`;
    this.tip.style.top = `${event.clientY - box.top + 16}px`;
  }

  #choose(slot) {
    this.cursor.classList.add("set");
    this.#point(slot);
  }

  #point(slot) {
    this.slot = slot;
    this.cursor.style.left = `${(slot % ROW) * this.cell}px`;
    this.cursor.style.top = `${Math.floor(slot / ROW) * this.cell}px`;
    this.cursor.style.width = `${this.cell}px`;
    this.cursor.style.height = `${this.cell}px`;
    mark(this.canvas, "aria-valuenow", String(slot));
    mark(this.canvas, "aria-valuetext", this.#text(slot));
    say(byId("slot-here"), this.#text(slot));
  }

  #text(slot) {
    if (!this.model) return `slot ${slot}`;
    const moved = this.movedAt.get(slot);
    const since = moved === undefined ? "" : `, moved ${age((performance.now() - moved) / 1000)} ago`;
    return plain(`slot ${slot}: ${placeText(this.model, slot)}${since}`);
  }

  #legend() {
    const legend = byId("slot-legend");
    // Of many shards only the numbers: the tables have their addresses.
    legend.classList.toggle("many", this.model.shards.length > MANY);
    keep(
      legend,
      this.model.shards,
      (shard) => shard.number,
      (shard) => make("li", {}, swatch(shard.number), make("span"), make("b")),
      (item, shard) => {
        const address = plain(shard.primary.address);
        mark(item, "title", `${address}: ${plural(shard.slots, "slot")}`);
        say(item.children[1], address);
        say(item.children[2], count(shard.slots));
      },
    );
  }

  #words() {
    const { model } = this;
    const holes = uncovered(model).map((run) => rangeText(run.first, run.last));
    const moves = movesBetween(model);
    const lines = moves.map(({ source, target, slots }) => {
      const way = `from ${shardText(model, source)} to ${shardText(model, target)}`;
      return `${plural(slots.length, "slot")} moving: ${rangesText(slots)}, ${way}`;
    });
    const moved = [...this.movedAt.keys()];
    if (moved.length) {
      lines.push(`${plural(moved.length, "slot")} moved a moment ago: ${rangesText(moved)}`);
    }
    if (holes.length) lines.push(`Nobody has slot ${holes.join(", ")}`);
    keep(
      byId("slot-news"),
      lines,
      (line) => line.replace(/\d+/g, "#"),
      () => make("li"),
      (item, line) => say(item, plain(line)),
    );
    this.#table();
  }

  #table() {
    keep(
      byId("range-rows"),
      this.model.shards,
      (shard) => shard.number,
      (shard) => {
        const head = make("th", { scope: "row" }, swatch(shard.number));
        return make("tr", {}, head, make("td"), make("td"), make("td"));
      },
      (row, shard) => {
        say(row.children[1], plain(shard.primary.address));
        say(row.children[2], count(shard.slots));
        say(row.children[3], shard.ranges.map(([first, last]) => rangeText(first, last)).join(", "));
      },
    );
  }
}

/** Return a shard's number on its colour. */
export function swatch(number) {
  const element = make("span", { class: "swatch" }, String(number));
  const { name, shade } = shardColour(number);
  element.style.setProperty("--tone", `var(${name})`);
  if (shade) element.classList.add(shade);
  return element;
}

function movesBetween(model) {
  const found = new Map();
  for (const { slot, source, target } of model.moving.values()) {
    const key = `${source} ${target}`;
    if (!found.has(key)) found.set(key, { source, target, slots: [] });
    found.get(key).slots.push(slot);
  }
  return [...found.values()];
}
