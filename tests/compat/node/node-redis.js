"use strict";
// node-redis: commands with types, MULTI, WATCH, pub/sub, blocking in a pool, streams, RESP3.

const { createClient } = require("redis");
const { address, assert, run, until } = require("./steps");

const clients = [];
async function connect(options = {}) {
  const client = createClient({
    socket: address,
    RESP: Number(process.env.RESP || 2),
    ...options,
  });
  client.on("error", (problem) => { throw problem; });
  clients.push(client);
  await client.connect();
  return client;
}

let redis;
run(
  {
    async commands() {
      redis = await connect();
      await redis.set("a", "1", { EX: 100 });
      assert.equal(await redis.get("a"), "1");
      await redis.hSet("hash", { one: "1", two: "2" });
      assert.deepEqual({ ...(await redis.hGetAll("hash")) }, { one: "1", two: "2" });
      await redis.mSet([["m1", "1"], ["m2", "2"], ["m3", "3"]]);
      assert.deepEqual(await redis.mGet(["m3", "none", "m1"]), ["3", null, "1"]);
      await redis.zAdd("z", [{ score: 1, value: "x" }, { score: 2, value: "y" }]);
      assert.deepEqual(await redis.zRangeWithScores("z", 0, -1), [
        { score: 1, value: "x" },
        { score: 2, value: "y" },
      ]);
    },
    async "automatic pipeline"() {
      const answers = await Promise.all([...Array(500).keys()].map((n) => redis.incr(`c:${n % 5}`)));
      assert.equal(Math.max(...answers), 100);
    },
    async transaction() {
      assert.deepEqual(await redis.multi().set("t1", "1").get("t1").incr("t2").exec(), ["OK", "1", 1]);
      const own = await connect();
      await own.watch("t1");
      await redis.set("t1", "2");
      await assert.rejects(own.multi().get("t1").exec(), /watched/i);
    },
    async script() {
      const answer = await redis.eval("return {KEYS[1], ARGV[1]}", { keys: ["k"], arguments: ["v"] });
      assert.deepEqual(answer, ["k", "v"]);
    },
    async "pub/sub"() {
      const listener = await connect();
      const got = [];
      await listener.subscribe("news", (message, channel) => got.push([channel, message]));
      await listener.pSubscribe("user:*", (message, channel) => got.push([channel, message]));
      await redis.publish("news", "1");
      await redis.publish("user:1", "2");
      await until(() => got.length === 2, "two messages");
      assert.deepEqual(got, [["news", "1"], ["user:1", "2"]]);
      await listener.unsubscribe();
      await listener.pUnsubscribe();
    },
    async blocking() {
      const own = await connect();
      const popped = own.blPop(["q1", "q2"], 10);
      await redis.rPush("q2", "item");
      assert.deepEqual({ ...(await popped) }, { key: "q2", element: "item" });
    },
    async stream() {
      const own = await connect();
      await redis.xGroupCreate("s", "g", "$", { MKSTREAM: true });
      const read = own.xReadGroup("g", "me", { key: "s", id: ">" }, { BLOCK: 10000 });
      const id = await redis.xAdd("s", "*", { f: "v" });
      const [stream] = await read;
      assert.equal(stream.name, "s");
      assert.equal(stream.messages[0].id, id);
      assert.equal(await redis.xAck("s", "g", id), 1);
    },
    async scan() {
      const found = [];
      for await (const keys of redis.scanIterator({ MATCH: "m*" })) found.push(...keys);
      assert.deepEqual(found.sort(), ["m1", "m2", "m3"]);
    },
  },
  async () => clients.forEach((client) => client.destroy()),
);
