/**
 * What travels on `/ws`, as the server writes it. Types only: nothing here is loaded by a page.
 *
 * @typedef {object} Message
 * @property {number} id
 * @property {number} seq 1, 2, 3 … in its conversation without gaps: the order that everyone sees.
 * @property {number} conversation
 * @property {{id: string, name: string}} sender
 * @property {string} body Text, never HTML: show it with `textContent`.
 * @property {string} kind
 * @property {string} [client_id] What the sender's client named it.
 * @property {string} created_at ISO 8601, UTC.
 *
 * @typedef {object} Participant
 * @property {string} user_id
 * @property {string} name
 * @property {string} role The part in this conversation: `buyer`, `agent` …
 * @property {boolean} online
 * @property {string | null} [last_seen] ISO 8601; absent while unknown.
 * @property {number} [received_seq] The last `seq` that a device of theirs has heard.
 * @property {number} [read_seq] The last `seq` that they have read.
 *
 * @typedef {object} Marked How far a participant is, in the answer to `join`.
 * @property {string} user_id
 * @property {number} received
 * @property {number} read
 *
 * @typedef {object} Listed A conversation as the server lists it.
 * @property {number} id
 * @property {string | null} key
 * @property {string} kind
 * @property {string | null} title
 * @property {{kind: string, id: string, title: string | null} | null} subject
 * @property {Participant[]} participants 100 at most.
 * @property {Message | null} last_message
 * @property {number} unread
 * @property {string} created_at
 *
 * @typedef {object} Opening What to open a conversation with.
 * @property {{user_id: string}[]} participants The others: the caller is added.
 * @property {{kind: string, id: string}} [subject] `item`, `book`, `order` or `product`.
 * @property {string} [title]
 *
 * @typedef {object} User
 * @property {string} user_id
 * @property {string} name
 *
 * @typedef {object} Failure
 * @property {string} code `unauthorized`, `forbidden`, `not_found`, `invalid`, `too_large`, `rate_limited`,
 *   `unavailable` or `internal`.
 * @property {string} [message]
 * @property {number} [retry_after] Seconds.
 *
 * @typedef {{type: 'message', conversation: number, message: Message}} MessageEvent
 * @typedef {{type: 'typing', conversation: number, user_id: string, name: string, on: boolean}} TypingEvent
 * @typedef {{type: 'received', conversation: number, user_id: string, seq: number}} ReceivedEvent
 * @typedef {{type: 'read', conversation: number, user_id: string, seq: number}} ReadEvent
 * @typedef {{type: 'joined' | 'left', conversation: number, user_id: string, name: string}} MovedEvent
 * @typedef {{type: 'presence', user_id: string, online: boolean, last_seen: string | null}} PresenceEvent
 * @typedef {{type: 'unread', conversation: number, count: number, total: number}} UnreadEvent
 * @typedef {{type: 'bye', code: string, reason: string, reconnect: boolean, retry_after?: number}} ByeEvent
 *
 * @typedef {MessageEvent | TypingEvent | ReceivedEvent | ReadEvent | MovedEvent} ConversationEvent
 * @typedef {ConversationEvent | PresenceEvent | UnreadEvent | ByeEvent} ServerEvent
 *
 * @typedef {'connecting' | 'live' | 'offline' | 'refused'} State
 */

export {};
