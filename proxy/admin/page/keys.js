// Tables of what the traffic is: hot keys, big keys, slow requests, clients, lanes, families.

import { make, mark, say } from "./dom.js";
import { age, bytes, clock, count, cut, duration, plain, short } from "./format.js";
import { Table } from "./table.js";

const KEY_LIMIT = 80; // characters shown of a key
const ARGS_LIMIT = 160;

/** Return a column of keys: any bytes, shown as text that cannot do anything. */
function keyColumn() {
  return {
    label: "Key",
    kind: "key",
    sort: (row) => row.key,
    fill: (cell, row) => fillKey(cell, row.key),
  };
}

// <bdi> keeps a key that is written from right to left from turning its neighbours around.
function fillKey(cell, key) {
  const shown = cut(key, KEY_LIMIT) || "(empty)";
  if (cell.textContent !== shown) cell.replaceChildren(make("bdi", { dir: "ltr" }, shown));
}

// A bar behind a number: how much of the most there is.
function fillBar(cell, text, share) {
  say(cell, text);
  cell.classList.add("bar");
  cell.style.setProperty("--share", `${Math.round(Math.max(0, Math.min(1, share)) * 100)}%`);
}

const place = [
  { label: "Slot", number: true, text: (row) => String(row.slot ?? "–"), sort: (row) => row.slot },
  { label: "Node", kind: "mono", text: (row) => plain(row.node ?? (row.slot === null ? "–" : "nobody")), sort: (row) => row.node ?? "" },
];

/** Return the table of hot keys; `show` it with the keys of `/hotkeys`. */
export function hotKeys() {
  const table = new Table("hot-keys", {
    caption: "Hot keys",
    keyOf: (row) => row.key,
    nothing: "No key stands out.",
    sorted: [1, true],
    columns: [
      keyColumn(),
      {
        label: "Requests/s",
        number: true,
        sort: (row) => row.per_s,
        fill: (cell, row) => fillBar(cell, short(row.per_s), row.per_s / table.most),
      },
      {
        label: "±",
        number: true,
        text: (row) => short(row.error_per_s),
        hint: "How far the estimate may be off",
      },
      ...place,
    ],
  });
  const show = table.show.bind(table);
  table.show = (rows = table.rows) => {
    table.most = Math.max(1e-9, ...rows.map((row) => row.per_s));
    show(rows);
  };
  return table;
}

/** Return the table of big keys. */
export function bigKeys() {
  return new Table("big-keys", {
    caption: "Big keys",
    keyOf: (row) => `${row.is_reply} ${row.key}`,
    nothing: "No value or reply has been that big.",
    sorted: [1, true],
    columns: [
      keyColumn(),
      { label: "Size", number: true, text: (row) => bytes(row.size_bytes), sort: (row) => row.size_bytes },
      {
        label: "As",
        text: (row) => `${row.is_reply ? "reply of" : "value of"} ${plain(row.command)}`,
        sort: (row) => row.command,
      },
      { label: "Seen", number: true, text: (row) => `${count(row.count)}×`, sort: (row) => row.count },
      { label: "Last", text: (row) => clock(row.at), sort: (row) => row.at },
      ...place,
    ],
  });
}

/** Return the slow log. */
export function slowLog() {
  return new Table("slow-log", {
    caption: "Slow requests",
    keyOf: (row) => row.number,
    nothing: "No request has been that slow.",
    sorted: [0, true],
    columns: [
      { label: "When", text: (row) => clock(row.at), sort: (row) => row.at },
      { label: "Took", number: true, text: (row) => duration(row.took_ms), sort: (row) => row.took_ms },
      {
        label: "Where",
        kind: "split wide",
        fill: fillShare,
        sort: (row) => (row.backend_ms ?? 0) / row.took_ms,
      },
      {
        label: "Request",
        kind: "key",
        sort: (row) => row.command,
        fill: (cell, row) => {
          const shown = cut(row.args.join(" "), ARGS_LIMIT);
          if (cell.textContent !== shown) cell.replaceChildren(make("bdi", { dir: "ltr" }, shown));
        },
      },
      { label: "Nodes", kind: "mono", text: (row) => row.nodes.map(plain).join(", ") || "–" },
      { label: "Client", text: (row) => plain(row.client_name || row.client), sort: (row) => row.client },
      { label: "What else", kind: "wide", text: whatElse },
    ],
  });
}

