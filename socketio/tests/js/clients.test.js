// The official JavaScript clients, unmodified.

import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { io } from "socket.io-client";
import { Socket as Engine } from "engine.io-client";
import { sleep, start } from "./server.js";

let server;
const open = [];

function client(path = "", options = {}) {
  const socket = io(server.url + path, { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 100, ...options });
  open.push(socket);
  return socket;
}

const heard = (socket, name) => new Promise((resolve) => socket.once(name, (...args) => resolve(args)));

before(async () => (server = await start("client")));
after(async () => {
  for (const socket of open) socket.disconnect();
  await server.stop();
});

for (const [name, options] of Object.entries({
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: {},
})) {
  describe(`socket.io-client by ${name}`, () => {
    it("exchanges text, binary and acknowledgements", async () => {
      const socket = client("", options);
      await heard(socket, "connect");
      assert.deepEqual(await socket.timeout(2000).emitWithAck("echo", { a: [1, "é", null] }), { a: [1, "é", null] });
      socket.emit("hi");
      // Recovery is on: the last argument is the offset.
      assert.match((await heard(socket, "hi"))[0], /^[0-9a-f]+\.[0-9a-f]+$/);
      socket.emit("false");
      assert.equal((await heard(socket, "false"))[0], false);
      const utf8 = [];
      socket.on("takeUtf8", (text) => utf8.push(text));
      socket.emit("getUtf8");
      socket.emit("getDateObj");
      const [{ date }] = await heard(socket, "takeDateObj");
      assert.ok(Math.abs(Date.now() - new Date(date)) < 5_000, date);
      assert.deepEqual(utf8, ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]);
      socket.emit("doge");
      assert.equal((await heard(socket, "doge"))[0].toString(), "asdfasdf");
      socket.emit("buffa", Buffer.from("asdfasdf"));
      await heard(socket, "buffack");
      socket.emit("jsonbuff", { hello: "lol", message: Buffer.from("howdy"), goodbye: "gotcha" });
      await heard(socket, "jsonbuff-ack");
      socket.emit("abuff1", Buffer.from("a"));
      socket.emit("abuff2", "b");
      await heard(socket, "abuff2-ack");
      socket.on("ack", (answer) => answer(5, { test: true }));
      socket.emit("ack");
      await heard(socket, "got it");
      assert.equal(await socket.emitWithAck("getId"), socket.id);
      if (name === "upgrade") assert.equal(socket.io.engine.transport.name, "websocket");
    });

    it("keeps the order of 5,000 events, during the upgrade too", async () => {
      const socket = client("", options);
      const answers = await Promise.all(Array.from({ length: 5_000 }, (_, i) => socket.emitWithAck("echo", i)));
      assert.deepEqual(answers, Array.from({ length: 5_000 }, (_, i) => i));
    });

    it("joins several namespaces on one connection", async () => {
      const main = client("", options);
      const foo = main.io.socket("/foo");
      const [id, fooId] = await Promise.all([main.emitWithAck("getId"), foo.emitWithAck("getId")]);
      assert.notEqual(id, fooId);
      foo.disconnect();
      assert.equal(await main.emitWithAck("getId"), id);
    });

    it("hears why it may not join", async () => {
      const refusals = { "/no": "Auth failed (custom namespace)", "/random": "Invalid namespace", "/?fail=1": "Auth failed (main namespace)" };
      for (const [path, message] of Object.entries(refusals)) {
        const socket = client(path, options);
        assert.equal((await heard(socket, "connect_error"))[0].message, message);
        socket.disconnect();
      }
    });

    it("shows its handshake", async () => {
      const socket = client("/abc?key=value", { ...options, auth: { token: "t" }, extraHeaders: { "x-shop": "yes" } });
      const [handshake] = await heard(socket, "handshake");
      assert.equal(handshake.query.key, "value");
      assert.deepEqual(handshake.auth, { token: "t" });
      assert.equal(handshake.headers["x-shop"], "yes");
    });

    it("recovers after its connection broke", async () => {
      const socket = client("", options);
      await heard(socket, "connect");
      assert.equal(socket.recovered, false);
      const id = socket.id;
      // An event brings the first offset.
      socket.emit("hi");
      await heard(socket, "hi");
      socket.io.engine.close();
      await heard(socket, "connect");
      assert.equal(socket.recovered, true);
      assert.equal(socket.id, id);
      socket.disconnect();
      socket.connect();
      await heard(socket, "connect");
      assert.equal(socket.recovered, false);
      assert.notEqual(socket.id, id);
    });
  });
}

describe("socket.io-client", () => {
  it("comes back after the server was killed and started again", async () => {
    const own = await start("client");
    const sockets = ["polling", "websocket"].map((transport) =>
      io(own.url, { forceNew: true, transports: [transport], reconnectionDelay: 50, reconnectionDelayMax: 100 }),
    );
    open.push(...sockets);
    await Promise.all(sockets.map((socket) => heard(socket, "connect")));
    const gone = Promise.all(sockets.map((socket) => heard(socket, "disconnect")));
    await own.kill();
    for (const [reason] of await gone) assert.match(reason, /^transport (close|error)$/);
    const back = Promise.all(sockets.map((socket) => heard(socket, "connect")));
    const again = await start("client", { port: own.port });
    await back;
    for (const socket of sockets) {
      assert.equal(socket.recovered, false);
      assert.equal(await socket.emitWithAck("echo", 1), 1);
      socket.disconnect();
    }
    await again.stop();
  });
});

describe("engine.io-client", () => {
  let engine;
  before(async () => (engine = await start("engine-client")));
  after(() => engine.stop());

  for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
    it(`talks by ${transports.join(" and ")}`, async () => {
      const socket = new Engine(engine.url, { transports });
      socket.binaryType = "arraybuffer";
      const received = [];
      socket.on("message", (data) => received.push(data));
      await once(socket, "open");
      for (const message of ["give binary", "give utf8", "echo", new Uint8Array([9, 8]).buffer]) socket.send(message);
      while (received.length < 5) await sleep(10);
      assert.equal(received[0], "hi");
      assert.deepEqual(new Uint8Array(received[1]), Uint8Array.of(0, 1, 2, 3, 4));
      assert.deepEqual(received.slice(2, 4), ["пойду спать всем спокойной ночи", "echo"]);
      assert.deepEqual(new Uint8Array(received[4]), Uint8Array.of(9, 8));
      socket.close();
    });
  }

  it("sees a POST's headers, the cookies and a refusal", async () => {
    const socket = new Engine(engine.url, { transports: ["polling"], withCredentials: true, extraHeaders: { "x-shop": "yes" } });
    await once(socket, "open");
    socket.send("sendHeaders");
    let headers;
    socket.on("message", (data) => data.startsWith("{") && (headers = JSON.parse(data)));
    while (!headers) await sleep(10);
    assert.equal(headers["x-shop"], "yes");
    assert.equal(headers["content-type"], "text/plain;charset=UTF-8");
    socket.close();
    const answer = await fetch(`${engine.url}/engine.io/?EIO=4&transport=polling`);
    assert.equal(answer.headers.getSetCookie().length, 4);
    const denied = await fetch(`${engine.url}/engine.io/?EIO=4&transport=polling&deny=1`);
    assert.equal(denied.status, 403);
    assert.deepEqual(await denied.json(), { code: 4, message: "Forbidden" });
  });
});
