//! The rules of the house, kept by a test: who may import whom, how long a file and a function may be, what every
//! file opens with, and what no file may hold. The rules are data; the reading of Rust is in `tidy/source.rs`.

mod source;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use source::Source;

/// The lines that a file may have.
const MAX_FILE_LINES: usize = 600;

/// The lines that a function may have, from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 70;

/// Folders that hold nothing of ours.
const FOREIGN_FOLDERS: &[&str] = &[".git", "target", "node_modules", "vendor", "venv"];

/// What one room of `src/` may import. The longest `path` that a file's path begins with is the one that counts.
struct Room {
    path: &'static str,
    /// Paths below `crate::`, several at once in braces; each lets in what is below it too. `*` lets in everything.
    ours: &'static [&'static str],
    /// Crates that must not be named.
    never: &'static [&'static str],
}

/// What the core never names: it is neither JSON nor HTTP nor SQL, nor made of actors.
const EDGE: &[&str] =
    &["actix", "actix_http", "actix_web", "actix_web_actors", "entity", "sea_orm", "serde", "serde_json"];

/// The table of HOUSE.md, `protocol` and `error` being one pair, and settings open to every room that acts on them. A
/// room that is missing here is refused: say what it may import first.
const ROOMS: &[Room] = &[
    Room { path: "protocol", ours: &["error"], never: EDGE },
    Room { path: "error", ours: &["protocol"], never: EDGE },
    Room { path: "defects", ours: &[], never: EDGE },
    Room { path: "store", ours: &["protocol", "error", "config", "defects"], never: &[] },
    Room { path: "vocabulary", ours: &["protocol", "error"], never: &["actix", "actix_web", "entity", "sea_orm"] },
    Room {
        path: "actor",
        ours: &["protocol", "error", "config", "defects", "vocabulary::{Fanout,Word}"],
        never: &["actix_web", "serde_json", "entity", "sea_orm"],
    },
    Room {
        path: "actor/session",
        ours: &[
            "protocol",
            "error",
            "config",
            "defects",
            "vocabulary::{Audience,Codec,Fanout,Hearer,Incoming,Request,Tag,Welcome,Word}",
        ],
        never: &["actix_web", "serde_json", "entity", "sea_orm"],
    },
    Room {
        path: "actor/persistence",
        ours: &["protocol", "error", "config", "defects", "vocabulary::Fanout", "store"],
        never: &["actix_web", "serde_json"],
    },
    Room {
        path: "actor/recovery",
        ours: &["protocol", "error", "config", "store"],
        never: &["actix_web", "serde_json"],
    },
    Room { path: "chat", ours: &["actor", "store", "protocol", "error", "config", "defects"], never: &["actix_web"] },
    Room {
        path: "transport",
        ours: &[
            "chat",
            "actor::{session,outbox,outlet,recovery,Control}",
            "vocabulary",
            "auth",
            "protocol",
            "error",
            "config",
        ],
        never: &["entity", "sea_orm"],
    },
    Room { path: "auth", ours: &["protocol", "error", "config"], never: &["entity", "sea_orm"] },
    Room { path: "config", ours: &["telemetry"], never: &["actix", "actix_web", "entity", "sea_orm"] },
    Room { path: "telemetry", ours: &[], never: EDGE },
    Room { path: "doctor", ours: &["config"], never: &["actix_web", "entity"] },
    Room {
        path: "cli",
        ours: &["app", "auth", "config", "doctor", "protocol", "telemetry"],
        never: &["entity", "sea_orm"],
    },
    Room { path: "app", ours: &["*"], never: &[] },
    // What only tests and cargo-fuzz build.
    Room { path: "fuzzing", ours: &["*"], never: &[] },
    Room { path: "lib", ours: &["*"], never: &[] },
    Room { path: "main", ours: &[], never: EDGE },
];

/// `actix-web-actors` is deprecated upstream and confined to the pumps.
const PUMPS: &[&str] = &["src/transport/websocket", "socketio/src/"];

