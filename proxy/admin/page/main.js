// The page: what is asked how often, and who shows it.
//
// Cost: about 7 ms of the proxy's processor a second for each page that somebody looks at
// (CPython 3.11, CI machine).

import { Chart, ChartGroup } from "./chart.js";
import { Checkup } from "./checkup.js";
import { byId, mark, say } from "./dom.js";
import { Events } from "./events.js";
import { Explain } from "./explain.js";
import { Failures } from "./failures.js";
import { Feed } from "./feed.js";
import { age, bytes, clock, count, duration, plain, plural, short } from "./format.js";
import { History, SPAN_S } from "./history.js";
import { bigKeys, clients, families, hotKeys, lanes, nodeLatencies, slowLog } from "./keys.js";
import { Lock } from "./lock.js";
import { mapModel, ShardNumbers } from "./model.js";
import { linear, logarithmic, roundUpBytes } from "./scale.js";
import { SettingsTable } from "./settings.js";
import { Shards } from "./shards.js";
import { SLOT_COUNT } from "./slots.js";
import { SlotMap } from "./slotmap.js";

const CHARTS = {
  "chart-requests": {
    title: "Requests",
    format: short,
    unit: "/s",
    axis: linear(10),
    lines: [{ name: "requests", label: "per second", tone: "a" }],
  },
  "chart-latency": {
    title: "Latency, p99",
    format: duration,
    axis: logarithmic(0.01),
    big: "p99_ms",
    lines: [
      { name: "p99_ms", label: "p99", tone: "a" },
      { name: "p50_ms", label: "p50", tone: "b", dashed: true },
    ],
  },
  "chart-trouble": {
    title: "Errors",
    format: short,
    unit: "/s",
    lines: [
      { name: "errors", label: "errors", tone: "bad" },
      { name: "redirects", label: "redirects", tone: "b", dashed: true },
      { name: "retries", label: "retries", tone: "c" },
    ],
  },
  "chart-traffic": {
    title: "Traffic",
    format: bytes,
    unit: "/s",
    axis: linear(1024, roundUpBytes),
    lines: [
      { name: "bytes_out", label: "to clients", tone: "a" },
      { name: "bytes_in", label: "from clients", tone: "b", dashed: true },
    ],
  },
  "chart-load": {
    title: "In flight",
    format: short,
    axis: linear(10),
    lines: [
      { name: "in_flight", label: "requests", tone: "a" },
      { name: "clients", label: "clients", tone: "b", dashed: true },
    ],
  },
  "chart-lag": {
    title: "Loop lag",
    format: duration,
    axis: linear(5),
    lines: [{ name: "loop_lag_ms", label: "longest wait in ten seconds", tone: "a" }],
  },
};

const history = new History();
const group = new ChartGroup(history);
for (const [id, settings] of Object.entries(CHARTS)) new Chart(group, byId(id), settings);

const numbers = new ShardNumbers();
const slots = new SlotMap();
const shards = new Shards();
const checkup = new Checkup();
const events = new Events(SPAN_S);
const failures = new Failures();
const settings = new SettingsTable();
const tables = {
  hotkeys: hotKeys(),
  bigkeys: bigKeys(),
  slowlog: slowLog(),
  clients: clients(),
  families: families(),
  nodes: nodeLatencies(),
  lanes: lanes(),
};

let startedAt = null;

// How each view is shown, and the pace at which it is asked for.
const VIEWS = [
  { name: "stats", everyMs: 1000, show: showStats },
  { name: "events", everyMs: 1000, path: () => events.path, show: showEvents },
  { name: "topology", everyMs: 1000, show: showTopology },
  { name: "readiness", everyMs: 2000, show: (ready) => failures.ready(ready) },
  { name: "hotkeys", everyMs: 3000, show: showHotKeys },
  { name: "slowlog", everyMs: 3000, show: showSlowLog },
  { name: "clients", everyMs: 3000, show: showClients },
  { name: "bigkeys", everyMs: 5000, show: showBigKeys },
  { name: "cluster-health", everyMs: 5000, show: (check) => checkup.show(check) },
  { name: "config", everyMs: 30000, show: (config) => settings.show(config) },
];

const showers = new Map(VIEWS.map(({ name, show }) => [name, show]));
const feed = new Feed({
  views: VIEWS.map(({ name, path, ...view }) => ({ ...view, name, path: path ?? (() => name) })),
  onView: (name, answer) => showers.get(name)(answer),
  onState: showState,
  onRefused: (name, refusal) => lock.note(name, refusal),
});
const lock = new Lock(feed, {
  hotkeys: "hot-keys-how",
  bigkeys: "big-keys-how",
  slowlog: "slow-log-how",
  clients: "clients-how",
  config: "settings-file",
});
new Explain(feed);

