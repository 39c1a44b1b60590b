// A conversation in the client: order, resuming, sending once, cursors.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { FakeSocket } from './fake-socket.mjs';
import { admit, authenticate, client, CONVERSATION, heard, joined, message, pass, seqs, setUp, settle, tearDown } from './support.mjs';
import { BODY_MAX, bodyLength } from '../../web/js/haggle.js';

beforeEach(setUp);
afterEach(tearDown);

const alice = (seq, sent) => message(seq, { from: 'alice', body: sent.body, client_id: sent.client_id });

test('it begins with the newest page and joins after it', async () => {
  const { chat } = client();
  const order = chat.conversation('order:42');
  chat.connect();
  const socket = await authenticate();
  assert.deepEqual(socket.frames('history')[0], { id: 2, type: 'history', conversation: 'order:42', limit: 50 });
  socket.reply('history', { messages: [message(8), message(9)], has_more: true });
  await settle();
  assert.deepEqual(socket.frames('join')[0], { id: 3, type: 'join', conversation: 'order:42', after: 9, after_at: message(9).created_at });
  await admit(socket, 10);
  socket.say(heard(10));
  assert.deepEqual(seqs(order), [8, 9, 10]);
  assert.equal(order.id, CONVERSATION);
  assert.ok(order.hasOlder);
});

test('an empty conversation is joined after 0', async () => {
  const { socket } = await joined(0);
  assert.equal(socket.frames('join')[0].after, 0);
});

test('after a lost connection it joins after its last seq, and shows each message once', async () => {
  const { order, socket } = await joined(2);
  socket.say(heard(3));
  socket.drop();
  assert.equal(order.joined, false);
  await pass(250);
  const again = await authenticate();
  assert.equal(again.frames('history').length, 0);
  const join = await admit(again, 5);
  assert.equal(join.after, 3);
  for (const seq of [3, 4, 5, 5]) again.say(heard(seq));
  assert.deepEqual(seqs(order), [1, 2, 3, 4, 5]);
});

test('a reply that overtakes an earlier message does not make it resume too far', async () => {
  const { order, socket } = await joined(1);
  const sent = order.send('mine');
  socket.reply('send', { message: alice(3, sent) });
  await settle();
  assert.deepEqual(seqs(order), [1, 3]);
  socket.drop();
  await pass(250);
  const again = await authenticate();
  const join = await admit(again, 3);
  assert.equal(join.after, 1);
  again.say(heard(2));
  again.say(heard(3, { from: 'alice', body: 'mine', client_id: sent.client_id }));
  assert.deepEqual(seqs(order), [1, 2, 3]);
});

test('an overtaken message that does not come by itself is asked for', async () => {
  const { order, socket } = await joined(1);
  socket.say(heard(4));
  await pass(500);
  assert.deepEqual(socket.frames('history')[1], { id: 4, type: 'history', conversation: 7, after: 1, limit: 200 });
  socket.reply('history', { messages: [message(2), message(3), message(4)], has_more: false });
  await settle();
  assert.deepEqual(seqs(order), [1, 2, 3, 4]);
});

test('an overtaken message that comes by itself is not asked for', async () => {
  const { order, socket } = await joined(1);
  socket.say(heard(3));
  socket.say(heard(2));
  await pass(500);
  assert.equal(socket.frames('history').length, 1);
  assert.deepEqual(seqs(order), [1, 2, 3]);
});

test('messages that arrive in any order stand in the order of seq, each once', async () => {
  for (let round = 0; round < 50; round += 1) {
    FakeSocket.reset();
    const { chat, order, socket } = await joined(2);
    const arrivals = [3, 4, 5, 6, 7, 8, 3, 5, 8].map((seq, at) => ({ seq, key: (at * 7 + round * 13) % 11 + round % 3 * at }));
    arrivals.sort((a, b) => a.key - b.key);
    for (const { seq } of arrivals) socket.say(heard(seq));
    assert.deepEqual(seqs(order), [1, 2, 3, 4, 5, 6, 7, 8], `order ${arrivals.map(({ seq }) => seq)}`);
    chat.close();
  }
});

