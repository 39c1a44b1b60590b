// Socket.IO, revision 5, byte by byte: what a client would notice.

import { after, before, describe, it } from "node:test";
import assert from "node:assert/strict";
import { connect } from "node:net";
import { raw, sleep, start } from "./server.js";

let server;
before(async () => (server = await start("socket")));
after(() => server.stop());

async function open() {
  const socket = raw(`${server.url}/socket.io/?EIO=4&transport=websocket`);
  assert.match(await socket.next(), /^0\{/);
  return socket;
}

async function connected() {
  const socket = await open();
  socket.send("40");
  assert.match(await socket.say(), /^40\{"sid":"[\w-]{20}"\}$/);
  assert.equal(await socket.say(), '42["auth",{}]');
  return socket;
}

describe("connect", () => {
  for (const [sent, namespace, auth] of [
    ["40", "", "{}"],
    ["40/,", "", "{}"],
    ['40{"token":"123"}', "", '{"token":"123"}'],
    ["40/custom", "/custom,", "{}"],
    ["40/custom,", "/custom,", "{}"],
    ['40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}'],
  ]) {
    it(`joins by ${sent}`, async () => {
      const socket = await open();
      socket.send(sent);
      const answer = await socket.say();
      assert.ok(answer.startsWith(`40${namespace}{`), answer);
      assert.deepEqual(Object.keys(JSON.parse(answer.slice(2 + namespace.length))), ["sid"]);
      assert.equal(await socket.say(), `42${namespace}["auth",${auth}]`);
      socket.close();
    });
  }

  it("answers by itself, so that whoever listens from then on hears the first event", async () => {
    const socket = connect(server.port, "127.0.0.1");
    const chunks = [];
    socket.on("data", (chunk) => chunks.push(chunk.toString("latin1")));
    socket.write(
      "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    await sleep(50);
    // 40, masked with zeros.
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x34, 0x30]));
    await sleep(100);
    const answer = chunks.findIndex((chunk) => chunk.includes('40{"sid"'));
    assert.ok(answer >= 0 && !chunks[answer].includes("42["), chunks.join("|"));
    assert.ok(chunks[answer + 1].includes('42["auth",{}]'), chunks.join("|"));
    socket.destroy();
  });

  it("refuses an unknown namespace and stays", async () => {
    const socket = await open();
    for (let round = 0; round < 100; round++) {
      socket.send(`40/random${round}`);
      assert.equal(await socket.say(), `44/random${round},{"message":"Invalid namespace"}`);
    }
    socket.send("40");
    assert.match(await socket.say(), /^40/);
    socket.close();
  });

  it("closes when nobody joins in time", async () => {
    const socket = await open();
    const started = Date.now();
    const pong = setInterval(() => socket.send("3"), 250);
    assert.deepEqual(await socket.say(), { closed: 1005 });
    clearInterval(pong);
    assert.ok(Date.now() - started > 900);
  });
});

describe("disconnect", () => {
  it("leaves one namespace and stays in the other", async () => {
    const socket = await connected();
    socket.send("40/custom");
    assert.match(await socket.say(), /^40\/custom,/);
    assert.equal(await socket.say(), '42/custom,["auth",{}]');
    socket.send("41/custom");
    socket.send('42["message","still here"]');
    assert.equal(await socket.say(), '42["message-back","still here"]');
    socket.send("40/custom,");
    assert.match(await socket.say(), /^40\/custom,/);
    socket.close();
  });

  it("keeps the connection of a client that has left its last namespace", async () => {
    const socket = await connected();
    socket.send("41");
    assert.equal(await socket.next(), "2");
    socket.close();
  });
});

