"use strict";
// What the scripts here share: where Redis is, and steps that are told when they are done.

const address = { host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT) };
const assert = require("node:assert/strict");

/** Run named steps in order, print each name when it is done, and fail at the first that fails. */
async function run(steps, close) {
  try {
    for (const [name, step] of Object.entries(steps)) {
      await step();
      console.log(name);
    }
  } finally {
    await close();
  }
}

/** Wait until a condition holds. */
async function until(condition, what, withinMs = 15000) {
  const end = Date.now() + withinMs;
  while (!(await condition())) {
    assert.ok(Date.now() < end, `not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

module.exports = { address, assert, run, until };
