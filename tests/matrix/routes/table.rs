//! The table of routes: who may, and how they call.
//!
//! What lives here: a row a route. What must not: calling them.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::matrix::world::{ANYBODY, Target};
use crate::matrix::{Kind, SECRET};

/// Who may, and the status that they get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Those who are in it: to whoever is not it is not there.
    Mine(u16),
    /// Buyers have conversations of their own: whoever names another buyer is refused, and to whoever was one it is not there.
    OwnBuyer(u16),
    /// Whoever's id stands in the path.
    Myself(u16),
    /// Everyone who is known, about their own.
    Everyone(u16),
    /// The shop's backend alone.
    Backend(u16),
    /// Anybody; who calls makes no difference.
    Public(u16),
    /// Anybody, with a good token or none.
    AnyToken(u16),
}

impl Rule {
    /// The status that a caller gets.
    pub fn status(self, kind: Kind) -> u16 {
        match (self, kind) {
            (Self::Public(done), _) | (Self::Backend(done), Kind::Backend) => done,
            (Self::Backend(_), _) | (_, Kind::Backend) => 401,
            (Self::AnyToken(done), _) => done,
            (_, Kind::Anonymous) => 401,
            (_, Kind::Suspended) => 403,
            (Self::Mine(done) | Self::OwnBuyer(done) | Self::Myself(done), Kind::Member)
            | (Self::Everyone(done), _) => done,
            (Self::Myself(_), _) | (Self::OwnBuyer(_), Kind::Stranger | Kind::OtherRole) => 403,
            (Self::Mine(_) | Self::OwnBuyer(_), _) => 404,
        }
    }
}

/// A call: the path with its query, and the body.
type Call = (String, Option<Value>);

/// One route.
pub struct Row {
    pub method: Method,
    /// As the server names it.
    pub path: &'static str,
    pub rule: Rule,
    /// What a client asks.
    pub call: fn(&Target) -> Call,
}

fn get(path: &'static str, rule: Rule, call: fn(&Target) -> Call) -> Row {
    Row { method: Method::GET, path, rule, call }
}

fn post(path: &'static str, rule: Rule, call: fn(&Target) -> Call) -> Row {
    Row { method: Method::POST, path, rule, call }
}

fn put(path: &'static str, rule: Rule, call: fn(&Target) -> Call) -> Row {
    Row { method: Method::PUT, path, rule, call }
}

fn plain(path: impl Into<String>) -> Call {
    (path.into(), None)
}

fn with(path: impl Into<String>, body: Value) -> Call {
    (path.into(), Some(body))
}

/// The table.
pub fn rows() -> Vec<Row> {
    [native(), provisioning(), book(), order(), shop(), operations(), pages()].into_iter().flatten().collect()
}

fn native() -> Vec<Row> {
    use Rule::{Everyone, Mine};
    vec![
        post("/v1/conversations", Everyone(201), |_| {
            with("/v1/conversations", json!({ "participants": [{ "user_id": ANYBODY }] }))
        }),
        get("/v1/conversations", Everyone(200), |_| plain("/v1/conversations")),
        get("/v1/conversations/{id}", Mine(200), |it| plain(format!("/v1/conversations/order:{}", it.order))),
        get("/v1/conversations/{id}/messages", Mine(200), |it| plain(format!("/v1/conversations/{}/messages", it.id))),
        post("/v1/conversations/{id}/messages", Mine(201), |it| {
            with(format!("/v1/conversations/{}/messages", it.id), json!({ "body": format!("{SECRET}!") }))
        }),
        post("/v1/conversations/{id}/read", Mine(200), |it| {
            with(format!("/v1/conversations/{}/read", it.id), json!({ "seq": 1 }))
        }),
        get("/v1/unread", Everyone(200), |_| plain("/v1/unread")),
        get("/v1/users/{id}/presence", Mine(200), |it| plain(format!("/v1/users/{}/presence", it.partner))),
    ]
}

fn provisioning() -> Vec<Row> {
    use Rule::Backend;
    let remove = Row {
        method: Method::DELETE,
        path: "/v1/conversations/{key}/participants/{user_id}",
        rule: Backend(204),
        call: |_| plain(format!("/v1/conversations/order:spare/participants/{ANYBODY}")),
    };
    vec![
        put("/v1/users/{id}", Backend(200), |_| with(format!("/v1/users/{ANYBODY}"), json!({ "name": "Sal" }))),
        put("/v1/subjects/{kind}/{id}", Backend(200), |_| {
            with("/v1/subjects/item/i1", json!({ "title": format!("The {SECRET}") }))
        }),
        put("/v1/conversations/{key}", Backend(200), |_| {
            with("/v1/conversations/order:spare", json!({ "participants": [{ "user_id": ANYBODY }] }))
        }),
        remove,
    ]
}

