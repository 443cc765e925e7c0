"use strict";
// ioredis: pipelines, transactions, scripts, pub/sub, blocking, streams, scans, auto-pipelining.

const Redis = require("ioredis");
const { address, assert, run, until } = require("./steps");

const redis = new Redis({ ...address });
const others = [];
const connect = (options = {}) => {
  const client = new Redis({ ...address, ...options });
  others.push(client);
  return client;
};

run(
  {
    async pipeline() {
      const pipeline = redis.pipeline();
      for (let n = 0; n < 100; n++) pipeline.set(`key:${n}`, n);
      pipeline.mget("key:1", "key:2").incr("text");
      await redis.set("text", "x");
      const answers = await pipeline.exec();
      assert.deepEqual(answers[100], [null, ["1", "2"]]);
      assert.match(answers[101][0].message, /not an integer/);
    },
    async transaction() {
      const answers = await redis.multi().set("a", 1).incr("a").get("b").exec();
      assert.deepEqual(answers, [[null, "OK"], [null, 2], [null, null]]);
      await redis.watch("a");
      await connect().set("a", 10);
      assert.equal(await redis.multi().incr("a").exec(), null);
    },
    async script() {
      redis.defineCommand("add", {
        numberOfKeys: 1,
        lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
      });
      assert.equal(await redis.add("sum", 40), 40);
      await redis.script("FLUSH");
      assert.equal(await redis.add("sum", 2), 42);
    },
    async "pub/sub"() {
      const listener = connect();
      const got = [];
      listener.on("message", (channel, message) => got.push([channel, message]));
      listener.on("pmessage", (pattern, channel, message) => got.push([pattern, channel, message]));
      assert.equal(await listener.subscribe("news", "sports"), 2);
      await listener.psubscribe("user:*");
      await redis.publish("news", "1");
      await redis.publish("user:7", "2");
      await until(() => got.length === 2, "two messages");
      assert.deepEqual(got, [["news", "1"], ["user:*", "user:7", "2"]]);
      assert.equal(await listener.unsubscribe("news", "sports"), 1);
    },
    async blocking() {
      const blocked = connect();
      const popped = blocked.brpop("high", "low", 10);
      await redis.lpush("low", "item");
      assert.deepEqual(await popped, ["low", "item"]);
      const moved = blocked.blmove("{q}from", "{q}to", "LEFT", "RIGHT", 10);
      await redis.rpush("{q}from", "x");
      assert.equal(await moved, "x");
      const smallest = blocked.bzpopmin("z1", "z2", 10);
      await redis.zadd("z2", 5, "m");
      assert.deepEqual(await smallest, ["z2", "m", "5"]);
    },
    async stream() {
      const reader = connect();
      const read = reader.xread("BLOCK", 10000, "STREAMS", "events", "$");
      await until(async () => /flags=b .*cmd=xread/.test(await redis.client("LIST")), "a reader");
      const id = await redis.xadd("events", "*", "field", "value");
      assert.deepEqual(await read, [["events", [[id, ["field", "value"]]]]]);
    },
    async scan() {
      const found = new Set();
      for await (const keys of redis.scanStream({ match: "key:*", count: 20 })) {
        keys.forEach((key) => found.add(key));
      }
      assert.equal(found.size, 100);
    },
    async "auto-pipelining"() {
      const client = connect({ enableAutoPipelining: true });
      const answers = await Promise.all([...Array(500).keys()].map((n) => client.incr(`c:${n % 7}`)));
      assert.equal(answers.length, 500);
      assert.equal(await client.get("c:0"), "72");
    },
    async reconnect() {
      const client = connect();
      await client.set("kept", "1");
      client.disconnect(true);
      assert.equal(await client.get("kept"), "1");
    },
  },
  async () => [redis, ...others].forEach((client) => client.disconnect()),
);