// How much of the time the slowest node had; the rest is queueing, retries and the proxy.
function fillShare(cell, row) {
  const backend = row.backend_ms ?? 0;
  const share = Math.max(0, Math.min(1, backend / row.took_ms));
  cell.style.setProperty("--share", `${Math.round(share * 100)}%`);
  const text = row.backend_ms === null ? "in the proxy" : `${Math.round(share * 100)} % in the node`;
  say(cell, text);
  mark(cell, "title", `${duration(backend)} of ${duration(row.took_ms)} in the node`);
}

function whatElse(row) {
  const parts = [];
  if (row.redirects) parts.push(`${row.redirects} redirected`);
  if (row.retries) parts.push(`${row.retries} sent again`);
  if (row.error) parts.push(`failed: ${plain(row.error)}`);
  return parts.join(", ") || "–";
}

/** Return the table of clients. */
export function clients() {
  const number = (label, name, text = count) => ({
    label,
    number: true,
    text: (row) => text(row[name]),
    sort: (row) => row[name],
  });
  const word = (label, name, kind) => ({
    label,
    kind,
    text: (row) => plain(row[name]) || "–",
    sort: (row) => row[name],
  });
  return new Table("clients", {
    caption: "Clients",
    keyOf: (row) => row.id,
    nothing: "Nobody is connected.",
    sorted: [7, true],
    columns: [
      word("Address", "address", "mono"),
      word("Name", "name"),
      word("Library", "library"),
      word("User", "user"),
      word("Mode", "mode"),
      word("Waits for", "stopped_by"),
      { label: "RESP", number: true, text: (row) => String(row.resp), sort: (row) => row.resp },
      number("Commands", "commands"),
      word("Last", "last_command"),
      number("In flight", "in_flight"),
      number("Unread", "output_bytes", bytes),
      number("In", "bytes_in", bytes),
      number("Out", "bytes_out", bytes),
      number("Connected", "age_s", age),
      number("Idle", "idle_s", age),
    ],
  });
}

const percentiles = (name, of) =>
  [
    ["p50", "p50_ms"],
    ["p90", "p90_ms"],
    ["p99", "p99_ms"],
    ["p99.9", "p999_ms"],
  ].map(([label, field]) => ({
    label: name ? `${name} ${label}` : label,
    number: true,
    text: (row) => duration(of(row)[field] ?? NaN),
    sort: (row) => of(row)[field],
  }));

/** Return the table of command families. */
export function families() {
  return new Table("families", {
    caption: "Latency by command family, last minute",
    keyOf: (row) => row.family,
    nothing: "No request in the last minute.",
    sorted: [1, true],
    columns: [
      { label: "Family", text: (row) => plain(row.family), sort: (row) => row.family },
      { label: "Requests/s", number: true, text: (row) => short(row.per_s), sort: (row) => row.per_s },
      ...percentiles("", (row) => row.whole),
    ],
  });
}

/** Return the table of nodes: the whole way and the node's share. */
export function nodeLatencies() {
  return new Table("node-latencies", {
    caption: "Latency by node, last minute",
    keyOf: (row) => row.node,
    nothing: "No request in the last minute.",
    sorted: [0, false],
    columns: [
      { label: "Node", kind: "mono", text: (row) => plain(row.node), sort: (row) => row.node },
      { label: "Requests/s", number: true, text: (row) => short(row.per_s), sort: (row) => row.per_s },
      ...["p50_ms", "p99_ms"].flatMap((field) => {
        const percentile = field.slice(0, 3);
        return [
          ["Whole", "whole"],
          ["Node", "backend"],
        ].map(([label, part]) => ({
          label: `${label} ${percentile}`,
          number: true,
          text: (row) => duration(row[part][field] ?? NaN),
          sort: (row) => row[part][field],
        }));
      }),
    ],
  });
}

/** Return the table of lanes: the kinds of connections to the nodes. */
export function lanes() {
  return new Table("lanes", {
    caption: "Lanes: kinds of connections to the nodes",
    keyOf: (row, index) => index, // many may look alike: each client that tracks has its own
    nothing: "There is no connection to a node.",
    columns: [
      { label: "Protocol", text: (row) => `RESP${row.resp}` },
      { label: "User", text: (row) => (row.user === null ? "the proxy's own" : plain(row.user)) },
      { label: "Database", number: true, text: (row) => String(row.database) },
      { label: "For", text: (row) => (row.alone ? "one client alone" : "all alike") },
      { label: "Connections", number: true, text: (row) => count(row.connections) },
      { label: "In flight", number: true, text: (row) => count(row.in_flight) },
      { label: "Queued", number: true, text: (row) => count(row.queued) },
    ],
  });
}