test('texts go out one at a time, in order, and leave pending when stored', async () => {
  const { order, socket } = await joined();
  const [first, second] = [order.send('one'), order.send('two')];
  assert.deepEqual(socket.frames('send').map(({ body }) => body), ['one']);
  assert.equal(socket.frames('send')[0].client_id, first.client_id);
  socket.reply('send', { message: alice(1, first) });
  await settle();
  assert.deepEqual(order.pending, [second]);
  socket.reply('send', { message: alice(2, second) });
  await settle();
  assert.deepEqual(order.messages.map(({ body }) => body), ['one', 'two']);
  assert.deepEqual(order.pending, []);
});

test('what is written offline is sent once, in order, when the connection is back', async () => {
  const { order, socket } = await joined();
  socket.drop();
  const sent = ['one', 'two', 'three'].map((body) => order.send(body));
  assert.equal(order.pending.length, 3);
  await pass(250);
  const again = await authenticate();
  assert.equal(again.frames('send').length, 0, 'nothing is sent before the conversation is joined');
  await admit(again, 0);
  for (const [at, one] of sent.entries()) {
    again.reply('send', { message: alice(at + 1, one) });
    await settle();
  }
  assert.deepEqual(again.frames('send').map(({ body }) => body), ['one', 'two', 'three']);
  assert.deepEqual(order.pending, []);
});

test('a send whose reply was lost is repeated with the same client_id and shown once', async () => {
  const { order, socket } = await joined();
  const sent = order.send('once');
  socket.drop();
  await pass(250);
  const again = await authenticate();
  await admit(again, 1);
  assert.equal(again.frames('send')[0].client_id, sent.client_id);
  again.say(heard(1, { from: 'alice', body: 'once', client_id: sent.client_id }));
  assert.deepEqual(order.pending, [], 'the replay says that it is stored');
  again.reply('send', { message: alice(1, sent) });
  await settle();
  await pass(60_000);
  assert.deepEqual(seqs(order), [1]);
  assert.equal(again.frames('send').length, 1);
});

test('unavailable means again, after the time it names, with the same client_id and before the next text', async () => {
  const { order, socket } = await joined();
  const first = order.send('one');
  order.send('two');
  socket.refuse('send', { code: 'unavailable', retry_after: 3 });
  await pass(2_999);
  assert.equal(socket.frames('send').length, 1);
  await pass(1);
  assert.deepEqual(socket.frames('send').map(({ client_id }) => client_id), [first.client_id, first.client_id]);
  assert.equal(order.pending[0].error, undefined);
});

test('a refused text stays, says why, lets the next one pass, and can be tried again or discarded', async () => {
  const { order, socket } = await joined();
  const bad = order.send('bad');
  const good = order.send('good');
  socket.refuse('send', { code: 'invalid' });
  await settle();
  assert.equal(order.pending[0].error.code, 'invalid');
  socket.reply('send', { message: alice(1, good) });
  await settle();
  order.retry(bad.client_id);
  assert.equal(socket.frames('send')[2].client_id, bad.client_id);
  socket.refuse('send', { code: 'invalid' });
  await settle();
  order.discard(bad.client_id);
  assert.deepEqual(order.pending, []);
});

test('texts that no server would take are refused before they are queued', async () => {
  const { order } = await joined();
  assert.throws(() => order.send(' \n '), { code: 'invalid' });
  assert.throws(() => order.send('x'.repeat(BODY_MAX + 1)), { code: 'too_large' });
  assert.equal(bodyLength(' 👍👍 '), 2);
  order.send('👍'.repeat(BODY_MAX));
  assert.equal(order.send('half \ud83d a pair').body, 'half \ufffd a pair');
});

