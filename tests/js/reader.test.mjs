// What a client holds of a long conversation: a bound that always holds, nothing let go that is in sight, and no gap on the way back.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { admit, authenticate, client, CONVERSATION, heard, message, pass, seqs, setUp, settle, tearDown } from './support.mjs';
import { HELD_MAX } from '../../web/js/haggle/timeline.js';

beforeEach(setUp);
afterEach(tearDown);

/** A conversation of `total` messages, all the server's, and what asks it for pages. */
async function long(total) {
  const { chat } = client();
  const order = chat.conversation(CONVERSATION);
  chat.connect();
  const socket = await authenticate();
  let last = total;
  const answer = async () => {
    const frame = socket.frames('history').at(-1);
    const { before = Infinity, after = 0, limit } = frame;
    const all = Array.from({ length: last }, (_, at) => at + 1).filter((seq) => seq > after && seq < before);
    const page = 'after' in frame ? all.slice(0, limit) : all.slice(-limit);
    socket.reply('history', { messages: page.map((seq) => message(seq)), has_more: all.length > page.length });
    await settle();
  };
  await answer();
  await admit(socket, last);
  const go = async (reader, direction) => {
    const before = socket.frames('history').length;
    const done = reader[direction]();
    await settle();
    if (socket.frames('history').length > before) await answer();
    await done;
  };
  return { chat, order, socket, go, hear: (seq) => socket.say(heard((last = seq))) };
}

/** Fails where a message is missing between the first and the last, or there are too many. */
function whole(reader) {
  const held = seqs(reader);
  assert.ok(held.length <= HELD_MAX, `${held.length} are held`);
  assert.deepEqual(held, Array.from({ length: held.length }, (_, at) => held[0] + at));
}

test('going up to the first message and down again holds no more than the bound, leaves nothing out, and ends live', async () => {
  const { order, go, hear } = await long(3_000);
  while (order.hasOlder) {
    await go(order, 'older');
    whole(order);
  }
  assert.equal(order.messages[0].seq, 1);
  assert.equal(order.messages.length, HELD_MAX);
  assert.ok(order.hasNewer);
  hear(3_001);
  assert.equal(order.messages.at(-1).seq, HELD_MAX, 'what comes meanwhile is not put beside what it does not follow');
  assert.equal(order.newest.seq, 3_001);
  const passed = new Set(seqs(order));
  while (order.hasNewer) {
    await go(order, 'newer');
    whole(order);
    for (const seq of seqs(order)) passed.add(seq);
  }
  assert.equal(passed.size, 3_001);
  assert.ok(order.hasOlder);
  hear(3_002);
  assert.equal(order.messages.at(-1).seq, 3_002);
  whole(order);
});

test('back to the newest message is one step, without a question', async () => {
  const { order, socket, go } = await long(2_500);
  for (let page = 0; page < 30; page += 1) await go(order, 'older');
  const asked = socket.frames('history').length;
  order.latest();
  assert.equal(order.messages.at(-1).seq, 2_500);
  assert.equal(order.hasNewer, false);
  assert.equal(socket.frames('history').length, asked);
  await go(order, 'older');
  whole(order);
  for (let page = 0; page < 30; page += 1) await go(order, 'older');
  order.send('mine');
  assert.equal(order.messages.at(-1).seq, 2_500, 'whoever writes is at the newest');
});

test('new messages let go of nothing that is in sight, wherever that is', async () => {
  const { order, hear, go } = await long(1_200);
  const [top, middle, end] = [order.reader(), order.reader(), order.reader()];
  for (const reader of [top, middle]) while (reader.messages[0].seq > 201) await go(reader, 'older');
  top.shows(201, 260);
  middle.shows(1_000, 1_050);
  end.shows(1_160, Infinity);
  for (let seq = 1_201; seq <= 4_000; seq += 1) hear(seq);
  for (const reader of [top, middle, end]) whole(reader);
  assert.equal(top.messages[0].seq, 201);
  assert.equal(top.messages.length, HELD_MAX);
  assert.ok(seqs(middle).includes(1_000) && seqs(middle).includes(1_050));
  assert.equal(end.messages.at(-1).seq, 4_000);
  assert.deepEqual([top.hasNewer, middle.hasNewer, end.hasNewer], [true, true, false]);
  assert.equal(order.messages.at(-1).seq, 4_000, 'what nobody has led elsewhere stays with the newest');
  while (middle.hasNewer) {
    await go(middle, 'newer');
    whole(middle);
    middle.shows(middle.messages.at(-60).seq, middle.messages.at(-1).seq);
  }
  assert.equal(middle.messages.at(-1).seq, 4_000);
  assert.equal(top.messages[0].seq, 201, 'one reader moves no other');
  top.close();
  hear(4_001);
  assert.equal(top.messages.length, HELD_MAX);
});

test('a page that was under way while its place was let go is not put where it does not belong', async () => {
  const { order: held, socket, go, hear } = await long(2_000);
  const order = held.reader();
  while (order.messages[0].seq > 1_001) await go(order, 'older');
  order.shows(1_950, Infinity);
  const older = order.older();
  await settle();
  hear(2_001);
  socket.reply('history', { messages: Array.from({ length: 50 }, (_, at) => message(951 + at)), has_more: true });
  await older;
  whole(order);
  assert.ok(order.hasOlder);
  assert.equal(order.messages.at(-1).seq, 2_001);
});

test('what is unread is counted, also when it is more than is held', async () => {
  const { order, hear } = await long(10);
  for (let seq = 11; seq <= 2_510; seq += 1) hear(seq);
  assert.equal(order.unread, 2_500);
  order.read();
  assert.equal(order.unread, 0);
});

test('a gap that could not be filled is asked for again, later and later, until it is', async () => {
  const { order, socket } = await long(1);
  socket.say(heard(3));
  await pass(500);
  const asked = () => socket.frames('history').filter(({ after }) => after === 1).length;
  assert.equal(asked(), 1);
  for (const [at, wait] of [500, 1_000, 2_000].entries()) {
    socket.refuse('history', { code: 'internal' });
    await pass(wait - 1);
    assert.equal(asked(), at + 1);
    await pass(1);
    assert.equal(asked(), at + 2);
  }
  socket.refuse('history', { code: 'rate_limited', retry_after: 30 });
  await pass(30_000);
  assert.equal(asked(), 4);
  await pass(4_000);
  assert.equal(asked(), 5);
  socket.reply('history', { messages: [message(2), message(3)], has_more: false });
  await settle();
  assert.deepEqual(seqs(order), [1, 2, 3]);
  await pass(20_000);
  assert.equal(asked(), 5);
});