/// Where `do_send`, which ignores a mailbox's bound, may stand: file, how often, and why no peer can fill a mailbox by
/// it.
const DO_SEND: &[(&str, usize, &str)] = &[
    (
        "src/actor/persistence.rs",
        2,
        "a room has a bounded number of jobs under way, and what is committed must be told",
    ),
    ("src/actor/courier.rs", 1, "it carries what the writer tells, as many as there are jobs under way"),
    ("src/actor/session/life.rs", 2, "one small message as a connection comes and one as it goes"),
    ("src/transport/socketio.rs", 2, "one message as a connection comes and one as it goes"),
    ("src/transport/websocket/pump.rs", 1, "one message a connection, by which its session ends"),
    ("src/app.rs", 1, "one message to each writer, as the server ends"),
    ("socketio/src/engine/session.rs", 1, "what the transport side tells its actor it tells a bounded number of times"),
];

/// What would tie the repository to one machine. In two pieces, so that this file may hold them.
const MACHINE: &[(&str, &str)] = &[
    ("/wo", "rk/"),
    ("/tmp/", "haggle"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("registry.", "npmjs.org"),
    ("index.", "crates.io"),
    ("static.", "crates.io"),
    ("pypi", ".org"),
    ("deb.", "debian.org"),
];

/// All that is wrong with one file, given by its path in the repository.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = machine(text);
    if [".rs", ".js", ".mjs"].iter().any(|ending| path.ends_with(ending)) {
        faults.extend(file_length(text));
    }
    if path.ends_with(".rs") {
        faults.extend(rust(path, text));
    }
    faults.into_iter().map(|fault| format!("{path}: {fault}")).collect()
}

fn machine(text: &str) -> Vec<String> {
    let needles = MACHINE.iter().map(|(one, other)| format!("{one}{other}"));
    let found = needles.filter(|needle| text.contains(needle));
    found.map(|needle| format!("holds `{needle}`, which ties it to one machine")).collect()
}

fn file_length(text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_FILE_LINES).then(|| format!("{lines} lines; past {MAX_FILE_LINES} it is two files"))
}

fn rust(path: &str, text: &str) -> Vec<String> {
    let source = match Source::read(text) {
        Ok(source) => source,
        Err(error) => return vec![format!("cannot be read as Rust: {error}")],
    };
    let mut faults = Vec::new();
    // A crate may open with its README; what lives where then follows it.
    let opening = text.strip_prefix("#![doc = include_str!(\"../README.md\")]\n").unwrap_or(text);
    if !opening.starts_with("//!") {
        faults.push("does not open with `//!`: say what lives here and what must not".to_owned());
    }
    faults.extend(source.functions.iter().filter(|function| function.lines > MAX_FUNCTION_LINES).map(|function| {
        format!(
            "line {}: {} has {} lines; past {MAX_FUNCTION_LINES} it is two",
            function.line, function.name, function.lines
        )
    }));
    if !path.contains("tests/") && !path.ends_with("/tests.rs") {
        faults.extend(mailboxes(path, &source));
        faults.extend(pumps(path, &source));
        faults.extend(path.strip_prefix("src/").map(|inside| imports(inside, &source)).unwrap_or_default());
    }
    faults
}

fn mailboxes(path: &str, source: &Source) -> Vec<String> {
    let allowed = DO_SEND.iter().find(|(file, ..)| *file == path).map_or(0, |(_, times, _)| *times);
    let calls: Vec<_> = source.calls.iter().filter(|call| call.name == "do_send").map(|call| call.line).collect();
    match calls.len() {
        found if found == allowed => Vec::new(),
        found if found < allowed => vec![format!("has do_send {found} times: mend DO_SEND in tests/tidy.rs")],
        _ => vec![format!(
            "line {calls:?}: do_send ignores the mailbox's bound, and stands here {allowed} times at most: try_send"
        )],
    }
}

fn pumps(path: &str, source: &Source) -> Vec<String> {
    let pump = PUMPS.iter().any(|pump| path.starts_with(pump));
    let named = source.paths.iter().filter(|named| !pump && named.krate() == "actix_web_actors");
    named.map(|named| format!("line {}: actix_web_actors outside the pumps", named.line)).collect()
}

