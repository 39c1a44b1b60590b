// Clients that mean harm: whatever they do, again and again, the server's memory stays flat and another
// client does not notice. What they are told is in `engine.test.js` and `socket.test.js`.

import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { io } from "socket.io-client";
import { raw, sleep, start } from "./server.js";

/** Rounds before memory is looked at: buffers, pools and the allocator find their size. */
const FIRST = 4;
const MORE = 12;
/** What an allocator may keep of it, in bytes. Each attack sends a multiple of this. */
const GROWTH = 12 * 1024 * 1024;

const MEGABYTE = 990_000;

let server, base, neighbour;
before(async () => {
  // Of the example's applications the one with patience: its clients share this busy process.
  server = await start("client", { workers: 1 });
  base = `${server.url}/socket.io/?EIO=4`;
  neighbour = io(server.url, { transports: ["websocket"], reconnection: false });
  await once(neighbour, "connect");
});
after(async () => {
  neighbour.close();
  await server.stop();
});

const post = (sid, body, options = {}) =>
  fetch(`${base}&transport=polling&sid=${sid}`, { method: "POST", body, ...options });

async function open() {
  const answer = await fetch(`${base}&transport=polling`);
  return JSON.parse((await answer.text()).slice(1)).sid;
}

async function joined() {
  const socket = raw(`${base}&transport=websocket`);
  await socket.opened;
  socket.send("40");
  while (!(await socket.say()).startsWith("40")) {}
  return socket;
}

/** A raw connection that has opened a WebSocket. */
async function bare(sid = "") {
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    `GET /socket.io/?EIO=4&transport=websocket${sid && `&sid=${sid}`} HTTP/1.1\r\nHost: a\r\n` +
      "Connection: Upgrade\r\nUpgrade: websocket\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  await once(socket, "data");
  return socket;
}

/** The client says this, and is closed for it. */
const closedFor = async (...packets) => {
  const socket = await joined();
  for (const packet of packets) socket.send(packet);
  for (let heard; !heard?.closed; ) heard = await socket.say();
};

const frames = async (code, ...buffers) => {
  const socket = await bare();
  for (const buffer of buffers) socket.write(buffer);
  for (let told = false; !told; ) {
    const [heard] = await once(socket, "data");
    told = heard.includes(Buffer.from([0x88, 0x02, code >> 8, code & 0xff]));
  }
  socket.destroy();
};

const many = (count, one) => Promise.all(Array.from({ length: count }, (_, number) => one(number)));
const deep = "[".repeat(400_000) + "]".repeat(400_000);