function showStats(stats) {
  if (startedAt !== null && stats.started_at !== startedAt) history.clear();
  startedAt = stats.started_at;
  for (const { at, ...values } of stats.history) history.add(at, values);
  const { now, last_1s: second } = stats;
  history.add(stats.at, {
    bytes_in: second.bytes_in,
    bytes_out: second.bytes_out,
    in_flight: now.in_flight,
    clients: now.clients,
    loop_lag_ms: now.loop_lag_ms,
  });
  // The newest second that the proxy has counted whole is the one just over.
  group.show(stats.history.at(-1)?.at ?? stats.at, events.marks());
  events.show(stats.at);
  failures.show(stats);
  tables.families.show(stats.families);
  tables.nodes.show(stats.nodes);
  tables.lanes.show(stats.lanes);
  say(byId("identity"), plain(`${stats.version} in front of ${stats.server}`));
  say(byId("uptime"), `up ${age(stats.uptime_s)}`);
  const facts = [
    plural(now.clients, "client"),
    `${count(now.blocked)} blocked`,
    plural(now.subscribers, "subscriber"),
    `${plural(now.connections, "connection")} to nodes, ${count(now.private_connections)} private`,
    `${bytes(now.memory_bytes ?? NaN)} memory`,
    `${short(stats.last_10s.splits)} splits/s`,
    `${short(stats.last_10s.punts)} off the hot road/s`,
  ];
  say(byId("facts"), facts.join(" · "));
}

function showEvents(answer) {
  if (events.take(answer)) history.clear();
}

function showTopology(topology) {
  const model = mapModel(topology, numbers);
  slots.show(model);
  shards.show(model, topology.others);
  const confirmed = topology.age_s === null ? "never confirmed" : `confirmed ${age(topology.age_s)} ago`;
  const covered = `${count(topology.covered_slots)} of ${count(SLOT_COUNT)} slots covered`;
  const facts = `map ${topology.generation}, epoch ${topology.config_epoch}, ${confirmed}; ${covered}`;
  say(byId("map-facts"), topology.known ? facts : "no map has been read yet");
}

function showHotKeys(view) {
  const how = view.sample_every
    ? `One request in ${count(view.sample_every)} is looked at.`
    : "No request is looked at (insight.sample_every = 0).";
  say(byId("hot-keys-how"), how);
  tables.hotkeys.show(view.keys);
}

function showBigKeys(view) {
  say(byId("big-keys-how"), `Values and replies from ${bytes(view.threshold_bytes)} on.`);
  tables.bigkeys.show(view.keys);
}

function showSlowLog(view) {
  const how = view.threshold_ms
    ? `Longer than ${duration(view.threshold_ms)}; ${count(view.total)} so far.`
    : "Nothing is kept (insight.slow_log_ms = 0).";
  say(byId("slow-log-how"), how);
  tables.slowlog.show(view.entries);
}

function showClients(view) {
  const more = view.total - view.clients.length;
  const shown = more > 0 ? `; the first ${count(view.clients.length)} are here` : "";
  say(byId("clients-how"), `${count(view.total)} connected${shown}.`);
  tables.clients.show(view.clients);
}

const STATES = {
  starting: ["connecting", "calm"],
  live: ["live", "good"],
  silent: ["no answer", "bad"],
  paused: ["paused", "calm"],
};

function showState(state) {
  const [word, tone] = STATES[state];
  say(byId("connection"), word);
  mark(byId("connection"), "class", `pill ${tone}`);
  const isSilent = state === "silent";
  mark(byId("main"), "class", isSilent ? "stale" : null);
  mark(byId("silent"), "hidden", isSilent ? null : "");
  if (!isSilent) return;
  say(byId("silent-since"), clock(feed.silentSince));
  failures.unknown();
}

byId("pause").addEventListener("click", () => {
  feed.hold(!feed.isHeld);
  mark(byId("pause"), "aria-pressed", String(feed.isHeld));
});

byId("clients-filter").addEventListener("input", () => {
  const wanted = byId("clients-filter").value.trim().toLowerCase();
  const words = ["address", "name", "library", "user", "mode", "last_command"];
  tables.clients.filter = (row) => words.some((word) => row[word].toLowerCase().includes(wanted));
  tables.clients.show();
});

feed.start();
