"use strict";
// BullMQ: workers, delays, priorities, retries, repeated jobs, flows, events, progress, counts.

const { FlowProducer, Queue, QueueEvents, Worker } = require("bullmq");
const { address, assert, run, until } = require("./steps");

const options = { connection: address };
if (process.env.BULL_PREFIX) options.prefix = process.env.BULL_PREFIX;
const opened = [];
const open = (thing) => (opened.push(thing), thing);

const queue = open(new Queue("paint", options));
// From the beginning: its first XREAD may come after what it is to hear of, which "$" would miss.
const heard = { ...options, lastEventId: "0-0" };
const events = open(new QueueEvents("paint", heard));
const attempts = {};

async function work(job) {
  attempts[job.name] = (attempts[job.name] || 0) + 1;
  if (job.name === "fails twice" && attempts[job.name] < 3) throw new Error("on purpose");
  if (job.name === "fails") throw new Error("on purpose");
  await job.updateProgress(50);
  await job.log("half way");
  return (job.data.n || 0) * 2;
}

run(
  {
    async "jobs are done"() {
      await events.waitUntilReady();
      open(new Worker("paint", work, { ...options, concurrency: 5 }));
      const jobs = await queue.addBulk(
        [...Array(50).keys()].map((n) => ({ name: "double", data: { n } })),
      );
      const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 20000)));
      assert.deepEqual(results, [...Array(50).keys()].map((n) => 2 * n));
      assert.equal((await queue.getJobCounts("completed")).completed, 50);
      assert.deepEqual((await queue.getJobLogs(jobs[0].id)).logs, ["half way"]);
    },
    async "delays, priorities and retries"() {
      const later = await queue.add("later", { n: 1 }, { delay: 300 });
      const urgent = await queue.add("urgent", { n: 2 }, { priority: 1 });
      const again = await queue.add("fails twice", { n: 3 }, {
        attempts: 5,
        backoff: { type: "fixed", delay: 50 },
      });
      assert.equal(await later.waitUntilFinished(events, 20000), 2);
      assert.equal(await urgent.waitUntilFinished(events, 20000), 4);
      assert.equal(await again.waitUntilFinished(events, 20000), 6);
      assert.equal(attempts["fails twice"], 3);
    },
    async "a failed job is kept and retried by hand"() {
      const job = await queue.add("fails", {});
      await assert.rejects(job.waitUntilFinished(events, 20000), /on purpose/);
      assert.equal(await queue.getFailedCount(), 1);
      await job.retry();
      await until(() => attempts.fails === 2, "the second attempt");
    },
    async "a scheduler repeats"() {
      await queue.upsertJobScheduler("often", { every: 200 }, { name: "tick", data: { n: 1 } });
      await until(() => (attempts.tick || 0) >= 3, "three ticks");
      assert.equal(await queue.removeJobScheduler("often"), true);
    },
    async "a flow waits for its children"() {
      const flows = open(new FlowProducer(options));
      const order = [];
      open(new Worker("parts", async (job) => order.push(job.name), options));
      open(new Worker("whole", async (job) => {
        order.push("whole");
        return Object.keys(await job.getChildrenValues()).length;
      }, options));
      const wholeEvents = open(new QueueEvents("whole", heard));
      await wholeEvents.waitUntilReady();
      const flow = await flows.add({
        name: "whole",
        queueName: "whole",
        children: [1, 2, 3].map((n) => ({ name: `part ${n}`, queueName: "parts" })),
      });
      assert.equal(await flow.job.waitUntilFinished(wholeEvents, 20000), 3);
      assert.equal(order.at(-1), "whole");
    },
    async "a queue is paused, drained and obliterated"() {
      await queue.pause();
      const job = await queue.add("waits", {});
      assert.equal(await queue.isPaused(), true);
      assert.ok(["waiting", "paused"].includes(await job.getState()));
      await queue.drain();
      await queue.resume();
      await queue.obliterate({ force: true });
      assert.equal(await queue.getJobCountByTypes("completed", "failed", "waiting"), 0);
    },
  },
  async () => Promise.all(opened.map((thing) => thing.close())),
).then(() => process.exit(0), (problem) => {
  console.error(problem);
  process.exit(1);
});
