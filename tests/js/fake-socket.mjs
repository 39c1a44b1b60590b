// A WebSocket whose server is the test: it sees what the client sends and says what the server would.
import assert from 'node:assert/strict';

export class FakeSocket {
  /** @type {FakeSocket[]} */
  static opened = [];

  /** The newest socket that the client has opened. */
  static get last() {
    return FakeSocket.opened.at(-1);
  }

  /** Whether the server says nothing by itself, as one does whose connection was cut. */
  static isMute = false;

  static reset() {
    FakeSocket.opened = [];
    FakeSocket.isMute = false;
  }

  sent = [];
  isClosed = false;
  #answered = new Set();

  constructor(url) {
    this.url = url;
    FakeSocket.opened.push(this);
  }

  send(text) {
    const frame = JSON.parse(text);
    this.sent.push(frame);
    // As the server has it: it knows no such type, and says so.
    if (frame.type === 'ping' && !FakeSocket.isMute) queueMicrotask(() => this.refuse('ping', { code: 'invalid' }));
  }

  close() {
    this.isClosed = true;
  }

  accept() {
    this.onopen?.({});
  }

  drop() {
    this.onclose?.({});
  }

  say(frame) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  /** Every frame of this type so far. */
  frames(type) {
    return this.sent.filter((frame) => frame.type === type);
  }

  /** Answers the oldest request of this type that has no answer yet, and hands it back. */
  reply(type, fields = {}) {
    const frame = this.#take(type);
    this.say({ id: frame.id, ok: true, ...fields });
    return frame;
  }

  refuse(type, error) {
    const frame = this.#take(type);
    this.say({ id: frame.id, ok: false, error: { message: error.code, ...error } });
    return frame;
  }

  #take(type) {
    const frame = this.sent.find((sent) => sent.type === type && !this.#answered.has(sent));
    assert.ok(frame, `The client has sent no ${type}; it sent ${JSON.stringify(this.sent)}`);
    this.#answered.add(frame);
    return frame;
  }
}
