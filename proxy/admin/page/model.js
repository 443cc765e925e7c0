// The topology as the page needs it: who has each slot, and which number and colour a shard has.
//
// Strategy: a shard has no name of its own, and after a failover another primary. It keeps its
// number on this page as long as any of its nodes is known from before. Pure.

import { runs, SLOT_COUNT } from "./slots.js";

/** Gives shards numbers from 1 on, which outlive a change of their primary. */
export class ShardNumbers {
  constructor() {
    this.byNode = new Map(); // node id -> number
  }

  /** Return the number of each of these shards (as `/topology` has them), in their order. */
  assign(shards) {
    const taken = new Set();
    const numbers = shards.map((shard) => {
      const known = nodesOf(shard).map((node) => this.byNode.get(node.id));
      const number = known.find((one) => one !== undefined && !taken.has(one));
      if (number !== undefined) taken.add(number);
      return number;
    });
    const free = (number) => !taken.has(number);
    for (const [index, number] of numbers.entries()) {
      if (number !== undefined) continue;
      let next = 1;
      while (!free(next)) next += 1;
      taken.add(next);
      numbers[index] = next;
    }
    shards.forEach((shard, index) => {
      for (const node of nodesOf(shard)) this.byNode.set(node.id, numbers[index]);
    });
    return numbers;
  }
}

/** Return a shard's nodes, the primary first. */
export function nodesOf(shard) {
  return [shard.primary, ...shard.replicas];
}

/**
 * Return what the map shows.
 *
 * @param topology The JSON of `/topology`.
 * @param numbers A ShardNumbers.
 * @returns `{shards: [{number, primary, replicas, ranges, slots}], owner, moving, numberOf}`:
 *   `owner[slot]` is an index into `shards` or -1, `moving` maps a slot to `{source, target}`.
 */
export function mapModel(topology, numbers) {
  const sorted = [...topology.shards].sort((a, b) => firstSlot(a) - firstSlot(b));
  const assigned = numbers.assign(sorted);
  const shards = sorted
    .map((shard, index) => ({ ...shard, number: assigned[index] }))
    .sort((a, b) => a.number - b.number);
  const owner = new Int16Array(SLOT_COUNT).fill(-1);
  shards.forEach((shard, index) => {
    for (const [first, last] of shard.ranges) owner.fill(index, first, last + 1);
  });
  const numberOf = new Map();
  for (const shard of shards) for (const node of nodesOf(shard)) numberOf.set(node.address, shard.number);
  const moving = new Map(topology.moving.map((one) => [one.slot, one]));
  return { shards, owner, moving, numberOf };
}

/** Return the slots that another shard has now: `[slot]`. A new primary of the same shard is none. */
export function movedSlots(before, after) {
  const found = [];
  for (let slot = 0; slot < SLOT_COUNT; slot += 1) {
    const was = before.shards[before.owner[slot]]?.number;
    const is = after.shards[after.owner[slot]]?.number;
    if (was !== is) found.push(slot);
  }
  return found;
}

/** Return the slots that nobody has, as runs: `[{first, last}]`. */
export function uncovered(model) {
  return runs(model.owner).filter((run) => run.value === -1);
}

/** Return in words who has a slot. */
export function placeText(model, slot) {
  const shard = model.shards[model.owner[slot]];
  const place = shard ? `shard ${shard.number}, ${shard.primary.address}` : "nobody has it";
  const move = model.moving.get(slot);
  return move ? `${place}, moving to ${shardText(model, move.target)}` : place;
}

/** Return a node's shard and address in words. */
export function shardText(model, address) {
  const number = model.numberOf.get(address);
  return number === undefined ? address : `shard ${number}, ${address}`;
}

function firstSlot(shard) {
  return shard.ranges[0]?.[0] ?? SLOT_COUNT;
}
