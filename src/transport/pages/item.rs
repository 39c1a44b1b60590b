//! `GET /chat/{itemId}` (CONTRACT section 4, item): the chat page of an item, with the messages so far already in it.
//!
//! What lives here: from a caller and an item to a page, and refusals as pages. What must not: rules of the chat, or pages as text
//! (they are in `web/`).

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use url::form_urlencoded::byte_serialize;

use super::html::{Html, fill, template};
use super::{names, safe};
use crate::error::ChatError;
use crate::protocol::command::{CONVERSATIONS_WHOLE, Conversations, Join, PAGE_MAX, Since};
use crate::protocol::reply::Joined;
use crate::protocol::{Caller, Command, Conversation, Message, Person, Reply, UserId};
use crate::transport::Shared;
use crate::transport::rest::User;
use crate::transport::rest::problem::Problem;
use crate::vocabulary::item::{self, Deal};
use crate::vocabulary::words::Id;

/// Messages of one sender within so long stand together, in milliseconds; as in the pages' scripts.
const TOGETHER_MS: i64 = 5 * 60 * 1_000;

/// One message. The page's script reads it back and goes on from it.
const MESSAGE: &str = r#"<li class="message{{classes}}" data-id="{{id}}" data-sender="{{sender}}" data-author="{{author}}"><p class="author">{{shown}}</p><p class="bubble"><span class="body" dir="auto">{{body}}</span><span class="meta"><time datetime="{{at}}">{{time}}</time></span></p></li>
"#;
/// One buyer of the seller's list.
const BUYER: &str = r#"<li><a href="?buyerId={{link}}"><bdi>{{name}}</bdi>{{unread}}<span class="last" dir="auto">{{last}}</span></a></li>
"#;
const UNREAD: &str = r#" <span class="badge">{{count}}<span class="sr"> unread</span></span>"#;

/// Which buyer's conversation, where the seller asks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BuyerQuery {
    buyer_id: Option<String>,
}

/// The chat page of an item. Where a buyer has none yet it opens the conversation, as the page's script is about to.
#[get("/chat/{itemId}")]
pub(super) async fn page(
    user: Result<User, Problem>,
    shared: web::Data<Shared>,
    item: Result<web::Path<String>, actix_web::Error>,
    query: Result<web::Query<BuyerQuery>, actix_web::Error>,
) -> HttpResponse {
    let shown = async {
        let User(caller) = user.map_err(|problem| problem.error().clone())?;
        let unreadable = |_| ChatError::invalid("the address cannot be read");
        let item = Id(item.map_err(unreadable)?.into_inner());
        let buyer = query.map_err(unreadable)?.into_inner().buyer_id.map(Id);
        show(&shared, caller, &item, buyer.as_ref()).await
    };
    match shown.await {
        Ok(html) => answer(StatusCode::OK, None, html),
        Err(error) => refuse(&error),
    }
}

async fn show(shared: &Shared, caller: Caller, item: &Id, buyer: Option<&Id>) -> Result<String, ChatError> {
    let conversation = item::conversation(item, buyer, true)?;
    let join = Command::Join(Join { conversation, since: Since::Now, recent: PAGE_MAX });
    match shared.chat.run(caller.clone(), join).await {
        Ok(Reply::Joined(joined)) => conversation_page(&caller.person.id, &joined),
        Ok(_) => Err(ChatError::Internal),
        // The seller names no buyer.
        Err(ChatError::Invalid(_)) if buyer.is_none() => {
            let about = Some((Arc::from(item::KIND), Some(item.subject()?)));
            let list = Command::Conversations(Conversations { limit: CONVERSATIONS_WHOLE, cursor: None, about });
            match shared.chat.run(caller, list).await? {
                Reply::Conversations { conversations, .. } => buyers_page(item, &conversations),
                _ => Err(ChatError::Internal),
            }
        }
        Err(error) => Err(error),
    }
}

fn conversation_page(me: &UserId, joined: &Joined) -> Result<String, ChatError> {
    let deal = Deal::of(&joined.topic).ok_or(ChatError::NotFound("conversation"))?;
    let recent = joined.recent.as_ref().ok_or(ChatError::Internal)?;
    let own_part = if *me == deal.seller.id { "seller" } else { "buyer" };
    let (own, other, other_part) = match own_part {
        "seller" => (&deal.seller, &deal.buyer, "buyer"),
        _ => (&deal.buyer, &deal.seller, "seller"),
    };
    let called = |one: &Person| names::shown(one.id.as_str(), &one.name, both(&deal));
    let title = joined.topic.subject.as_ref().and_then(|subject| subject.title.as_deref());
    let cut = if recent.has_more { format!("The newest {PAGE_MAX} messages.") } else { String::new() };
    let values = [
        ("title", title_of(title, deal.item)),
        ("item", Html::text(deal.item)),
        ("buyer", Html::text(deal.buyer.id.as_str())),
        ("me", Html::text(me.as_str())),
        ("own", Html::text(&called(own))),
        ("own-part", Html::text(own_part)),
        ("other", Html::text(&called(other))),
        ("seller", Html::text(deal.seller.id.as_str())),
        ("seller-name", Html::text(&deal.seller.name)),
        ("buyer-name", Html::text(&deal.buyer.name)),
        ("other-part", Html::text(other_part)),
        ("cut", Html::text(&cut)),
        ("messages", messages(me, &deal, &recent.messages)?),
    ];
    fill(&template("item.html")?, &values)
}

