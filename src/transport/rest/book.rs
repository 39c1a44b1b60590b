//! The book vocabulary's REST calls under `/api/messages` (CONTRACT section 4): the same commands as on Socket.IO, in its envelope.
//!
//! What lives here: the routes, from parameters to a command and from a reply to a body. What must not: rules of the chat.

use actix_web::{HttpResponse, HttpResponseBuilder, get, post, put, web};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::Problem;
use super::{Json, User, nothing_here};
use crate::error::ChatError;
use crate::protocol::command::{
    CONVERSATIONS_WHOLE, Conversations, History, Mark, PAGE_DEFAULT, PAGE_MAX, Page, Read, UnreadCounts,
};
use crate::protocol::{Caller, Command, ConversationRef, Reply};
use crate::transport::Shared;
use crate::vocabulary::book::names::{self, Hints, KIND, Spoken};
use crate::vocabulary::book::wire::{
    Conversation, Message, Messages, Partner, Refusal, Said, Success, Unread, Updated,
};
use crate::vocabulary::native::limit;
use crate::vocabulary::words::{self, Id, missing};

/// Conversations that are looked at together for the latest partner: the newest has a message nearly always.
const PARTNER_PAGE: u32 = 20;

/// What the routes are under.
pub const SCOPE: &str = "/api/messages";

/// Mounts the routes. Those with fixed words stand before the one that a conversation's name could be mistaken for.
pub fn configure(config: &mut ServiceConfig) {
    let routes = scope(SCOPE)
        .service(send)
        .service(partner)
        .service(unread)
        .service(list)
        .service(messages)
        .service(read)
        .default_service(web::to(nothing_here));
    config.service(routes);
}

/// A refusal in this vocabulary's envelope.
pub fn refused(mut answer: HttpResponseBuilder, error: &ChatError) -> HttpResponse {
    answer.json(Refusal::of(error))
}

/// Which page.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// 1, the newest, unless given.
    page: Option<i64>,
    /// 50 unless given, 200 at most.
    limit: Option<i64>,
}

/// Which book.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct BookQuery {
    /// The shop's id of it.
    book_id: Option<String>,
}

/// A success.
fn done(data: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(Success::of(data))
}

/// The conversation that a path names, for one of its two.
fn named(id: String, caller: &Caller) -> Result<ConversationRef, ChatError> {
    names::conversation(&Id(id), Hints::default(), &caller.person.id, false)
}

/// The user whom a path names is the caller.
fn own(id: String, caller: &Caller) -> Result<(), ChatError> {
    words::claim(Some(&Id(id)), Some(&caller.person.id))
}

/// Sends a message; everyone who listens hears it.
#[utoipa::path(tag = "book", request_body = Said, security(("user" = [])), responses(
    (status = 201, description = "stored", body = inline(Success<Message>)),
    (status = 200, description = "stored before, under the same clientId", body = inline(Success<Message>)),
    (status = "4XX", description = "refused", body = Refusal),
    (status = 503, description = "not stored, or not known: send again with the same clientId", body = Refusal)))]
#[post("")]
async fn send(user: User, shared: web::Data<Shared>, Json(said): Json<Said>) -> Result<HttpResponse, Problem> {
    let command = Command::Send(said.send(&user.0.person.id)?);
    let Reply::Sent { message, topic, repeated } = shared.chat.run(user.0, command).await? else {
        return Err(ChatError::Internal.into());
    };
    let spoken = Spoken::of(&topic).ok_or(ChatError::NotFound("conversation"))?;
    let mut response = if repeated { HttpResponse::Ok() } else { HttpResponse::Created() };
    Ok(response.json(Success::of(Message::of(&message, &spoken, false))))
}

