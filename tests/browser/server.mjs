// Starts the server under test in a folder of its own, kills it, and starts it again on the same database and port.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS = 20_000;
// Above it the system gives out ports by itself, and could take ours between two starts.
const PORTS = { first: 20_000, last: 32_767 };

export class Server {
  #binary;
  #folder;
  #child;
  #output = '';
  #env;

  /** Starts the binary for development. `env` adds settings. */
  static async start(binary, env = {}) {
    const server = new Server();
    server.#env = env;
    server.#binary = binary;
    server.#folder = await mkdtemp(join(tmpdir(), 'haggle-browser-'));
    server.port = await freePort();
    server.url = `http://127.0.0.1:${server.port}`;
    await server.up();
    return server;
  }

  async up() {
    this.#child = spawn(this.#binary, ['serve'], {
      cwd: this.#folder,
      env: {
        PATH: process.env.PATH,
        HAGGLE_MODE: 'development',
        HAGGLE_HOST: '127.0.0.1',
        HAGGLE_PORT: String(this.port),
        HAGGLE_DATABASE_URL: `sqlite://${join(this.#folder, 'haggle.db')}?mode=rwc`,
        ...this.#env,
      },
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (text) => (this.#output += text));
    await this.#ready();
  }

  async #ready() {
    const deadline = Date.now() + READY_MS;
    while (Date.now() < deadline && this.#child.exitCode === null) {
      const answer = await fetch(`${this.url}/readyz`).catch(() => null);
      if (answer?.ok) return;
      await sleep(50);
    }
    throw new Error(`The server did not become ready:\n${this.#output}`);
  }

  async kill(signal = 'SIGKILL') {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill(signal);
    await gone;
  }

  async remove() {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort() {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first + 1));
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) {
      probe.close();
      await once(probe, 'close');
      return port;
    }
  }
  throw new Error('No free port.');
}
