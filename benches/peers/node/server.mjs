// The same chat with socket.io and pg, as their guides say is best: WebSocket alone, no compression, the native
// bufferutil, the handshake's request let go, a pool of 10, a named prepared statement.
//
// Reads PORT, JWT_SECRET and DATABASE_URL; without the last, messages go by without a database. NODE_PEER=naive is what
// one writes first: every INSERT is parsed and planned anew.
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import pg from "pg";
import { Server } from "socket.io";

const { PORT, JWT_SECRET, DATABASE_URL, NODE_PEER } = process.env;
const pool = DATABASE_URL ? new pg.Pool({ connectionString: DATABASE_URL, max: 10, min: 10 }) : undefined;
const name = NODE_PEER === "naive" ? undefined : "insert";
const text =
  "INSERT INTO message (conversation_id, seq, sender_id, body, kind, created_at_ms) " +
  "VALUES ($1, $2, $3, $4, 'text', $5) RETURNING id";

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false, perMessageDeflate: false });
io.engine.on("connection", (socket) => {
  socket.request = null;
});

io.use((socket, next) => {
  jwt.verify(socket.handshake.auth.token, JWT_SECRET, { algorithms: ["HS256"] }, (error, claims) => {
    if (error) {
      next(error);
    } else {
      socket.data.user = claims.sub;
      next();
    }
  });
});

const seqs = new Map();

io.on("connection", (socket) => {
  socket.on("join", ({ conversation }, acknowledge) => {
    socket.join(String(conversation));
    acknowledge({ ok: true });
  });
  socket.on("send", async ({ conversation, body }, acknowledge) => {
    try {
      const seq = (seqs.get(conversation) ?? 0) + 1;
      seqs.set(conversation, seq);
      const sender = socket.data.user;
      const created_at = Date.now();
      let id = seq;
      if (pool) {
        const { rows } = await pool.query({ name, text, values: [conversation, seq, sender, body, created_at] });
        id = Number(rows[0].id);
      }
      const message = { id, seq, conversation, sender, body, created_at };
      socket.to(String(conversation)).emit("message", message);
      acknowledge(message);
    } catch (error) {
      acknowledge({ error: error.message });
    }
  });
});

http.listen(Number(PORT), "127.0.0.1");
