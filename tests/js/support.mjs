// What the tests of the browser client share: a clock that stands still, and the first steps of every connection.
import { mock } from 'node:test';
import { FakeSocket } from './fake-socket.mjs';
import { HaggleClient } from '../../web/js/haggle.js';

export const CONVERSATION = 7;

/** Runs what is due now, without moving the clock. */
export async function settle() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** Moves the clock and runs what falls due. */
export async function pass(milliseconds) {
  await settle();
  mock.timers.tick(milliseconds);
  await settle();
}

export function setUp() {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-01-01T12:00:00Z') });
  mock.method(Math, 'random', () => 0.5);
  globalThis.WebSocket = FakeSocket;
  FakeSocket.reset();
}

export function tearDown() {
  mock.timers.reset();
  mock.restoreAll();
}

export function message(seq, { from = 'bob', body = `text ${seq}`, client_id } = {}) {
  return {
    id: 1_000 + seq, seq, conversation: CONVERSATION, sender: { id: from, name: from }, body, kind: 'text', client_id,
    created_at: '2026-01-01T11:00:00.000Z',
  };
}

export function heard(seq, options) {
  return { type: 'message', conversation: CONVERSATION, message: message(seq, options) };
}

/** Alice's client; `tokens` is what her callback answers with, one after the other. */
export function client(tokens = ['token-1', 'token-2', 'token-3', 'token-4'], options = {}) {
  const left = [...tokens];
  const states = [];
  const chat = new HaggleClient({ url: 'ws://shop.test/ws', token: async () => left.shift() ?? null, ...options });
  chat.on('state', ({ state }) => states.push(state));
  return { chat, states, tokensLeft: left };
}

/** Opens the newest socket and lets Alice in. */
export async function authenticate() {
  await settle();
  FakeSocket.last.accept();
  FakeSocket.last.reply('auth', { user_id: 'alice', name: 'Alice', unread: 0 });
  await settle();
  return FakeSocket.last;
}

/** Answers `join` with `last` as the conversation's last `seq`. */
export async function admit(socket, last, marks = undefined) {
  const frame = socket.reply('join', {
    conversation: CONVERSATION,
    last_seq: last,
    participants: [
      { user_id: 'alice', name: 'Alice', role: 'buyer', online: true },
      { user_id: 'bob', name: 'Bob', role: 'seller', online: true },
    ],
    marks,
  });
  await settle();
  return frame;
}

/** A client that is live in a conversation which has `count` messages of Bob's. */
export async function joined(count = 0, options = {}) {
  const { chat, states, tokensLeft } = client(undefined, options);
  const order = chat.conversation('order:42');
  chat.connect();
  const socket = await authenticate();
  socket.reply('history', { messages: Array.from({ length: count }, (_, at) => message(at + 1)), has_more: false });
  await settle();
  await admit(socket, count);
  return { chat, order, socket, states, tokensLeft };
}

/** What the conversation shows, as `seq`s. */
export function seqs(order) {
  return order.messages.map(({ seq }) => seq);
}