fn title_of(title: Option<&str>, item: &str) -> Html {
    Html::text(&title.map_or_else(|| format!("Item {}", names::clean(item)), names::clean))
}

/// The ids and names of the two who talk.
fn both<'a>(deal: &'a Deal<'_>) -> [(&'a str, &'a str); 2] {
    [&deal.buyer, &deal.seller].map(|one| (one.id.as_str(), &*one.name))
}

fn messages(me: &UserId, deal: &Deal<'_>, messages: &[Message]) -> Result<Html, ChatError> {
    let mut html = Html::default();
    let mut before: Option<&Message> = None;
    for message in messages {
        let mine = message.sender.id == *me;
        let follows = before.is_some_and(|before| {
            before.sender.id == message.sender.id && message.created_at.0 - before.created_at.0 < TOGETHER_MS
        });
        let classes = format!("{}{}", if mine { " mine" } else { "" }, if follows { " follows" } else { "" });
        let at = message.created_at.to_string();
        // The day and the minute, in UTC, until the page's script writes them as the reader does.
        let time = format!("{} UTC", at.get(..16).unwrap_or(&at).replace('T', " "));
        let values = [
            ("classes", Html::text(&classes)),
            ("id", Html::text(&message.id.0.to_string())),
            ("sender", Html::text(message.sender.id.as_str())),
            ("author", Html::text(&message.sender.name)),
            ("shown", Html::text(&names::shown(message.sender.id.as_str(), &message.sender.name, both(deal)))),
            ("body", Html::text(&message.body)),
            ("at", Html::text(&at)),
            ("time", Html::text(&time)),
        ];
        html.push_filled(MESSAGE, &values)?;
        before = Some(message);
    }
    Ok(html)
}

/// Whom the seller talks to about the item, the newest first.
fn buyers_page(item: &Id, conversations: &[Conversation]) -> Result<String, ChatError> {
    let mut buyers = Html::default();
    let mut title = None;
    let people: Vec<Person> = conversations
        .iter()
        .flat_map(|one| Deal::of(&one.topic()).map(|deal| [deal.buyer, deal.seller]))
        .flatten()
        .collect();
    for conversation in conversations {
        let topic = conversation.topic();
        let Some(deal) = Deal::of(&topic) else { continue };
        let among = people.iter().map(|one| (one.id.as_str(), &*one.name));
        let name = names::shown(deal.buyer.id.as_str(), &deal.buyer.name, among);
        title = title.or_else(|| conversation.subject.as_ref().and_then(|subject| subject.title.clone()));
        let link: String = byte_serialize(deal.buyer.id.as_str().as_bytes()).collect();
        let mut unread = Html::default();
        if conversation.unread > 0 {
            unread.push_filled(UNREAD, &[("count", Html::text(&conversation.unread.to_string()))])?;
        }
        let last = conversation.last_message.as_ref().map_or("", |message| &message.body);
        let values = [
            ("link", Html::text(&link)),
            ("name", Html::text(&name)),
            ("unread", unread),
            ("last", Html::text(&names::clean(last))),
        ];
        buyers.push_filled(BUYER, &values)?;
    }
    let says = if buyers == Html::default() { "Nobody has asked about this item yet." } else { "Who asks about it:" };
    let values = [("title", title_of(title.as_deref(), &item.0)), ("says", Html::text(says)), ("buyers", buyers)];
    fill(&template("buyers.html")?, &values)
}

/// A refusal for people.
fn refuse(error: &ChatError) -> HttpResponse {
    let (title, says) = match error {
        ChatError::Unauthorized(_) => {
            ("Please sign in", "This conversation opens from your shop's page, once you are signed in there.")
        }
        ChatError::Forbidden(_) => {
            ("This is not your conversation", "It is somebody else's, or your account may not chat now.")
        }
        ChatError::NotFound(_) => {
            ("There is no such conversation", "The item is not here, or nobody has asked about it yet.")
        }
        ChatError::Invalid(_) | ChatError::TooLarge(_) => {
            ("This address leads nowhere", "A part of it has the wrong form.")
        }
        ChatError::RateLimited(_) => ("Too many requests", "Please wait a moment and load the page again."),
        ChatError::Unavailable(_) => ("Not available just now", "Please wait a moment and load the page again."),
        ChatError::Internal => ("Something went wrong", "It is our fault. Please load the page again."),
    };
    let status = StatusCode::from_u16(error.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let values = [("title", Html::text(title)), ("says", Html::text(says)), ("code", Html::text(error.code()))];
    match template("refused.html").and_then(|markup| fill(&markup, &values)) {
        Ok(html) => answer(status, error.retry_after(), html),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn answer(status: StatusCode, retry_after: Option<u64>, html: String) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if let Some(seconds) = retry_after {
        response.insert_header((RETRY_AFTER, seconds.to_string()));
    }
    // It is for this reader, and of this moment.
    safe(&mut response).insert_header((CACHE_CONTROL, "no-store")).content_type("text/html; charset=utf-8").body(html)
}
