// What failed and why: what keeps the proxy from being ready, and everything it counts as trouble.

import { byId, keep, make, mark, say } from "./dom.js";
import { count, plain, short } from "./format.js";

// What each list counts, and what it means to the reader.
const LISTS = [
  ["errors", "Errors that clients got", "by class, whoever made them", "grave"],
  ["limits", "Limits reached", "settings of [limits] and [listen]", "grave"],
  ["redirects", "Redirects followed", "a slot was elsewhere; clients saw nothing of it", ""],
  ["retries", "Sent again", "reads, and what had not run; clients saw nothing of it", ""],
];

const TOTALS = [
  ["slow", "Slow requests"],
  ["lost", "Connections to nodes lost"],
  ["failed_dials", "Connections that failed to open"],
  ["refused", "Clients refused"],
  ["refreshes", "Map asked for"],
];

export class Failures {
  constructor() {
    this.lists = new Map();
    for (const [name, title, hint, tone] of LISTS) {
      const list = make("ul", { class: `counts ${tone}` });
      const none = make("p", { class: "note" });
      const note = make("p", { class: "hint" }, hint);
      byId("trouble").append(make("div", { class: "part" }, make("h3", {}, title), note, list, none));
      this.lists.set(name, { list, none });
    }
    const list = make("ul", { class: "counts" });
    const note = make("p", { class: "hint" }, "since the start");
    byId("trouble").append(make("div", { class: "part" }, make("h3", {}, "Else"), note, list));
    this.totals = list;
  }

  /** Show the counts of `/stats`. */
  show(stats) {
    for (const [name, { list, none }] of this.lists) {
      const seen = stats[name].filter((one) => one.total > 0);
      seen.sort((a, b) => b.per_s - a.per_s || b.total - a.total);
      fillCounts(list, seen);
      say(none, seen.length ? "" : "None since the start.");
    }
    fillCounts(
      this.totals,
      TOTALS.map(([name, label]) => ({ name: label, total: stats.totals[name], per_s: stats.last_10s[name] })),
    );
  }

  /** Nobody answers, so nobody knows. */
  unknown() {
    mark(byId("ready"), "class", "pill calm");
    say(byId("ready"), "unknown");
    mark(byId("not-ready"), "hidden", "");
  }

  /** Show what `/readiness` says. */
  ready(readiness) {
    const pill = byId("ready");
    mark(pill, "class", `pill ${readiness.ready ? "good" : "bad"}`);
    say(pill, readiness.ready ? "ready" : "not ready");
    const banner = byId("not-ready");
    mark(banner, "hidden", readiness.ready ? "" : null);
    keep(
      byId("missing"),
      readiness.missing,
      (text) => text,
      (text) => make("li", {}, plain(text)),
      () => {},
    );
  }
}

function fillCounts(list, counts) {
  keep(
    list,
    counts,
    (one) => one.name,
    () => make("li", {}, make("span"), make("b"), make("i")),
    (item, one) => {
      say(item.children[0], plain(one.name));
      say(item.children[1], count(one.total));
      say(item.children[2], one.per_s > 0 ? `${short(one.per_s)}/s` : "");
      mark(item, "class", one.per_s > 0 ? "going" : null);
    },
  );
}