test('a join refused for a moment is tried again, and one refused for good is told', async () => {
  const { chat } = client();
  const order = chat.conversation('order:42');
  const errors = [];
  order.on('error', ({ code }) => errors.push(code));
  chat.connect();
  const socket = await authenticate();
  socket.refuse('history', { code: 'unavailable' });
  await pass(1_000);
  assert.equal(socket.frames('history').length, 2);
  socket.refuse('history', { code: 'not_found' });
  await pass(60_000);
  assert.equal(socket.frames('history').length, 2);
  assert.deepEqual(errors, ['not_found']);
});

test('a server with another database starts the conversation over', async () => {
  const { order, socket } = await joined(9);
  order.send('keep me');
  socket.drop();
  await pass(250);
  const again = await authenticate();
  await admit(again, 2);
  assert.deepEqual(seqs(order), []);
  again.reply('history', { messages: [message(1), message(2)], has_more: false });
  await settle();
  assert.equal((await admit(again, 2)).after, 2);
  assert.deepEqual(seqs(order), [1, 2]);
  assert.equal(again.frames('send')[0].body, 'keep me');
});

test('a server whose database was restored, and has as much again, starts the conversation over too', async () => {
  const { order, socket } = await joined(2);
  socket.drop();
  await pass(250);
  const again = await authenticate();
  assert.equal(again.frames('join')[0].after_at, message(2).created_at);
  again.reply('join', { conversation: CONVERSATION, last_seq: 5, participants: [], reset: true });
  await settle();
  assert.deepEqual(seqs(order), []);
  again.reply('history', { messages: [1, 2, 3, 4, 5].map((seq) => message(seq, { body: `other ${seq}` })), has_more: false });
  await settle();
  await admit(again, 5);
  assert.deepEqual(order.messages.map(({ body }) => body), [1, 2, 3, 4, 5].map((seq) => `other ${seq}`));
});

test('older history stands before what is here', async () => {
  const { chat } = client();
  const order = chat.conversation(CONVERSATION);
  chat.connect();
  const socket = await authenticate();
  socket.reply('history', { messages: [message(51), message(52)], has_more: true });
  await settle();
  await admit(socket, 52);
  const [first] = [order.older(), order.older()];
  assert.equal(socket.frames('history').length, 2, 'asked once, however often it is wanted');
  assert.equal(socket.frames('history')[1].before, 51);
  socket.reply('history', { messages: [message(49), message(50)], has_more: false });
  await first;
  assert.deepEqual(seqs(order), [49, 50, 51, 52]);
  assert.equal(order.hasOlder, false);
  await order.older();
  assert.equal(socket.frames('history').length, 2);
});

test('messages of others are acknowledged together', async () => {
  const { socket } = await joined(1);
  socket.say(heard(2));
  socket.say(heard(3));
  await pass(150);
  assert.deepEqual(socket.frames('received'), [{ type: 'received', conversation: 7, seq: 3 }]);
});

test('unread counts what others write, until it is read', async () => {
  const { order, socket } = await joined(2);
  assert.equal(order.unread, 0);
  socket.say(heard(3));
  socket.say(heard(4, { from: 'alice' }));
  socket.say(heard(5));
  assert.equal(order.unread, 2);
  order.read();
  assert.equal(order.unread, 0);
  assert.equal(socket.reply('read', { unread: 0 }).seq, 5);
  order.read();
  assert.equal(socket.frames('read').length, 1, 'what is read need not be read again');
});

test('what the server counted on connecting is not counted again in the replay', async () => {
  const { order, socket } = await joined(2);
  socket.drop();
  await pass(250);
  const again = await authenticate();
  again.say({ type: 'unread', conversation: CONVERSATION, count: 4, total: 4 });
  await admit(again, 4);
  for (const seq of [3, 4]) again.say(heard(seq));
  assert.equal(order.unread, 4);
  again.say(heard(5));
  assert.equal(order.unread, 5);
});

test('what is read offline is told when the connection is back', async () => {
  const { order, socket } = await joined();
  socket.say(heard(1));
  socket.drop();
  order.read();
  await pass(250);
  const again = await authenticate();
  again.say({ type: 'unread', conversation: CONVERSATION, count: 1, total: 1 });
  await admit(again, 1);
  assert.equal(again.frames('read')[0].seq, 1);
  assert.equal(order.unread, 0);
});

