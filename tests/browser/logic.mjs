// The page's pure parts, run by Node.js: test_page_logic.py copies them beside this file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { fold } from "./fold.js";
import { age, bytes, count, cut, duration, plain, plural, short } from "./format.js";
import { History } from "./history.js";
import { mapModel, movedSlots, placeText, ShardNumbers, uncovered } from "./model.js";
import { linear, logarithmic, roundUp, roundUpBytes } from "./scale.js";
import { keyBytes, keySlot, rangesText, runs, slotMeant } from "./slots.js";

const node = (id, role = "primary") => ({ id, address: `10.0.0.${id}:6379`, role });
const shard = (primary, replicas, ...ranges) => ({
  primary: node(primary),
  replicas: replicas.map((id) => node(id, "replica")),
  ranges,
  slots: 0,
});
const topology = (shards, moving = []) => ({ shards, moving });

test("a key has the slot that the cluster computes", () => {
  for (const { hex, slot } of JSON.parse(readFileSync("slots.json", "utf8"))) {
    assert.equal(keySlot(Uint8Array.from(Buffer.from(hex, "hex"))), slot, hex);
  }
});

test("what is typed is a slot if it can be one, and else a key", () => {
  assert.equal(slotMeant("16383"), 16383);
  assert.equal(slotMeant("user:12345"), 1800);
  assert.equal(slotMeant("16384"), keySlot(keyBytes("16384")));
});

test("a key is typed as the page shows it", () => {
  assert.deepEqual([...keyBytes("a\\xff\\x00é")], [0x61, 0xff, 0x00, 0xc3, 0xa9]);
  assert.deepEqual([...keyBytes("a\\\\x41")], [0x61, 0x5c, 0x78, 0x34, 0x31]);
});

test("runs and ranges", () => {
  assert.deepEqual(runs([1, 1, 2]), [
    { first: 0, last: 1, value: 1 },
    { first: 2, last: 2, value: 2 },
  ]);
  assert.equal(rangesText([7, 1, 2, 3]), "1-3, 7");
  assert.equal(rangesText([]), "");
});

