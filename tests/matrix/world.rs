//! The scene: conversations of every vocabulary, those who are in them, and those who are not or no longer.
//!
//! What lives here: setting it. What must not: asking whether anybody may.

use std::collections::HashMap;

use haggle::vocabulary::Vocabulary;
use serde_json::{Value, json};

use super::ears::{Ear, OK, VOCABULARIES, code};
use super::{Kind, SECRET};
use crate::support::On;
use crate::support::server::Server;

/// The other one of every conversation, who sells what it is about.
pub const SELLER: &str = "bob";
/// Somebody whom everyone may talk to.
pub const ANYBODY: &str = "sal";

/// The conversations that a call is about, each as its vocabulary names it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The conversation of all of them, by number: `group`, `shop`, native.
    pub id: i64,
    /// The same by the shop's key, without `order:`: `order`.
    pub order: String,
    /// The item, and which buyer's: `item`.
    pub item: String,
    pub buyer: String,
    /// The two people's about the book: `book`.
    pub book: String,
    /// Whose they are, and with whom.
    pub member: &'static str,
    pub partner: &'static str,
}

impl Target {
    /// Conversations that are not there.
    pub fn absent(&self) -> Self {
        Self {
            id: self.id + 100_000,
            order: "no-such-order".to_owned(),
            item: self.item.clone(),
            buyer: "nobody".to_owned(),
            book: "b9|nobody:no-one".to_owned(),
            member: "nobody",
            partner: "no-one",
        }
    }
}