/// A page of messages, oldest first; they are read then.
#[utoipa::path(tag = "book", params(("conversationId" = String, Path, description = "`<bookId>|<userA>:<userB>`"), PageQuery), security(("user" = [])), responses(
    (status = 200, description = "the page", body = inline(Success<Messages>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[get("/{conversationId}")]
async fn messages(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let conversation = named(id.into_inner(), &user.0)?;
    let limit = limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let page = match query.page.unwrap_or(1) {
        ..=0 => return Err(ChatError::invalid("`page` is at least 1").into()),
        page => u32::try_from(page).unwrap_or(u32::MAX),
    };
    let history = History { conversation, page: Page::Numbered(page), limit, readers: true };
    let Reply::History(found) = shared.chat.run(user.0.clone(), Command::History(history)).await? else {
        return Err(ChatError::Internal.into());
    };
    let body = Messages::of(&found, page, limit).ok_or(ChatError::NotFound("conversation"))?;
    // What was not shown, because it came meanwhile, is not read.
    if let Some(last) = found.messages.last() {
        let mark = Mark { conversation: ConversationRef::Id(found.topic.id), seq: Some(last.seq) };
        shared.chat.run(user.0, Command::Read(Read(mark))).await?;
    }
    Ok(done(body))
}

/// Marks everything in a conversation as read.
#[utoipa::path(tag = "book", params(("conversationId" = String, Path, description = "`<bookId>|<userA>:<userB>`")), security(("user" = [])), responses(
    (status = 200, description = "how many messages became read by it", body = inline(Success<Updated>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[put("/{conversationId}/read")]
async fn read(user: User, shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let mark = Mark { conversation: named(id.into_inner(), &user.0)?, seq: None };
    let Reply::Marked(marked) = shared.chat.run(user.0, Command::Read(Read(mark))).await? else {
        return Err(ChatError::Internal.into());
    };
    Ok(done(Updated { updated: marked.updated }))
}

/// One's conversations about books, the newest message first; those where nobody has written yet are left out.
#[utoipa::path(tag = "book", params(("userId" = String, Path, description = "the caller")), security(("user" = [])), responses(
    (status = 200, description = "all of them, 1,000 at most", body = inline(Success<Vec<Conversation>>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[get("/conversations/user/{userId}")]
async fn list(user: User, shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    own(id.into_inner(), &user.0)?;
    let viewer = user.0.person.id.clone();
    let all = Conversations { limit: CONVERSATIONS_WHOLE, cursor: None, about: Some((KIND.into(), None)) };
    let Reply::Conversations { conversations, .. } = shared.chat.run(user.0, Command::Conversations(all)).await? else {
        return Err(ChatError::Internal.into());
    };
    let shown: Vec<_> = conversations.iter().filter_map(|one| Conversation::of(one, &viewer)).collect();
    Ok(done(shown))
}

/// What is unread in one's conversations about books.
#[utoipa::path(tag = "book", params(("userId" = String, Path, description = "the caller")), security(("user" = [])), responses(
    (status = 200, description = "by conversation and in total", body = inline(Success<Unread>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[get("/unread/{userId}")]
async fn unread(user: User, shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    own(id.into_inner(), &user.0)?;
    let viewer = user.0.person.id.clone();
    let counts = Command::Unread(UnreadCounts { topics: true });
    let Reply::Unread(found) = shared.chat.run(user.0, counts).await? else { return Err(ChatError::Internal.into()) };
    Ok(done(Unread::of(&found, &viewer)))
}

/// Whom the caller talked to latest about a book.
#[utoipa::path(tag = "book", params(BookQuery), security(("user" = [])), responses(
    (status = 200, description = "the other one of the newest conversation", body = inline(Success<Partner>)),
    (status = "4XX", description = "refused; 404 where nobody has written about it", body = Refusal)))]
#[get("/partner")]
async fn partner(user: User, shared: web::Data<Shared>, query: web::Query<BookQuery>) -> Result<HttpResponse, Problem> {
    let book = Id(query.into_inner().book_id.ok_or_else(|| missing("bookId"))?).subject()?;
    let viewer = user.0.person.id.clone();
    let about = Some((KIND.into(), Some(book)));
    let mut wanted = Conversations { limit: PARTNER_PAGE, cursor: None, about };
    for _ in 0..CONVERSATIONS_WHOLE / PARTNER_PAGE {
        let page = shared.chat.run(user.0.clone(), Command::Conversations(wanted.clone())).await?;
        let Reply::Conversations { conversations, next } = page else { return Err(ChatError::Internal.into()) };
        if let Some(partner) = conversations.iter().find_map(|one| Partner::of(one, &viewer)) {
            return Ok(done(partner));
        }
        if next.is_none() {
            break;
        }
        wanted.cursor = next;
    }
    Err(ChatError::NotFound("chat about this book").into())
}
