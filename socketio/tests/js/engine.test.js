// Engine.IO, revision 4, byte by byte: what a client would notice.

import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { connect } from "node:net";
import { gunzipSync, inflateSync } from "node:zlib";
import { request } from "node:http";
import { raw, sleep, start } from "./server.js";

let server, base;
before(async () => {
  server = await start("engine", { workers: 1 });
  base = `${server.url}/engine.io/?EIO=4`;
});
after(() => server.stop());

const poll = (sid) => fetch(`${base}&transport=polling&sid=${sid}`);
const post = (sid, body, options = {}) =>
  fetch(`${base}&transport=polling&sid=${sid}`, { method: "POST", body, ...options });
const polled = async (sid) => (await poll(sid)).text();

async function open() {
  const answer = await fetch(`${base}&transport=polling`);
  return JSON.parse((await answer.text()).slice(1)).sid;
}

async function openSocket(options) {
  const socket = raw(`${base}&transport=websocket`, options);
  const opened = JSON.parse((await socket.next()).slice(1));
  return { ...socket, sid: opened.sid };
}

async function upgraded() {
  const sid = await open();
  const socket = raw(`${base}&transport=websocket&sid=${sid}`);
  await socket.opened;
  socket.send("2probe");
  assert.equal(await socket.next(), "3probe");
  socket.send("5");
  return { ...socket, sid };
}