test("a shard keeps its number after a failover and when others come and go", () => {
  const numbers = new ShardNumbers();
  const before = mapModel(topology([shard(1, [4], [0, 99]), shard(2, [5], [100, 16383])]), numbers);
  const after = mapModel(topology([shard(3, [], [0, 9]), shard(5, [2], [100, 16383]), shard(4, [], [10, 99])]), numbers);

  assert.deepEqual(before.shards.map((one) => [one.number, one.primary.id]), [[1, 1], [2, 2]]);
  assert.deepEqual(after.shards.map((one) => [one.number, one.primary.id]), [[1, 4], [2, 5], [3, 3]]);
  assert.deepEqual(movedSlots(before, after), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("two shards never share a number, though a node went from one to the other", () => {
  const numbers = new ShardNumbers();
  mapModel(topology([shard(1, [3], [0, 9]), shard(2, [4], [10, 19])]), numbers);
  const after = mapModel(topology([shard(1, [], [0, 9]), shard(2, [3, 4], [10, 19]), shard(3, [], [20, 29])]), numbers);

  assert.equal(new Set(after.shards.map((one) => one.number)).size, 3);
});

test("a slot is described in words", () => {
  const moving = [{ slot: 5, source: "10.0.0.1:6379", target: "10.0.0.2:6379" }];
  const model = mapModel(topology([shard(1, [], [0, 9]), shard(2, [], [10, 19])], moving), new ShardNumbers());

  assert.equal(placeText(model, 4), "shard 1, 10.0.0.1:6379");
  assert.equal(placeText(model, 5), "shard 1, 10.0.0.1:6379, moving to shard 2, 10.0.0.2:6379");
  assert.equal(placeText(model, 20), "nobody has it");
  assert.deepEqual(uncovered(model).map(({ first, last }) => [first, last]), [[20, 16383]]);
});

test("history: a second is one point, whoever tells of it, and old ones go", () => {
  const history = new History(10);
  history.add(100.9, { requests: 5 });
  history.add(100.1, { clients: 2 });
  history.add(99.5, { requests: 4 });
  assert.deepEqual(history.points, [
    { time: 99, values: { requests: 4 } },
    { time: 100, values: { requests: 5, clients: 2 } },
  ]);
  history.add(120, { requests: 9 });
  assert.deepEqual(history.points.map((point) => point.time), [120]);
});

test("history: a poll that came late is bridged, silence is a gap", () => {
  const history = new History();
  for (const time of [1, 2, 5, 20]) history.add(time, { requests: time });
  assert.deepEqual(
    history.stretches("requests").map((stretch) => stretch.map((point) => point.time)),
    [[1, 2, 5], [20]],
  );
  assert.equal(history.at("requests", 7), 5);
  assert.equal(history.at("requests", 12), undefined);
  assert.deepEqual(history.extent(["requests"]), [1, 20]);
});

test("a flood of events is one line, and what is among them is not lost", () => {
  const event = (number, at, kind, node = null) => ({ number, at, kind, node, level: "info", count: 2 });
  const flood = [1, 2, 3].map((number) => event(number, number, "redirects"));
  const failovers = [event(4, 3.5, "failover", "a"), event(5, 4, "failover", "b")];
  const runs = fold([...flood, ...failovers, event(6, 5, "redirects"), event(7, 30, "failover", "b")]);

  assert.deepEqual(
    runs.map(({ first, newest, count: times }) => [first.number, newest.number, times]),
    [[4, 4, 2], [5, 5, 2], [1, 6, 8], [7, 7, 2]],
  );
});

test("axes are round and hold every value", () => {
  assert.deepEqual([0, 3, 12, 20, 950].map(roundUp), [1, 5, 20, 20, 1000]);
  assert.equal(roundUpBytes(6 * 2 ** 20), 10 * 2 ** 20);
  assert.equal(roundUpBytes(1000 * 1024), 2 ** 20);
  assert.deepEqual(linear(10)(0, 30).ticks, [0, 25, 50]);
  const axis = logarithmic(0.01)(0.2, 800);
  assert.deepEqual(axis.ticks.map((tick) => Number(tick.toPrecision(6))), [0.1, 1, 10, 100, 1000]);
  assert.equal(axis.share(1000), 1);
  assert.ok(axis.share(0.2) > 0 && axis.share(0.2) < axis.share(1));
  assert.equal(axis.share(0), 0);
});

test("numbers as people read them", () => {
  assert.deepEqual([0, 0.25, 7, 950, 12345, 5.6e6, 2e9].map(short), ["0", "0.25", "7", "950", "12.3k", "5.60M", "2.00G"]);
  assert.deepEqual([0, 0.085, 1.2, 45.67, 340, 3400].map(duration), ["0 ms", "85 µs", "1.20 ms", "45.7 ms", "340 ms", "3.40 s"]);
  assert.deepEqual([0, 512, 1536, 2 ** 20].map(bytes), ["0 B", "512 B", "1.50 KiB", "1.00 MiB"]);
  assert.deepEqual([8.9, 200, 7500, 270000].map(age), ["8 s", "3 min", "2 h 05 min", "3 d 3 h"]);
  assert.deepEqual([count(NaN), short(undefined), duration(null ?? NaN), bytes(NaN)], ["–", "–", "–", "–"]);
  assert.deepEqual([plural(1, "slot"), plural(2, "slot")], ["1 slot", "2 slots"]);
});

test("text of the cluster cannot hide itself, turn around or break the line", () => {
  assert.equal(plain("a\r\nb\u202ec\u200bd\u0000"), "a\\x0d\\x0ab\\u202ec\\u200bd\\x00");
  assert.equal(plain("مفتاح <b>"), "مفتاح <b>");
  assert.equal(cut("x".repeat(10240), 5), "xxxxx… (10,240 characters or more)");
});