/// What a file of `src/` imports and may not. `inside` is its path below `src/`.
fn imports(inside: &str, source: &Source) -> Vec<String> {
    let begins = |path: &str| inside.strip_prefix(path).is_some_and(|rest| rest.starts_with(['/', '.']));
    let Some(room) = ROOMS.iter().filter(|room| begins(room.path)).max_by_key(|room| room.path.len()) else {
        return vec!["no room of the house: add it to the table in tests/tidy.rs".to_owned()];
    };
    let own = inside.split(['/', '.']).next().unwrap_or_default();
    let mut faults = Vec::new();
    for path in &source.paths {
        let name = path.segments.join("::");
        let wrong = match path.krate() {
            "crate" => path.segments.get(1).is_some_and(|first| first != own) && !is_let_in(room, &path.segments),
            "super" => climbs_out(inside, &path.segments),
            krate => room.never.contains(&krate),
        };
        if wrong {
            faults.push(format!("line {}: `{name}` is not for `{}` to name", path.line, room.path));
        }
    }
    faults
}

fn is_let_in(room: &Room, segments: &[String]) -> bool {
    let path = segments.get(1..).unwrap_or_default();
    room.ours.iter().any(|ours| {
        let mut ours = ours.split("::");
        let mut path = path.iter();
        ours.all(|part| part == "*" || path.next().is_some_and(|segment| is_named(part, segment)))
    })
}

/// Whether a part of the table, `name` or `{one,other}`, names this segment.
fn is_named(part: &str, segment: &str) -> bool {
    part.trim_matches(['{', '}']).split(',').any(|name| name == segment)
}

/// Whether `super` leads to the root of the crate, from where everything could be named unseen.
fn climbs_out(inside: &str, segments: &[String]) -> bool {
    let depth = inside.trim_end_matches(".rs").split('/').count();
    segments.iter().take_while(|segment| *segment == "super").count() >= depth
}

/// Every text file of the repository.
fn files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let foreign = FOREIGN_FOLDERS.iter().any(|name| entry.file_name() == *name);
        if entry.file_type()?.is_dir() {
            if !foreign {
                files(&entry.path(), found)?;
            }
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    files(root, &mut paths).unwrap();
    paths.sort();
    let mut all = Vec::new();
    let mut looked_at = 0;
    for path in paths {
        // A file that is not text holds none of this.
        if let Ok(text) = fs::read_to_string(&path) {
            let inside = path.strip_prefix(root).unwrap().display().to_string();
            all.extend(faults(&inside, &text));
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "only {looked_at} files were looked at");
    assert!(all.is_empty(), "{} faults:\n{}", all.len(), all.join("\n"));
}

#[test]
fn every_exception_is_of_a_file_that_is_there() {
    for (file, ..) in DO_SEND {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).is_file(), "{file} has gone: mend DO_SEND");
    }
}

#[track_caller]
fn refused(path: &str, text: &str, words: &str) {
    let faults = faults(path, text);
    assert!(faults.iter().any(|fault| fault.contains(words)), "{words:?} is missing in {faults:?}");
}

#[track_caller]
fn stands(path: &str, text: &str) {
    assert_eq!(faults(path, text), Vec::<String>::new());
}

#[test]
fn imports_against_the_table_are_found() {
    for (path, line) in [
        ("src/protocol/ids.rs", "use serde::Serialize;"),
        ("src/protocol.rs", "use actix::Message;"),
        ("src/error.rs", "fn f(e: sea_orm::DbErr) {}"),
        ("src/store/read.rs", "use crate::actor::room::Room;"),
        ("src/store.rs", "use crate::{protocol::UserId, vocabulary::Fanout};"),
        ("src/vocabulary/native.rs", "use crate::actor;"),
        ("src/vocabulary/native.rs", "fn f() { crate::chat::run(); }"),
        ("src/actor/room.rs", "use crate::vocabulary::native::Native;"),
        ("src/actor/room.rs", "use crate::vocabulary;"),
        ("src/actor/room.rs", "use crate::vocabulary::{Fanout, native};"),
        ("src/actor/room.rs", "use crate::store::Store;"),
        ("src/actor/session.rs", "use serde_json as json;"),
        ("src/actor/session/life.rs", "use crate::vocabulary::native::Native;"),
        ("src/actor/room.rs", "use crate::vocabulary::Codec;"),
        ("src/chat.rs", "use crate::transport::websocket;"),
        ("src/transport/rest/native.rs", "use crate::store::Store;"),
        ("src/transport/rest/native.rs", "use crate::actor::room::Room;"),
        ("src/transport/rest/native.rs", "use crate::{auth, chat::{self}, actor::{session, presence}};"),
        ("src/transport/socketio.rs", "use entity::message;"),
        ("src/chat.rs", "use super::transport;"),
        ("src/chat/sending.rs", "use super::super::transport;"),
        ("src/chat.rs", "fn f() { tracing::info!(x = crate::transport::name()); }"),
    ] {
        refused(path, &format!("//! Here.\n{line}\n"), "line 2");
    }
    refused("src/newcomer.rs", "//! Here.", "no room of the house");
    refused("src/transport/socketio.rs", "//! Here.\nuse actix_web_actors::ws;", "outside the pumps");
}

