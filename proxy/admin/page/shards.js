// Shards and their nodes: roles, health, load, latency, lag.

import { byId, keep, make, mark, say } from "./dom.js";
import { age, bytes, count, duration, plain, short } from "./format.js";
import { nodesOf } from "./model.js";
import { swatch } from "./slotmap.js";

// Health in one word, how grave it is, and why. The first line that fits is said.
const HEALTH = [
  [(node) => node.failed, "failed", "bad", "the cluster has agreed that it is down"],
  [(node) => node.breaker_open_s !== null, "given up", "bad", "its breaker is open: requests for it are answered at once"],
  [(node) => node.health === "down", "down", "bad", "it has missed its health checks"],
  [(node) => node.health === "lost", "lost", "bad", "the last connection broke and there is none since"],
  [(node) => node.health === "silent", "silent", "bad", "it owes replies and sends nothing"],
  [(node) => !node.link_up, "suspected", "warn", "another node of the cluster cannot reach it"],
  [(node) => node.health === "connecting", "connecting", "warn", "a connection is being opened"],
  [(node) => node.health === "connected", "connected", "good", ""],
  [() => true, "idle", "calm", "no connection, because nobody has needed one"],
];

const COLUMNS = [
  ["Node", (node) => plain(node.address), "mono"],
  ["Role", (node) => node.role],
  ["Health", null],
  ["Requests/s", (node) => short(node.requests_per_s), "number"],
  ["p50", (node) => duration(node.latency.p50_ms ?? NaN), "number"],
  ["p99", (node) => duration(node.latency.p99_ms ?? NaN), "number"],
  ["In flight", (node) => count(node.in_flight), "number"],
  ["Queued", (node) => count(node.queued), "number"],
  ["Connections", (node) => count(node.connections), "number"],
  ["Heard", (node) => heard(node), "number"],
  ["Ping", (node) => duration(node.ping_ms ?? NaN), "number"],
  ["Reads", (node) => (node.reads === null ? "" : node.reads ? "yes" : "no")],
  ["Lag", (node) => lag(node), "number"],
  ["Zone", (node) => plain(node.zone ?? "–"), "wide"],
];

export class Shards {
  constructor() {
    this.host = byId("shards");
    const heads = COLUMNS.map(([label, , kind]) =>
      make("th", { scope: "col", role: "columnheader", class: kind === "number" ? kind : "" }, label),
    );
    const corner = make("th", { scope: "col", role: "columnheader" }, "Shard");
    this.table = make(
      "table",
      { role: "table", class: "nodes" },
      make("caption", { class: "unseen" }, "Shards and their nodes"),
      make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, corner, ...heads)),
    );
    this.bodies = new Map(); // shard number -> tbody
    this.host.append(make("div", { class: "scroll" }, this.table));
  }

  /** Show the shards of a `mapModel`, and nodes that belong to none. */
  show(model, others) {
    const groups = [
      ...model.shards.map((shard) => ({ key: shard.number, shard, nodes: nodesOf(shard) })),
      ...(others.length ? [{ key: "others", shard: null, nodes: others }] : []),
    ];
    for (const [key, body] of this.bodies) {
      if (!groups.some((group) => group.key === key)) {
        body.remove();
        this.bodies.delete(key);
      }
    }
    groups.forEach((group, index) => {
      const body = this.bodies.get(group.key) ?? make("tbody", { role: "rowgroup" });
      this.bodies.set(group.key, body);
      // Before the bodies come the caption and the head.
      if (this.table.children[index + 2] !== body) this.table.append(body);
      keep(
        body,
        group.nodes,
        (node) => node.id,
        newRow,
        (row, node) => fill(row, node, group.shard, node === group.nodes[0]),
      );
    });
  }
}

/** Return `{word, tone, why}` of a node. */
function healthOf(node) {
  const [, word, tone, why] = HEALTH.find(([fits]) => fits(node));
  return { word, tone, why };
}

function newRow() {
  const cells = COLUMNS.map(([label, , kind]) =>
    make("td", { role: "cell", "data-label": label, class: kind ?? "" }),
  );
  cells[2].append(make("span", { class: "health" }));
  const head = make("th", { role: "rowheader", scope: "row", "data-label": "Shard" });
  return make("tr", { role: "row" }, head, ...cells);
}

function fill(row, node, shard, isFirst) {
  const [head, ...cells] = row.children;
  const number = shard ? String(shard.number) : "none";
  if (head.textContent !== number) {
    head.replaceChildren(shard ? swatch(shard.number) : make("span", { class: "hint" }, number));
  }
  COLUMNS.forEach(([, text], index) => {
    if (text) say(cells[index], text(node));
  });
  const { word, tone, why } = healthOf(node);
  const label = cells[2].firstElementChild;
  say(label, word);
  mark(label, "class", `health ${tone}`);
  mark(label, "title", why || null);
  mark(row, "class", isFirst ? "first" : null);
}

function heard(node) {
  if (node.heard_s === null) return "–";
  return node.heard_s < 1 ? "now" : `${age(node.heard_s)} ago`;
}

function lag(node) {
  if (node.role !== "replica") return "–";
  if (node.lag_bytes === null) return "–";
  return node.lag_bytes === 0 ? "none" : bytes(node.lag_bytes);
}