const attacks = {
  "a guessed sid, 200 times": () =>
    many(200, async (number) => {
      const answer = await post(`guess${number}`, "4a");
      assert.deepEqual(await answer.json(), { code: 1, message: "Session ID unknown" });
    }),
  "a sid with another's token": () =>
    many(20, async () => {
      const opened = await fetch(`${base}&transport=polling`, { headers: { authorization: "Bearer alice" } });
      const { sid } = JSON.parse((await opened.text()).slice(1));
      const headers = { authorization: "Bearer bob" };
      assert.equal((await post(sid, "4a", { headers })).status, 403);
      assert.equal((await fetch(`${base}&transport=polling&sid=${sid}`, { headers })).status, 403);
      assert.equal((await fetch(`${base}&transport=__proto__&sid=${sid}`)).status, 400);
      assert.equal((await post(sid, "1", { headers: { authorization: "Bearer alice" } })).status, 200);
    }),
  "50 upgrades that never complete": () =>
    many(50, async () => {
      const socket = await bare(await open());
      // 2probe, masked with zeros.
      socket.write(Buffer.from([0x81, 0x86, 0, 0, 0, 0, ...Buffer.from("2probe")]));
      await once(socket, "data");
      socket.destroy();
    }),
  "500,000 packets in one POST": async () => {
    assert.equal((await post(await open(), "4\x1e".repeat(499_999) + "4")).status, 400);
  },
  "100 POSTs that declare and do not send": () =>
    many(100, async () => {
      const sid = await open();
      const socket = connect(server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write(
        `POST /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: a\r\nContent-Length: ${MEGABYTE}\r\n\r\n4`,
      );
      await sleep(20);
      socket.destroy();
    }),
  "a chunked POST without end": async () => {
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(
      `POST /socket.io/?EIO=4&transport=polling&sid=${await open()} HTTP/1.1\r\nHost: a\r\n` +
        "Transfer-Encoding: chunked\r\n\r\n",
    );
    const chunk = `10000\r\n${"a".repeat(65_536)}\r\n`;
    const answered = once(socket, "data");
    for (let sent = 0; sent < 40; sent++) socket.write(chunk);
    assert.match(String(await answered), /^HTTP\/1\.1 413/);
    socket.destroy();
  },
  "10,000 namespaces": async () => {
    const socket = await joined();
    let refused = 0;
    const all = (async () => {
      for (; refused < 10_000; refused++) assert.match(await socket.say(), /^44\/n/);
    })();
    for (let number = 0; number < 10_000; number++) socket.send(`40/n${number},`);
    await all;
    socket.close();
  },
  "attachments announced and never sent": () =>
    many(4, async () => {
      const socket = await joined();
      socket.send(`4510-["message",{"_placeholder":true,"num":0},"${"a".repeat(MEGABYTE)}"]`);
      await sleep(30);
      socket.close();
    }),
  "attachments of more than is allowed": () =>
    closedFor('4510-["message"]', ...Array(9).fill(Buffer.alloc(MEGABYTE))),
  "attachments that are none": async () => {
    await closedFor('450-["message"]');
    await closedFor('451-["message",{"_placeholder":true,"num":1}]');
    await closedFor('451-["message",{"_placeholder":true,"num":"splice"}]');
    await closedFor(`451-["message",${deep}]`);
  },
  "event names that are none": async () => {
    for (const name of ['{"toString":"foo"}', "null", "{}", "[]", '"disconnecting"', '"connect"']) {
      await closedFor(`42[${name}]`);
    }
    const socket = await joined();
    for (const odd of ["42[1]", '42["__proto__"]', '42["constructor",1]', '42["hasOwnProperty"]']) socket.send(odd);
    socket.send('421["echo",1]');
    assert.equal(await socket.say(), "431[1]");
    socket.close();
  },
  "megabytes of digits": async () => {
    await closedFor("42" + "9".repeat(MEGABYTE) + '["message"]');
    await closedFor("45" + "9".repeat(MEGABYTE) + '-["message"]');
    const socket = await joined();
    socket.send(`421["echo",${"9".repeat(MEGABYTE)}]`);
    socket.send('422["echo",2]');
    assert.equal(await socket.say(), "432[2]");
    socket.close();
  },
  "JSON 400,000 deep": async () => {
    const socket = await joined();
    socket.send(`421["nobody",${deep}]`);
    socket.send(`40/foo,{"a":${deep}}`);
    for (let heard; !heard?.closed; ) heard = await socket.say();
  },
  "frames that are none": async () => {
    await frames(1002, Buffer.from([0xc1, 0x81, 0, 0, 0, 0, 0x34]));
    await frames(1002, Buffer.from([0x81, 0x01, 0x34]));
    await frames(1009, Buffer.from([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0]), Buffer.alloc(MEGABYTE));
    const fragment = Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x61]);
    await frames(1009, Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x34]), Buffer.concat(Array(200_000).fill(fragment)));
  },
  "a flood of pings": async () => {
    const socket = await bare();
    const ping = Buffer.concat([Buffer.from([0x89, 0xfd, 0, 0, 0, 0]), Buffer.alloc(125)]);
    // Nothing is read: the answers cannot leave.
    socket.pause();
    for (let sent = 0; sent < 20; sent++) socket.write(Buffer.concat(Array(500).fill(ping)));
    await sleep(50);
    socket.destroy();
  },
  "an echo that is not read": () =>
    many(3, async () => {
      const socket = await joined();
      socket.socket.pause();
      const text = `421["echo","${"a".repeat(100_000)}"]`;
      for (let sent = 0; sent < 40; sent++) socket.send(text);
      await sleep(50);
      socket.socket.terminate();
    }),
};

describe("memory stays flat and a neighbour is served", () => {
  for (const [what, attack] of Object.entries(attacks)) {
    it(what, async () => {
      for (let round = 0; round < FIRST; round++) await attack();
      const before = server.memory();
      for (let round = 0; round < MORE; round++) await attack();
      const grown = server.memory() - before;
      assert.ok(grown < GROWTH, `${(grown / 1e6).toFixed(1)} MB more after ${MORE} rounds`);
      if (process.env.SHOW_MEMORY) console.log(what, (before / 1e6).toFixed(1), (grown / 1e6).toFixed(1));
      const answer = await neighbour.timeout(10_000).emitWithAck("echo", what);
      assert.equal(answer, what);
    });
  }
});

describe("what stays of a client that stays", () => {
  it("is its CONNECT packets, not the bodies that they came in", async () => {
    const polling = `${base}&transport=polling`;
    const stay = async () => {
      const sid = JSON.parse((await (await fetch(polling)).text()).slice(1)).sid;
      for (const namespace of ["/", "/foo", "/asd", "/valid"]) {
        // The rest of the body is a noop.
        const body = `40${namespace},{"user":"alice"}\x1e6${"a".repeat(MEGABYTE)}`;
        const answer = await fetch(`${polling}&sid=${sid}`, { method: "POST", body });
        assert.equal(answer.status, 200);
      }
    };
    for (let round = 0; round < 4; round++) await stay();
    const before = server.memory();
    for (let round = 0; round < 20; round++) await stay();
    const grown = server.memory() - before;
    assert.ok(grown < GROWTH, `${(grown / 1e6).toFixed(1)} MB more`);
  });
});