test('a read that the server could not take is told again', async () => {
  const { order, socket } = await joined(1);
  order.read();
  socket.refuse('read', { code: 'unavailable' });
  await settle();
  socket.drop();
  await pass(250);
  const again = await authenticate();
  await admit(again, 1);
  assert.equal(again.frames('read')[0].seq, 1);
});

test('reading on another device of the same user clears the count here', async () => {
  const { order, socket } = await joined();
  socket.say(heard(1));
  socket.say(heard(2));
  socket.say({ type: 'read', conversation: CONVERSATION, user_id: 'alice', seq: 1 });
  assert.equal(order.unread, 1);
});

test('marks follow what everyone else has received and read, also across a reload', async () => {
  const { order, socket } = await joined();
  const sent = order.send('Hello');
  socket.reply('send', { message: alice(1, sent) });
  await settle();
  const mark = () => order.markOf(order.messages[0]);
  assert.equal(mark(), 'sent');
  socket.say({ type: 'received', conversation: CONVERSATION, user_id: 'bob', seq: 1 });
  assert.equal(mark(), 'received');
  socket.say({ type: 'read', conversation: CONVERSATION, user_id: 'bob', seq: 1 });
  assert.equal(mark(), 'read');
  socket.drop();
  await pass(250);
  await admit(await authenticate(), 1);
  assert.equal(mark(), 'read', 'a reply without cursors does not take back what was heard');
  FakeSocket.last.drop();
  await pass(500);
  await admit(await authenticate(), 1, [{ user_id: 'bob', received: 1, read: 1 }]);
  assert.equal(mark(), 'read');
});

test('typing is told at most every 3 s and stops by itself', async () => {
  const { order, socket } = await joined();
  const told = () => socket.frames('typing').map(({ on }) => on);
  for (let key = 0; key < 10; key += 1) order.typing(true);
  assert.deepEqual(told(), [true]);
  await pass(3_000);
  order.typing(true);
  assert.deepEqual(told(), [true, true]);
  await pass(4_000);
  assert.deepEqual(told(), [true, true, false]);
  order.typing(false);
  assert.deepEqual(told(), [true, true, false]);
});

test('typing of others shows, ends with their message, and does not outlive its server', async () => {
  const { order, socket } = await joined();
  const typing = { type: 'typing', conversation: CONVERSATION, user_id: 'bob', name: 'Bob', on: true };
  socket.say(typing);
  assert.deepEqual(order.typists, ['Bob']);
  assert.deepEqual(order.writers, [{ user_id: 'bob', name: 'Bob' }]);
  socket.say(heard(1));
  assert.deepEqual(order.typists, []);
  socket.say(typing);
  await pass(7_000);
  assert.deepEqual(order.typists, []);
  socket.say(typing);
  socket.drop();
  assert.deepEqual(order.typists, []);
});

test('presence of the others is kept', async () => {
  const { order, socket } = await joined();
  assert.equal(order.others[0].online, true);
  socket.say({ type: 'presence', user_id: 'bob', online: false, last_seen: '2026-01-01T11:59:00.000Z' });
  assert.equal(order.others[0].online, false);
  assert.equal(order.others[0].last_seen, '2026-01-01T11:59:00.000Z');
});

test('a faulty listener stops neither the others nor the connection', async () => {
  const { chat, order, socket } = await joined();
  const thrown = [];
  const handlers = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.once('uncaughtException', (error) => thrown.push(error.message));
  order.on('message', () => {
    throw new Error('faulty');
  });
  const bodies = [];
  const off = order.on('message', ({ message: { body } }) => bodies.push(body));
  socket.say(heard(1));
  await settle();
  for (const handler of handlers) process.on('uncaughtException', handler);
  off();
  assert.deepEqual([bodies, thrown, chat.state], [['text 1'], ['faulty'], 'live']);
});