/// The scene.
pub struct World {
    /// The number of the conversation that all of them share.
    pub id: i64,
    /// Sockets of everyone outside, in every vocabulary. Those of whoever was removed or suspended had joined before.
    pub ears: HashMap<(Kind, &'static str), Ear>,
    /// Sockets of whoever was removed that had joined nothing, in every vocabulary.
    pub quiet: Vec<(&'static str, Ear)>,
    /// What those outside heard as they connected, when they were outside already.
    pub early: Vec<String>,
    /// Sockets of the seller, that have joined everything.
    pub seller: HashMap<&'static str, Ear>,
    /// The last to be dropped: it waits for sockets that are still open.
    pub server: Server,
}

impl World {
    /// Sets it.
    pub async fn set(on: On) -> Self {
        let server = Server::start_with(on, |settings| settings.rate_limits = false).await;
        let id = provision(&server).await;
        let (ears, quiet, early, seller) = (HashMap::new(), Vec::new(), Vec::new(), HashMap::new());
        let mut world = Self { id, ears, quiet, early, seller, server };
        for vocabulary in VOCABULARIES {
            world.seller.insert(vocabulary.name(), Ear::of(world.server.address, vocabulary, SELLER).await);
        }
        world.open_conversations().await;
        for kind in [Kind::Removed, Kind::Suspended] {
            world.listen(kind).await;
            for vocabulary in VOCABULARIES {
                world.join(kind, vocabulary).await;
            }
        }
        for vocabulary in VOCABULARIES {
            let ear = Ear::of(world.server.address, vocabulary, Kind::Removed.user()).await;
            world.quiet.push((vocabulary.name(), ear));
        }
        // Told while they were in it; the last of it is for the offline queue of whoever is removed before they come back.
        world.drain().await;
        world.server.user(SELLER).say(id, &format!("the {SECRET} costs 5")).await.ok();
        world.part().await;
        world.drain().await;
        for kind in [Kind::Stranger, Kind::Former, Kind::OtherRole] {
            world.listen(kind).await;
        }
        world.early = world.heard().await;
        world
    }

    /// What a kind of caller asks for: what the member has; where a conversation is of two alone, those who were in one have one of their own.
    pub fn target(&self, kind: Kind) -> Target {
        let member = match kind {
            Kind::Former | Kind::Removed | Kind::Suspended => kind.user(),
            _ => Kind::Member.user(),
        };
        Target {
            id: self.id,
            order: "42".to_owned(),
            item: "i1".to_owned(),
            buyer: member.to_owned(),
            book: format!("b1|{member}:{SELLER}"),
            member,
            partner: SELLER,
        }
    }

    /// A socket of somebody outside.
    pub fn ear(&mut self, kind: Kind, vocabulary: Vocabulary) -> &mut Ear {
        self.ears.get_mut(&(kind, vocabulary.name())).expect("it was opened")
    }

    /// The seller's socket.
    pub fn seller(&mut self, vocabulary: Vocabulary) -> &mut Ear {
        self.seller.get_mut(vocabulary.name()).expect("it was opened")
    }

    /// Everyone has heard all that they were told so far; it is forgotten.
    pub async fn drain(&mut self) {
        self.heard().await;
        for ear in self.seller.values_mut() {
            ear.heard().await;
        }
    }

    /// What those outside have heard since it was last asked, in words.
    pub async fn heard(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for ((kind, vocabulary), ear) in &mut self.ears {
            let heard = ear.heard().await.into_iter();
            all.extend(heard.map(|(event, said)| format!("{kind:?} in {vocabulary}: {event} {said}")));
        }
        for (vocabulary, ear) in &mut self.quiet {
            let heard = ear.heard().await.into_iter();
            all.extend(heard.map(|(event, said)| format!("Removed, not joined, in {vocabulary}: {event} {said}")));
        }
        all
    }

    async fn listen(&mut self, kind: Kind) {
        for vocabulary in VOCABULARIES {
            let ear = Ear::of(self.server.address, vocabulary, kind.user()).await;
            self.ears.insert((kind, vocabulary.name()), ear);
        }
    }

    /// The item's and the book's conversations: each who was ever in one opens it, and the seller says something there.
    async fn open_conversations(&mut self) {
        for kind in [Kind::Member, Kind::Former, Kind::Removed, Kind::Suspended] {
            let target = self.target(kind);
            for vocabulary in [Vocabulary::Item, Vocabulary::Book] {
                let mut opener = Ear::of(self.server.address, vocabulary, kind.user()).await;
                let (event, payload) = joining(vocabulary, &target);
                done(event, &opener.ask(event, &payload).await);
                let (said, mut words) = saying(vocabulary, &target);
                let seller = self.seller(vocabulary);
                done(event, &seller.ask(event, &payload).await);
                words["clientId"] = json!(format!("{said} {}", kind.user()));
                done(said, &seller.ask(said, &words).await);
            }
        }
        let target = self.target(Kind::Member);
        for vocabulary in VOCABULARIES {
            let (event, payload) = joining(vocabulary, &target);
            let seller = self.seller(vocabulary);
            done(event, &seller.ask(event, &payload).await);
        }
    }

    async fn join(&mut self, kind: Kind, vocabulary: Vocabulary) {
        let (event, payload) = joining(vocabulary, &self.target(kind));
        done(event, &self.ear(kind, vocabulary).ask(event, &payload).await);
    }

    /// Some are removed, and somebody is suspended.
    async fn part(&mut self) {
        let shop = self.server.shop();
        for kind in [Kind::Former, Kind::Removed] {
            let (user, Target { order, item, book, .. }) = (kind.user(), self.target(kind));
            let book = book.replace('|', "%7C");
            for key in [format!("order:{order}"), format!("item:{item}:{user}"), book] {
                let gone = shop.delete(&format!("/v1/conversations/{key}/participants/{user}")).await;
                assert_eq!(gone.status, 204, "{key} {}", gone.text);
            }
        }
        let suspended = format!("/v1/users/{}", Kind::Suspended.user());
        shop.put(&suspended, json!({ "status": "suspended" })).await.ok();
        for vocabulary in VOCABULARIES {
            let mut ear = self.ears.remove(&(Kind::Suspended, vocabulary.name())).expect("it was opened");
            ear.ended().await;
        }
    }
}

/// Who there is, and what it is about; the number of the conversation that all of them share.
async fn provision(server: &Server) -> i64 {
    let shop = server.shop();
    let roles = |user: &str| match user {
        "adam" => "admin",
        SELLER | ANYBODY => "seller",
        _ => "customer",
    };
    let users = Kind::ALL.map(Kind::user);
    for user in users.into_iter().filter(|user| !user.is_empty()).chain([SELLER, ANYBODY]) {
        shop.put(&format!("/v1/users/{user}"), json!({ "role": roles(user) })).await.ok();
    }
    for (kind, id) in [("item", "i1"), ("book", "b1"), ("order", "42")] {
        let subject = json!({ "title": format!("The {SECRET}"), "owner_id": SELLER });
        shop.put(&format!("/v1/subjects/{kind}/{id}"), subject).await.ok();
    }
    shop.put("/v1/conversations/order:spare", json!({ "participants": [{ "user_id": ANYBODY }] })).await.ok();
    let people = [Kind::Member, Kind::Former, Kind::Removed, Kind::Suspended].map(Kind::user);
    let participants: Vec<_> = people.into_iter().chain([SELLER]).map(|user| json!({ "user_id": user })).collect();
    let subject = json!({ "kind": "order", "id": "42" });
    let conversation = json!({ "title": format!("The {SECRET}"), "subject": subject, "participants": participants });
    shop.put("/v1/conversations/order:42", conversation).await.ok()["id"].as_i64().expect("a number")
}

/// How one joins.
pub fn joining(vocabulary: Vocabulary, target: &Target) -> (&'static str, Value) {
    match vocabulary {
        Vocabulary::Native => ("join", json!({ "conversation": target.id })),
        Vocabulary::Item => ("join_chat", json!({ "itemId": target.item, "buyerId": target.buyer })),
        Vocabulary::Book => ("chat:join", json!({ "conversationId": target.book })),
        Vocabulary::Order => ("join-order-chat", json!({ "orderId": target.order })),
        Vocabulary::Group => ("join_chat", json!({ "chatId": target.id })),
        Vocabulary::Shop => ("chat:join", json!({ "conversationId": target.id })),
    }
}

/// How one says something.
pub fn saying(vocabulary: Vocabulary, target: &Target) -> (&'static str, Value) {
    let text = format!("this {SECRET} is mine");
    match vocabulary {
        Vocabulary::Native => ("send", json!({ "conversation": target.id, "body": text })),
        Vocabulary::Item => {
            ("send_message", json!({ "itemId": target.item, "buyerId": target.buyer, "content": text }))
        }
        Vocabulary::Book => ("chat:message", json!({ "conversationId": target.book, "message": text })),
        Vocabulary::Order => ("send-message", json!({ "orderId": target.order, "message": text })),
        Vocabulary::Group => ("send_message", json!({ "chatId": target.id, "content": text })),
        Vocabulary::Shop => ("chat:send_message", json!({ "conversationId": target.id, "message": text })),
    }
}

#[track_caller]
fn done(event: &str, answer: &Value) {
    assert_eq!(code(answer), OK, "{event}: {answer}");
}
