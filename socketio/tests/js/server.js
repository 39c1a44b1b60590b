// Starts the conformance example on a free port, and small helpers that the tests share.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { WebSocket } from "ws";

const PROGRAM = process.env.CONFORMANCE;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer().listen(port, "127.0.0.1");
    try {
      await once(probe, "listening");
      probe.close();
      return port;
    } catch {
      // Taken: another.
    }
  }
}

/** Starts an application of the example; `stop` ends it, `kill` as a crash would. */
export async function start(app, { port, workers = 2 } = {}) {
  port ??= await freePort();
  const child = spawn(PROGRAM, ["--port", port, "--app", app, "--workers", workers], { stdio: "inherit" });
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; ; tries++) {
    try {
      await fetch(url);
      break;
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(20);
    }
  }
  const end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  };
  /** Its memory, in bytes; 0 where the system does not tell. */
  const memory = () => {
    try {
      return 1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]);
    } catch {
      return 0;
    }
  };
  return { url, port, memory, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
}

/** A raw WebSocket whose messages, and end, are awaited one by one. */
export function raw(url, options = {}) {
  const socket = new WebSocket(url.replace("http", "ws"), options);
  const queue = [];
  const waiting = [];
  const push = (item) => (waiting.length ? waiting.shift()(item) : queue.push(item));
  socket.on("message", (data, binary) => push(binary ? data : data.toString()));
  socket.on("close", (code) => push({ closed: code }));
  socket.on("unexpected-response", (_, response) => push({ refused: response.statusCode }));
  socket.on("error", () => {});
  const next = () =>
    queue.length ? Promise.resolve(queue.shift()) : new Promise((resolve) => waiting.push(resolve));
  /** The next message that is no ping. */
  const say = async () => {
    for (;;) {
      const item = await next();
      if (item !== "2") return item;
    }
  };
  const opened = once(socket, "open");
  opened.catch(() => {});
  return { socket, next, say, opened, send: (data) => socket.send(data), close: () => socket.close() };
}