#[test]
fn imports_by_the_table_stand() {
    for (path, line) in [
        ("src/protocol/ids.rs", "use crate::{error::ChatError, protocol::model};"),
        ("src/actor/persistence/writer.rs", "use crate::store::Store;"),
        ("src/actor/room.rs", "use crate::{actor::presence, vocabulary::Fanout};"),
        ("src/actor/session.rs", "use crate::vocabulary::{Codec, Fanout};"),
        ("src/transport/websocket/frames.rs", "use crate::actor::outbox::Outbox;"),
        ("src/actor/room.rs", "use super::presence; // not crate::store::Store"),
        ("src/transport/rest/native.rs", "use crate::actor::session::{Session, Way};"),
        ("src/transport/websocket/frames.rs", "use actix_web_actors::ws;"),
        ("src/app/run.rs", "use crate::store::Store; use sea_orm::Database;"),
        ("src/chat.rs", "#[cfg(test)]\nmod tests { use super::*; use crate::transport; }"),
        ("src/chat/tests.rs", "use crate::transport;"),
        ("src/protocol.rs", "fn f() -> &'static str { \"use serde::Serialize; crate::store\" }"),
        ("tests/flow.rs", "use entity::message;"),
    ] {
        stands(path, &format!("//! Here.\n{line}\n"));
    }
}

#[test]
fn lengths_are_counted() {
    let lines = |count: usize| format!("//! Here.\n{}", "// a line\n".repeat(count - 1));
    stands("src/chat.rs", &lines(MAX_FILE_LINES));
    refused("src/chat.rs", &lines(MAX_FILE_LINES + 1), "601 lines");
    refused("web/a.mjs", &lines(MAX_FILE_LINES + 1), "601 lines");
    let function = |count: usize| {
        format!(
            "//! Here.\nimpl A {{\n    async fn long(&self) -> [u8; 2] {{\n{}    }}\n}}",
            "    // a line\n".repeat(count - 2)
        )
    };
    stands("src/chat.rs", &function(MAX_FUNCTION_LINES));
    refused("src/chat.rs", &function(MAX_FUNCTION_LINES + 1), "line 3: long has 71 lines");
}

#[test]
fn what_no_file_may_hold_is_found() {
    refused("src/chat.rs", "fn f() {}", "does not open with");
    refused("src/chat.rs", "//! Here.\nfn f( {", "cannot be read as Rust");
    refused("src/chat.rs", "//! Here.\nfn f(a: A) { a.do_send(M) }", "line [2]: do_send");
    let one = "//! Here.\nfn f(a: A) { a.do_send(M) }\n";
    stands("src/app.rs", one);
    refused("src/app.rs", &format!("{one}fn g(a: A) {{ a.do_send(M) }}"), "line [2, 3]: do_send");
    refused("src/app.rs", "//! Here.", "mend DO_SEND");
    stands("src/chat.rs", "//! Here.\n// never do_send(M)\nfn f(a: A) { a.try_send(M) }");
    stands("src/chat.rs", "//! Here.\n#[cfg(test)]\nmod tests { fn f(a: A) { a.do_send(M) } }");
    for (one, other) in MACHINE {
        refused("docs/a.md", &format!("see {one}{other}x"), "ties it to one machine");
    }
}
