//! The map of Haggle: one core, many vocabularies, a few transports.
//!
//! Every client, whichever way it comes in, ends up as the same few plain [`protocol::Command`]s; everything that happens leaves as the
//! same few plain [`protocol::Event`]s. Keep that sentence true and the rest stays small.
//!
//! # What lives where, and who may import whom
//!
//! | room | lives there | imports of ours |
//! | --- | --- | --- |
//! | [`protocol`], [`error`] | what a chat is; the one error and its table of codes | nothing but each other |
//! | [`store`] | SeaORM reads and the batch write, on `entity` and `migration` | protocol, error |
//! | [`vocabulary`] | pure translation, and `Fanout`: an event encoded once for all who hear it | protocol, error |
//! | [`actor`] | sessions, rooms, presence, persistence, the directory | protocol, error, vocabulary's traits; persistence alone the store |
//! | [`chat`] | the front door that sockets and REST share | actor, store, protocol, error |
//! | [`auth`] | tokens in, claims out | protocol, error |
//! | [`transport`] | WebSocket, REST, pages; who may come in | chat, actor's session side, vocabulary, auth |
//! | [`app`] | puts it all together, runs it, takes it down | everything |
//! | [`defects`] | what test builds may break on purpose | nothing |
//! | [`config`], [`cli`], [`doctor`], [`telemetry`] | settings, command line, self-examination, logging | app |
//!
//! `tests/tidy.rs` keeps this table.
//!
//! # One message's journey
//!
//! 1. Bytes come in at `transport::websocket`: the guard looks at frame headers, the pump puts messages together.
//! 2. `vocabulary::native` decodes a [`protocol::Command`].
//! 3. [`actor::session`] knows who is calling, keeps their order, and begins it at the front door.
//! 4. [`chat`] checks the user's limits and puts it into its room's mailbox, by the [`actor::directory`]. REST enters here.
//! 5. [`actor::room`], on the thread of one of the HTTP server's workers, knows whether they may, and hands the message to its thread's
//!    [`actor::courier`], who carries it to the writer with what else the thread's rooms have to write.
//! 6. [`actor::persistence`] commits it with whatever else has gathered: from here on it is said.
//! 7. The room tells everyone, in the order of `seq`, by one `Fanout` encoded once a vocabulary, and answers the sender; a busy room in parts.
//! 8. Each session writes it to its bounded [`actor::outbox`], from where `transport::websocket`'s writer takes it to the socket.
//!
//! Nothing goes round it.

pub mod actor;
pub mod app;
pub mod auth;
pub mod chat;
pub mod cli;
pub mod config;
pub mod defects;
pub mod doctor;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod protocol;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod vocabulary;
