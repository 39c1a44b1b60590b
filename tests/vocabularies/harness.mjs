// A server on the database that the test was given, the shop's backend, and people with real socket.io-client sockets.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';

const SECRET = 'a-jwt-secret-for-tests-only-0123456789';
const KEY = 'a-server-key-for-tests-only-0123456789';
const READY_MS = 20_000;
/** How long anything that is to happen may take. */
export const SOON_MS = 5_000;
/** How long is waited for what is not to happen. */
export const QUIET_MS = 300;

export { assert, sleep };

/** Every server that a test file started; ended when the file is done. */
const servers = new Set();

export class Server {
  #child;
  #folder;
  #output = '';
  #env;

  /** Starts the binary on the test's database. `env` adds settings. */
  static async start(env = {}) {
    const server = new Server();
    server.#env = env;
    server.#folder = await mkdtemp(join(tmpdir(), 'haggle-vocabulary-'));
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    await server.up();
    servers.add(server);
    return server;
  }

  async up() {
    this.#child = spawn(process.env.HAGGLE_BIN, ['serve'], {
      cwd: this.#folder,
      env: {
        PATH: process.env.PATH,
        HAGGLE_HOST: '127.0.0.1',
        HAGGLE_PORT: String(this.port),
        HAGGLE_DATABASE_URL: process.env.TEST_DATABASE_URL,
        HAGGLE_JWT_SECRET: SECRET,
        HAGGLE_SERVER_KEY: KEY,
        ...this.#env,
      },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (text) => (this.#output += text));
    const deadline = Date.now() + READY_MS;
    while (Date.now() < deadline && this.#child.exitCode === null) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      if (answer?.ok) return;
      await sleep(25);
    }
    throw new Error(`The server did not become ready:\n${this.#output}`);
  }

  /** What it has written. */
  get output() {
    return this.#output;
  }

  async down(signal = 'SIGTERM') {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  async remove() {
    await this.down('SIGKILL');
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** A call with a token or key. `body` makes it a POST unless `method` says otherwise. Answers with status and JSON. */
  async call(path, { token, body, method = body === undefined ? 'GET' : 'POST', headers = {} } = {}) {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
  }

  /** A provisioning call of the shop's backend, which must succeed. */
  async shop(method, path, body) {
    const answer = await this.call(path, { token: KEY, method, body });
    assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  user(id, fields = {}) {
    return this.shop('PUT', `/v1/users/${encodeURIComponent(id)}`, fields);
  }

  conversation(key, participants, more = {}) {
    const named = participants.map((one) => (typeof one === 'string' ? { user_id: one } : one));
    return this.shop('PUT', `/v1/conversations/${encodeURIComponent(key)}`, { participants: named, ...more });
  }

  subject(kind, id, fields = {}) {
    return this.shop('PUT', `/v1/subjects/${kind}/${encodeURIComponent(id)}`, fields);
  }

  /** A socket that records all it hears; connected unless `wait` is false. */
  async connect(namespace, token, { wait = true, ...options } = {}) {
    const socket = new Client(this.url, namespace, token, options);
    if (wait) await socket.connected();
    return socket;
  }
}

/** One device of somebody's. */
export class Client {
  #heard = [];
  #waiting = [];

  constructor(url, namespace, token, options = {}) {
    this.io = io(url + namespace, {
      auth: { token },
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
      transports: ['websocket'],
      ...options,
    });
    this.io.onAny((name, ...args) => {
      this.#heard.push({ name, args, payload: args[0] });
      this.#waiting = this.#waiting.filter((look) => !look());
    });
    clients.add(this.io);
  }

  async connected() {
    if (this.io.connected) return;
    await new Promise((resolve, reject) => {
      this.io.once('connect', resolve);
      this.io.once('connect_error', reject);
    });
  }

  /** Why it may not connect. */
  async refused() {
    return new Promise((resolve, reject) => {
      this.io.once('connect_error', resolve);
      this.io.once('connect', () => reject(new Error('it was let in')));
    });
  }

  /** All it has heard and nobody has asked for yet. */
  get heard() {
    return this.#heard;
  }

  /** The next event of this name, taken out of what was heard; those before it stay. */
  async next(name, matches = () => true) {
    const take = () => {
      const at = this.#heard.findIndex((event) => event.name === name && matches(event.payload));
      return at < 0 ? null : this.#heard.splice(at, 1)[0].payload;
    };
    const there = take();
    if (there !== null) return there;
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`no ${name} came; heard: ${JSON.stringify(this.#heard.map(({ name: n, payload }) => [n, payload]))}`)),
        SOON_MS,
      );
      this.#waiting.push(() => {
        const found = take();
        if (found === null) return false;
        clearTimeout(late);
        resolve(found);
        return true;
      });
    });
  }

  /** Hears nothing of this name for a while. */
  async silent(name, matches = () => true) {
    await sleep(QUIET_MS);
    const heard = this.#heard.filter((event) => event.name === name && matches(event.payload));
    assert.deepEqual(heard, [], `${name} was heard and should not have been`);
  }

  /** Forgets what was heard. */
  forget() {
    this.#heard.length = 0;
  }

  emit(name, ...args) {
    this.io.emit(name, ...args);
  }

  /** Emits and awaits the acknowledgement. */
  ask(name, ...args) {
    return this.io.timeout(SOON_MS).emitWithAck(name, ...args);
  }

  /** Loses the connection as a phone in a tunnel does: no goodbye. */
  cut() {
    const transport = this.io.io.engine.transport;
    if (transport.ws) transport.ws.terminate?.() ?? transport.ws.close();
    else this.io.io.engine.close();
  }

  close() {
    this.io.disconnect();
  }
}

const clients = new Set();

/** A token as the shop's backend signs them. */
export function token(sub, claims = {}) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub, exp: now + 3600, ...claims })}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

/** A time as the contract writes it. */
export function assertTime(text) {
  assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
}

/** Ends everything that the file started; call it in `after`. */
export async function cleanUp() {
  for (const socket of clients) socket.disconnect();
  for (const server of servers) await server.remove();
}

// Above it the system gives out ports by itself.
async function freePort() {
  for (;;) {
    const port = randomInt(20_000, 32_768);
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
