CREATE TABLE app_user (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT,
    role TEXT,
    token_name TEXT,
    token_role TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    last_seen_at_ms INTEGER,
    created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE subject (
    kind TEXT NOT NULL CHECK (kind IN ('item', 'book', 'order', 'product')),
    id TEXT NOT NULL,
    title TEXT,
    owner_id TEXT REFERENCES app_user (id),
    url TEXT,
    image_url TEXT,
    PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    "key" TEXT UNIQUE,
    kind TEXT NOT NULL,
    title TEXT,
    subject_kind TEXT,
    subject_id TEXT,
    pair_key TEXT UNIQUE,
    last_seq INTEGER NOT NULL DEFAULT 0 CHECK (last_seq >= 0),
    active_at_ms INTEGER NOT NULL,
    participant_count INTEGER NOT NULL DEFAULT 0,
    created_at_ms INTEGER NOT NULL,
    CHECK ((subject_kind IS NULL) = (subject_id IS NULL)),
    FOREIGN KEY (subject_kind, subject_id) REFERENCES subject (kind, id)
) STRICT;

CREATE TABLE participant (
    conversation_id INTEGER NOT NULL REFERENCES conversation (id),
    user_id TEXT NOT NULL REFERENCES app_user (id),
    role TEXT NOT NULL DEFAULT '',
    received_seq INTEGER NOT NULL,
    read_seq INTEGER NOT NULL CHECK (read_seq >= 0),
    joined_at_ms INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id),
    CHECK (read_seq <= received_seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX participant_user ON participant (user_id);

CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL REFERENCES conversation (id),
    seq INTEGER NOT NULL CHECK (seq > 0),
    sender_id TEXT NOT NULL REFERENCES app_user (id),
    client_id TEXT,
    body TEXT NOT NULL,
    kind TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    UNIQUE (conversation_id, seq)
) STRICT;
CREATE UNIQUE INDEX message_client ON message (conversation_id, sender_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX message_sender ON message (conversation_id, sender_id, seq);

-- The next place is the only one that can be taken, and taking it moves last_seq: a gap cannot be written. What exists
-- is looked for as well, because INSERT OR REPLACE would delete it past every trigger.
CREATE TRIGGER message_next BEFORE INSERT ON message
WHEN new.seq IS NOT (SELECT last_seq + 1 FROM conversation WHERE id = new.conversation_id)
  OR EXISTS (SELECT 1 FROM message WHERE id = new.id)
  OR (new.client_id IS NOT NULL AND EXISTS (SELECT 1 FROM message WHERE conversation_id = new.conversation_id
      AND sender_id = new.sender_id AND client_id = new.client_id))
BEGIN SELECT RAISE(ABORT, 'haggle: seq must go on without a gap, and a client id is used once'); END;

CREATE TRIGGER message_inserted AFTER INSERT ON message
BEGIN
    UPDATE conversation SET last_seq = new.seq, active_at_ms = max(active_at_ms, new.created_at_ms)
    WHERE id = new.conversation_id;
END;

CREATE TRIGGER message_fixed BEFORE UPDATE ON message
WHEN old.id IS NOT new.id OR old.conversation_id IS NOT new.conversation_id OR old.seq IS NOT new.seq
  OR old.sender_id IS NOT new.sender_id OR old.client_id IS NOT new.client_id
BEGIN SELECT RAISE(ABORT, 'haggle: a message keeps its place, sender and client id'); END;

CREATE TRIGGER message_kept BEFORE DELETE ON message
BEGIN SELECT RAISE(ABORT, 'haggle: messages are never deleted: that would leave a gap'); END;

CREATE TRIGGER conversation_begun BEFORE INSERT ON conversation WHEN new.last_seq <> 0
BEGIN SELECT RAISE(ABORT, 'haggle: a conversation begins with last_seq 0'); END;

CREATE TRIGGER conversation_fixed BEFORE UPDATE ON conversation
WHEN old.id <> new.id OR old.last_seq > new.last_seq
BEGIN SELECT RAISE(ABORT, 'haggle: a conversation keeps its id, and last_seq never falls'); END;

CREATE TRIGGER conversation_updated AFTER UPDATE OF last_seq ON conversation
WHEN new.last_seq <> COALESCE((SELECT max(seq) FROM message WHERE conversation_id = new.id), 0)
BEGIN SELECT RAISE(ABORT, 'haggle: last_seq must be the place of the newest message'); END;

CREATE TRIGGER conversation_kept BEFORE DELETE ON conversation WHEN old.last_seq > 0
BEGIN SELECT RAISE(ABORT, 'haggle: a conversation with messages is never deleted'); END;

CREATE TRIGGER participant_fixed BEFORE UPDATE ON participant
WHEN old.conversation_id <> new.conversation_id OR old.user_id <> new.user_id
  OR old.received_seq > new.received_seq OR old.read_seq > new.read_seq
BEGIN SELECT RAISE(ABORT, 'haggle: a cursor never falls, and a seat is not handed over'); END;

CREATE TRIGGER app_user_fixed BEFORE UPDATE ON app_user WHEN old.id <> new.id
BEGIN SELECT RAISE(ABORT, 'haggle: a user keeps their id'); END;

CREATE TRIGGER app_user_kept BEFORE DELETE ON app_user
BEGIN SELECT RAISE(ABORT, 'haggle: users are never deleted: suspend them'); END;