describe("handshake", () => {
  it("answers with exactly the five settings", async () => {
    const answer = await fetch(`${base}&transport=polling`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("cache-control"), "no-store");
    assert.equal(answer.headers.get("content-type"), "text/plain; charset=UTF-8");
    const { sid, ...rest } = JSON.parse((await answer.text()).slice(1));
    assert.match(sid, /^[\w-]{20}$/);
    assert.deepEqual(rest, { upgrades: ["websocket"], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
  });

  it("offers no upgrade on a WebSocket", async () => {
    const socket = raw(`${base}&transport=websocket`);
    const { sid, ...rest } = JSON.parse((await socket.next()).slice(1));
    assert.deepEqual(rest, { upgrades: [], pingInterval: 300, pingTimeout: 200, maxPayload: 1000000 });
    socket.close();
  });

  const refused = [
    ["GET", "?transport=polling", 5, "Unsupported protocol version"],
    ["GET", "?EIO=abc&transport=polling", 5, "Unsupported protocol version"],
    ["GET", "?EIO=3&transport=polling", 5, "Unsupported protocol version"],
    ["GET", "?EIO=4", 0, "Transport unknown"],
    ["GET", "?EIO=4&transport=abc", 0, "Transport unknown"],
    ["GET", "?EIO=4&transport=__proto__", 0, "Transport unknown"],
    ["GET", "?EIO=4&transport=constructor", 0, "Transport unknown"],
    ["POST", "?EIO=4&transport=polling", 2, "Bad handshake method"],
    ["PUT", "?EIO=4&transport=polling", 2, "Bad handshake method"],
    ["GET", "?EIO=4&transport=websocket", 3, "Bad request"],
    ["GET", "?EIO=4&transport=polling&sid=nobody", 1, "Session ID unknown"],
    ["GET", "?EIO=4&transport=polling&sid=__proto__", 1, "Session ID unknown"],
  ];
  for (const [method, query, code, message] of refused) {
    it(`refuses ${method} ${query}`, async () => {
      const answer = await fetch(`${server.url}/engine.io/${query}`, { method });
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get("content-type"), "application/json");
      assert.deepEqual(await answer.json(), { code, message });
    });
  }

  it("refuses a WebSocket with a bad query", async () => {
    for (const query of ["?transport=websocket", "?EIO=abc&transport=websocket", "?EIO=4", "?EIO=4&transport=abc"]) {
      assert.deepEqual(await raw(`${server.url}/engine.io/${query}`).next(), { refused: 400 });
    }
  });
});

describe("polling", () => {
  it("carries text and binary both ways, in order", async () => {
    const sid = await open();
    const answer = await post(sid, "4hello\x1ebAQIDBA==\x1e4é\x1e4");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("cache-control"), "no-store");
    assert.equal(await answer.text(), "ok");
    assert.equal(await polled(sid), "4hello\x1ebAQIDBA==\x1e4é\x1e4");
  });

  it("answers a waiting poll at once", async () => {
    const sid = await open();
    const waiting = polled(sid);
    await sleep(20);
    await post(sid, "4now");
    assert.equal(await waiting, "4now");
  });

  it("takes a chunked body", async () => {
    const sid = await open();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("4hel"));
        await sleep(20);
        controller.enqueue(new TextEncoder().encode("lo\x1e4you"));
        controller.close();
      },
    });
    assert.equal((await post(sid, body, { duplex: "half" })).status, 200);
    assert.equal(await polled(sid), "4hello\x1e4you");
  });

  it("closes the session when a packet is none", async () => {
    const sid = await open();
    assert.equal((await post(sid, "abc")).status, 400);
    assert.equal((await poll(sid)).status, 400);
  });

  it("closes the session on a second poll", async () => {
    const sid = await open();
    const first = poll(sid);
    await sleep(20);
    const second = await poll(sid);
    assert.equal(second.status, 400);
    assert.equal(await (await first).text(), "1");
    assert.equal((await poll(sid)).status, 400);
  });

  it("closes the session when a poll is cancelled", async () => {
    const sid = await open();
    const controller = new AbortController();
    fetch(`${base}&transport=polling&sid=${sid}`, { signal: controller.signal }).catch(() => {});
    await sleep(20);
    controller.abort();
    assert.equal((await poll(sid)).status, 400);
  });

  it("refuses a POST beside another", async () => {
    const sid = await open();
    const slow = request(`${base}&transport=polling&sid=${sid}`, { method: "POST", headers: { "content-length": 100 } });
    slow.on("error", () => {});
    slow.write("4a");
    await sleep(30);
    assert.equal((await post(sid, "4b")).status, 400);
    assert.equal((await poll(sid)).status, 400);
    slow.destroy();
  });

  it("refuses a body that is too large with 413 and nothing else, and lives on", async () => {
    const sid = await open();
    const answer = await post(sid, "4" + "a".repeat(1_000_000));
    assert.equal(answer.status, 413);
    assert.equal(await answer.text(), "");
    assert.equal((await post(sid, "4" + "a".repeat(999_999))).status, 200);
    assert.equal((await polled(sid)).length, 1_000_000);
  });

  it("refuses octet streams", async () => {
    const sid = await open();
    const headers = { "content-type": "application/octet-stream" };
    assert.equal((await post(sid, "4a", { headers })).status, 400);
    assert.equal((await poll(sid)).status, 400);
  });

  it("ends the waiting poll with a noop when the client closes", async () => {
    const sid = await open();
    const waiting = polled(sid);
    await sleep(20);
    const answer = await post(sid, "1");
    assert.equal(await waiting, "6");
    assert.deepEqual([answer.status, await answer.text()], [200, "ok"]);
    assert.equal((await poll(sid)).status, 400);
  });

  it("compresses long answers for those who ask", async () => {
    for (const [encoding, expand] of [["gzip", gunzipSync], ["deflate", inflateSync]]) {
      const sid = await open();
      await post(sid, "4" + "a".repeat(5_000));
      const answer = await new Promise((resolve) =>
        request(`${base}&transport=polling&sid=${sid}`, { headers: { "accept-encoding": encoding } }, resolve).end(),
      );
      assert.equal(answer.headers["content-encoding"], encoding);
      const body = Buffer.concat(await answer.toArray());
      assert.equal(expand(body).toString(), "4" + "a".repeat(5_000));
    }
  });

  it("refuses 500,000 packets in one POST", async () => {
    const sid = await open();
    assert.equal((await post(sid, "4\x1e".repeat(499_999) + "4")).status, 400);
    assert.equal((await poll(sid)).status, 400);
  });

  it("takes 20,000 packets in one POST", async () => {
    const sid = await open();
    assert.equal((await post(sid, Array(20_000).fill("4").join("\x1e"))).status, 200);
    assert.equal((await polled(sid)).split("\x1e").filter((packet) => packet === "4").length, 20_000);
  });
});

describe("heartbeat", () => {
  it("pings after the interval, not before", async () => {
    const started = Date.now();
    const sid = await open();
    for (let round = 0; round < 3; round++) {
      assert.equal(await polled(sid), "2");
      assert.ok(Date.now() - started > 290 * (round + 1), "too early");
      assert.equal((await post(sid, "3")).status, 200);
    }
    const socket = await openSocket();
    for (let round = 0; round < 3; round++) {
      assert.equal(await socket.next(), "2");
      socket.send("3");
    }
    socket.close();
  });

  it("closes a session that does not answer", async () => {
    const sid = await open();
    await sleep(500);
    assert.equal((await poll(sid)).status, 400);
    const socket = await openSocket();
    assert.equal(await socket.next(), "2");
    assert.deepEqual(await socket.next(), { closed: 1005 });
  });

  it("closes a session whose client pings", async () => {
    const socket = await openSocket();
    socket.send("2");
    assert.deepEqual(await socket.next(), { closed: 1005 });
  });
});