fn book() -> Vec<Row> {
    use Rule::{Mine, Myself};
    vec![
        post("/api/messages", Mine(201), |it| {
            with("/api/messages", json!({ "conversationId": it.book, "message": format!("{SECRET}!") }))
        }),
        get("/api/messages/partner", Mine(200), |it| {
            plain(format!("/api/messages/partner?bookId={}", it.book.split('|').next().unwrap_or_default()))
        }),
        get("/api/messages/unread/{userId}", Myself(200), |_| {
            plain(format!("/api/messages/unread/{}", Kind::Member.user()))
        }),
        get("/api/messages/conversations/user/{userId}", Myself(200), |_| {
            plain(format!("/api/messages/conversations/user/{}", Kind::Member.user()))
        }),
        get("/api/messages/{conversationId}", Mine(200), |it| plain(format!("/api/messages/{}", escaped(&it.book)))),
        put("/api/messages/{conversationId}/read", Mine(200), |it| {
            plain(format!("/api/messages/{}/read", escaped(&it.book)))
        }),
    ]
}

fn escaped(name: &str) -> String {
    name.replace('|', "%7C")
}

fn order() -> Vec<Row> {
    use Rule::Mine;
    vec![
        get("/api/v0/chat/messages/{orderId}", Mine(200), |it| plain(format!("/api/v0/chat/messages/{}", it.order))),
        get("/api/v0/chat/unread", Mine(200), |it| plain(format!("/api/v0/chat/unread?orderId={}", it.order))),
        post("/api/v0/chat/read/{orderId}", Mine(200), |it| plain(format!("/api/v0/chat/read/{}", it.order))),
    ]
}

fn shop() -> Vec<Row> {
    use Rule::{Everyone, Mine};
    vec![
        // The two have talked since the first row: it is the same conversation.
        post("/api/chat/conversations", Everyone(200), |_| {
            with("/api/chat/conversations", json!({ "participantId": ANYBODY }))
        }),
        get("/api/chat/conversations", Everyone(200), |_| plain("/api/chat/conversations")),
        get("/api/chat/conversations/{id}/messages", Mine(200), |it| {
            plain(format!("/api/chat/conversations/{}/messages", it.id))
        }),
        post("/api/chat/conversations/{id}/messages", Mine(201), |it| {
            with(format!("/api/chat/conversations/{}/messages", it.id), json!({ "message": format!("{SECRET}!") }))
        }),
        post("/api/chat/conversations/{id}/read", Mine(200), |it| {
            plain(format!("/api/chat/conversations/{}/read", it.id))
        }),
        get("/api/chat/unread-count", Everyone(200), |_| plain("/api/chat/unread-count")),
        get("/api/chat/users/{user_id}/status", Mine(200), |it| {
            plain(format!("/api/chat/users/{}/status", it.partner))
        }),
    ]
}

fn operations() -> Vec<Row> {
    use Rule::Public;
    vec![
        get("/healthz", Public(200), |_| plain("/healthz")),
        get("/readyz", Public(200), |_| plain("/readyz")),
        get("/metrics", Public(200), |_| plain("/metrics")),
        get("/openapi.json", Public(200), |_| plain("/openapi.json")),
        get("/asyncapi.json", Public(200), |_| plain("/asyncapi.json")),
        // In development alone.
        get("/dev/token", Public(200), |_| plain("/dev/token?userId=anybody")),
    ]
}

fn pages() -> Vec<Row> {
    use Rule::{AnyToken, OwnBuyer, Public};
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/vendor/socket.io.js").is_file();
    let bundle = if bundled { 200 } else { 404 };
    vec![
        get("/", Public(200), |_| plain("/")),
        get("/docs", Public(200), |_| plain("/docs")),
        get("/docs/", Public(200), |_| plain("/docs/")),
        get("/docs/index.html", Public(200), |_| plain("/docs/index.html")),
        get("/docs/{_:.*}", Public(200), |_| plain("/docs/swagger-ui.css")),
        get("/{folder:js|css}/{name:.+}", Public(200), |_| plain("/js/chat.js")),
        get("/chat.html", Public(200), |_| plain("/chat.html")),
        get(r"/socket.io/{name:socket\.io(?:\.esm)?(?:\.min)?\.js}", Public(bundle), |_| {
            plain("/socket.io/socket.io.js")
        }),
        get("/chat/{itemId}", OwnBuyer(200), |it| plain(format!("/chat/{}?buyerId={}", it.item, it.buyer))),
        // Neither is spoken to by plain requests.
        get("/ws", AnyToken(400), |_| plain("/ws")),
        get("/socket.io/", Public(400), |_| plain("/socket.io/")),
    ]
}
