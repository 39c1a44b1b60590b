//! Every route, by every kind of caller.
//!
//! What lives here: that the table of `routes/table.rs` is whole, by the server's own description and by its source; that each caller
//! gets what it says; and that what is not there is told alike. What must not: what others hear of it (`hearing.rs`).

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use rstest::rstest;
use serde_json::Value;

pub use self::table::{Row, Rule, rows};
use super::world::{Target, World};
use super::{Kind, SECRET};
use crate::support::On;
use crate::support::rest::{Answer, Caller};
use crate::support::server::Server;

/// Routes that neither the description nor an attribute names: a crate of their own mounts them.
const MOUNTED: [(&str, &str); 2] = [("get", haggle::transport::socketio::PATH), ("get", "/openapi.json")];

/// A route: its method in small letters, and its path as the server names it.
type Route = (String, String);

#[tokio::test]
async fn every_route_has_a_row_and_every_row_a_route() {
    let server = Server::start(On::Sqlite).await;
    let description = server.anybody().get("/openapi.json").await.ok();
    let mut routes: BTreeSet<Route> = described(&description);
    assert!(routes.len() > 20, "the description has {} routes", routes.len());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let in_source = {
        let mut found = BTreeSet::new();
        search(&root, &mut found);
        found
    };
    assert!(in_source.len() >= routes.len(), "{} routes in the source", in_source.len());
    routes.extend(in_source);
    routes.extend(MOUNTED.map(|(method, path)| (method.to_owned(), path.to_owned())));
    let named = |row: &Row| (row.method.as_str().to_lowercase(), row.path.to_owned());
    let rows: BTreeSet<Route> = rows().iter().map(named).collect();
    let (new, gone): (Vec<_>, Vec<_>) = (routes.difference(&rows).collect(), rows.difference(&routes).collect());
    assert!(new.is_empty(), "say in tests/matrix/routes/table.rs who may call {new:?}");
    assert!(gone.is_empty(), "no such routes any more: {gone:?}; take their rows out");
}

/// The routes of an OpenAPI description.
fn described(description: &Value) -> BTreeSet<Route> {
    let paths = description["paths"].as_object().expect("paths");
    let routes = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().expect("methods").keys().map(move |method| (method.clone(), path.clone()))
    });
    routes.collect()
}

/// The routes that source files name, by attributes or by the calls that mount them.
fn search(folder: &Path, found: &mut BTreeSet<Route>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search(&path, found);
        } else {
            found.extend(routes_in(&fs::read_to_string(&path).expect("text")));
        }
    }
}

/// The routes that one source file names, below its scope where it has one.
fn routes_in(source: &str) -> impl Iterator<Item = Route> {
    const MARKS: [(&str, &str); 11] = [
        ("#[get(", "get"),
        ("#[post(", "post"),
        ("#[put(", "put"),
        ("#[patch(", "patch"),
        ("#[delete(", "delete"),
        ("#[head(", "head"),
        (".route(", "get"),
        ("redirect(", "get"),
        ("resource(", "get"),
        ("SwaggerUi::new(", "get"),
        ("#[route(", "route"),
    ];
    let scope = scope_of(source);
    MARKS.into_iter().flat_map(move |(mark, method)| {
        quoted_after(source, mark).map(move |path| (method.to_owned(), format!("{scope}{path}"))).collect::<Vec<_>>()
    })
}

/// What the paths of a file begin with: the scope that it mounts, by a text or by a constant of its own.
fn scope_of(source: &str) -> &str {
    if let Some(scope) = quoted_after(source, "scope(").next() {
        return scope;
    }
    let constants = source.split("scope(").skip(1).filter_map(|after| after.split_once(')').map(|(name, _)| name));
    let value = |name| quoted_after(source.split_once(&format!("const {name}: &str"))?.1, " = ").next();
    constants.into_iter().find_map(value).unwrap_or_default()
}

/// The texts in quotes that stand right after each `mark`.
fn quoted_after<'a>(source: &'a str, mark: &'a str) -> impl Iterator<Item = &'a str> {
    source.split(mark).skip(1).filter_map(|after| {
        let after = after.strip_prefix('r').unwrap_or(after).strip_prefix('"')?;
        after.split_once('"').map(|(text, _)| text)
    })
}

#[test]
fn routes_are_found_in_source() {
    let found: Vec<_> = routes_in("scope(\"/api\")\n#[get(r\"/{a:x\\.y}\")]\n#[put(\"\")] .get(\"header\")").collect();
    let route = |method: &str, path: &str| (method.to_owned(), path.to_owned());
    assert_eq!(found, [route("get", "/api/{a:x\\.y}"), route("put", "/api")]);
    let found: Vec<_> = routes_in("const PREFIX: &str = \"/api\";\nscope(PREFIX)\n#[post(\"/x\")]").collect();
    assert_eq!(found, [route("post", "/api/x")]);
}

/// Calls by a kind of caller.
pub fn caller(world: &World, kind: Kind) -> Caller {
    match kind {
        Kind::Anonymous => world.server.anybody(),
        Kind::Backend => world.server.shop(),
        _ => world.server.user(kind.user()),
    }
}

/// Makes a row's call about these conversations.
pub async fn make(caller: &Caller, row: &Row, target: &Target) -> Answer {
    let (path, body) = (row.call)(target);
    caller.call(row.method.clone(), &path, body).await
}

#[rstest]
#[tokio::test]
async fn who_may_call_what(#[values(On::Sqlite, On::Postgres)] on: On) {
    let world = World::set(on).await;
    let mut wrong = Vec::new();
    for row in rows() {
        for kind in Kind::ALL {
            let answer = make(&caller(&world, kind), &row, &world.target(kind)).await;
            let expected = row.rule.status(kind);
            if answer.status != expected {
                let (method, path, got) = (&row.method, row.path, (answer.status, &answer.text));
                wrong.push(format!("{method} {path} by {kind:?}: {got:?}, not {expected}"));
            }
            if !matches!(kind, Kind::Member | Kind::Backend) {
                assert!(!answer.text.contains(SECRET), "{} by {kind:?}: {}", row.path, answer.text);
            }
            if Kind::OUTSIDE.contains(&kind) && is_hidden(row.rule, expected) {
                let nowhere = make(&caller(&world, kind), &row, &world.target(kind).absent()).await;
                assert_eq!(told(&answer), told(&nowhere), "{} {} by {kind:?}", row.method, row.path);
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a refusal must be that of what is not there. A buyer's own conversation is there once they ask for it.
fn is_hidden(rule: Rule, status: u16) -> bool {
    match rule {
        Rule::Mine(_) => true,
        Rule::OwnBuyer(_) => status == 403,
        _ => false,
    }
}

/// All that an answer tells. Some headers are in no order, and some name the request.
fn told(answer: &Answer) -> (u16, BTreeSet<&str>, Option<&HeaderValue>, &str) {
    let names = answer.headers.keys().map(HeaderName::as_str).collect();
    (answer.status, names, answer.headers.get(CONTENT_TYPE), &answer.text)
}