describe("WebSocket", () => {
  it("carries text and binary both ways, in order", async () => {
    const socket = await openSocket();
    socket.send("4hello");
    socket.send(Buffer.from([1, 2, 3, 4]));
    socket.send("4");
    assert.equal(await socket.next(), "4hello");
    assert.deepEqual(await socket.next(), Buffer.from([1, 2, 3, 4]));
    assert.equal(await socket.next(), "4");
    socket.close();
  });

  it("closes on what is no packet, and when asked to", async () => {
    for (const packet of ["abc", "", "1"]) {
      const socket = await openSocket();
      socket.send(packet);
      assert.deepEqual(await socket.next(), { closed: 1005 });
    }
  });

  it("answers a Close frame with its code", async () => {
    const socket = await openSocket();
    socket.socket.close(1000);
    assert.deepEqual(await socket.next(), { closed: 1000 });
  });

  it("says 1009 to a message that is too large", async () => {
    const socket = await openSocket();
    socket.send("4" + "a".repeat(1_000_000));
    assert.deepEqual(await socket.next(), { closed: 1009 });
    const other = await openSocket();
    other.send("4" + "a".repeat(999_999));
    assert.equal((await other.next()).length, 1_000_000);
    other.close();
  });

  const frames = [
    ["reserved bits", [0xc1, 0x81, 0, 0, 0, 0, 0x34], 1002],
    ["an unmasked frame", [0x81, 0x01, 0x34], 1002],
    ["a reserved opcode", [0x83, 0x80, 0, 0, 0, 0], 1002],
    ["a frame of 2^40 bytes", [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0], 1009],
    ["text that is not UTF-8", [0x81, 0x81, 0, 0, 0, 0, 0xff], 1007],
    ["200,000 fragments", null, 1009],
  ];
  for (const [what, bytes, code] of frames) {
    it(`says ${code} to ${what}`, async () => {
      const socket = connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(
        "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      );
      await sleep(30);
      socket.resume();
      let received = Buffer.alloc(0);
      socket.on("data", (chunk) => (received = Buffer.concat([received, chunk])));
      if (bytes) socket.write(Buffer.from(bytes));
      else {
        socket.write(Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x34]));
        socket.write(Buffer.concat(Array(200_000).fill(Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x61]))));
      }
      await sleep(200);
      const close = Buffer.from([0x88, 0x02, code >> 8, code & 0xff]);
      assert.ok(received.includes(close), received.toString("hex"));
      socket.destroy();
    });
  }
});

describe("upgrade", () => {
  it("takes over from polling", async () => {
    const sid = await open();
    const socket = raw(`${base}&transport=websocket&sid=${sid}`);
    await socket.opened;
    socket.send("2probe");
    assert.equal(await socket.next(), "3probe");
    assert.equal(await polled(sid), "6");
    socket.send("5");
    socket.send("4hello");
    assert.equal(await socket.next(), "4hello");
    socket.close();
  });

  it("leaves polls and other WebSockets outside", async () => {
    const socket = await upgraded();
    assert.equal((await poll(socket.sid)).status, 400);
    const other = raw(`${base}&transport=websocket&sid=${socket.sid}`);
    assert.deepEqual(await other.next(), { closed: 1005 });
    socket.send("4hello");
    assert.equal(await socket.next(), "4hello");
    socket.close();
  });

  it("lets polling go on when the upgrade breaks off", async () => {
    const sid = await open();
    const socket = raw(`${base}&transport=websocket&sid=${sid}`);
    await socket.opened;
    socket.send("4hello");
    assert.deepEqual(await socket.next(), { closed: 1005 });
    await post(sid, "4a");
    assert.equal(await polled(sid), "4a");
    const again = raw(`${base}&transport=websocket&sid=${sid}`);
    await again.opened;
    again.send("2probe");
    assert.equal(await again.next(), "3probe");
    again.close();
  });

  it("loses and swaps nothing that waits for the new transport", async () => {
    for (let round = 0; round < 10; round++) {
      const sid = await open();
      const socket = raw(`${base}&transport=websocket&sid=${sid}`);
      await socket.opened;
      await post(sid, Array.from({ length: 500 }, (_, i) => `4${i}`).join("\x1e"));
      socket.send("2probe");
      assert.equal(await socket.next(), "3probe");
      socket.send("5");
      for (let i = 500; i < 1000; i++) socket.send(`4${i}`);
      for (let i = 0; i < 1000; i++) assert.equal(await socket.say(), `4${i}`);
      socket.close();
    }
  });
});