describe("message", () => {
  it("carries JSON as it is", async () => {
    const socket = await connected();
    for (const args of ['1,"2",{"3":[true]}', '"\\u0000 \\ud83d\\ude00"', "null,1e400,-0.0", ""]) {
      socket.send(`42["message"${args && ","}${args}]`);
      assert.equal(await socket.say(), `42["message-back"${args && ","}${args}]`);
    }
    socket.close();
  });

  it("carries attachments", async () => {
    const socket = await connected();
    const args = '{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}';
    socket.send(`452-["message",${args}]`);
    socket.send(Buffer.from([1, 2, 3]));
    socket.send(Buffer.from([4, 5, 6]));
    assert.equal(await socket.say(), `452-["message-back",${args}]`);
    assert.deepEqual(await socket.say(), Buffer.from([1, 2, 3]));
    assert.deepEqual(await socket.say(), Buffer.from([4, 5, 6]));
    socket.close();
  });

  it("acknowledges, with attachments too", async () => {
    const socket = await connected();
    socket.send('42456["message-with-ack",1,"2",{"3":[false]}]');
    assert.equal(await socket.say(), '43456[1,"2",{"3":[false]}]');
    socket.send('451-789["message-with-ack",{"_placeholder":true,"num":0}]');
    socket.send(Buffer.from([7]));
    assert.equal(await socket.say(), '461-789[{"_placeholder":true,"num":0}]');
    assert.deepEqual(await socket.say(), Buffer.from([7]));
    socket.close();
  });

  it("lets pass what Node lets pass", async () => {
    const socket = await connected();
    for (const odd of ["42", "427", "430[]", "43", '42[1,"a"]', '42["nobody"]', "4399[]"]) socket.send(odd);
    socket.send('42["message"]');
    assert.equal(await socket.say(), '42["message-back"]');
    socket.close();
  });
});

describe("what breaks the protocol closes the connection", () => {
  const deep = "[".repeat(400_000) + "]".repeat(400_000);
  for (const [what, packet] of Object.entries({
    "no packet type": "4abc",
    "nothing at all": "4",
    "a second CONNECT": "40",
    "an event for a namespace one is not in": '42/custom,["message"]',
    "leaving a namespace one is not in": "41/custom,",
    "a refusal": '44{"message":"no"}',
    "CONNECT with an array": "40/custom,[]",
    "an event that is an object": "42{}",
    "an event without a name": "42[]",
    "a name that is null": "42[null]",
    "a name that is an object": '42[{"toString":"foo"}]',
    "a reserved name": '42["disconnecting"]',
    "another reserved name": '42["newListener"]',
    "broken JSON": '42["message",',
    "no attachments announced": '450-["message"]',
    "eleven attachments announced": '4511-["message"]',
    "megabytes of digits": "45" + "9".repeat(900_000) + '-["message"]',
    "megabytes of id": "42" + "9".repeat(900_000) + '["message"]',
    "a placeholder out of range": '451-["message",{"_placeholder":true,"num":1}]',
    "a placeholder with a string index": '451-["message",{"_placeholder":true,"num":"splice"}]',
    "deep JSON with attachments": `451-["message",${deep}]`,
    "text where an attachment was announced": ['451-["message",{"_placeholder":true,"num":0}]', '42["message"]'],
    "an attachment that was not announced": Buffer.from([1]),
  })) {
    it(what, async () => {
      const socket = await connected();
      for (const one of [packet].flat()) socket.send(one);
      assert.deepEqual(await socket.say(), { closed: 1005 });
    });
  }

  it("attachments that never come", async () => {
    const socket = await connected();
    socket.send('451-["message",{"_placeholder":true,"num":0}]');
    const pong = setInterval(() => socket.send("3"), 100);
    assert.deepEqual(await socket.say(), { closed: 1005 });
    clearInterval(pong);
  });

  it("deep JSON without attachments is only carried", async () => {
    const socket = await connected();
    socket.send(`42["message",${deep}]`);
    assert.equal(await socket.say(), `42["message-back",${deep}]`);
    socket.close();
  });

  it("and the server lives on", async () => {
    await sleep(50);
    (await connected()).close();
  });
});
