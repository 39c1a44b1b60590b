//! The native REST calls under `/v1` (CONTRACT section 5): the same commands as on the WebSocket, the same JSON.
//!
//! What lives here: the routes, from parameters to a command and from a reply to a body. What must not: rules of the chat.

use std::sync::Arc;

use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::{Problem, ProblemBody};
use super::{Json, User};
use crate::error::ChatError;
use crate::protocol::command::{
    self, CONVERSATIONS_MAX, Conversations, History, Mark, Open, PAGE_DEFAULT, PAGE_MAX, PARTICIPANTS_MAX, Read,
    UnreadCounts,
};
use crate::protocol::ids::KEY_MAX;
use crate::protocol::model::{self, SUBJECT_KINDS};
use crate::protocol::{Body, Caller, ClientId, Command, ConversationRef, Reply, Seq, UserId};
use crate::transport::Shared;
use crate::vocabulary::native::{self, wire};

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(open)
        .service(list)
        .service(find)
        .service(history)
        .service(send)
        .service(read)
        .service(unread)
        .service(presence);
}

/// Whom to talk to.
#[derive(Deserialize, ToSchema)]
pub struct OpenBody {
    /// The others; the caller is added. 1 to 10,000.
    participants: Vec<ParticipantName>,
    /// What about.
    subject: Option<SubjectName>,
    /// A title.
    title: Option<String>,
}

/// Somebody.
#[derive(Deserialize, ToSchema)]
pub struct ParticipantName {
    /// The shop's id of the user.
    user_id: String,
}

/// What a conversation is about.
#[derive(Deserialize, ToSchema)]
pub struct SubjectName {
    /// `item`, `book`, `order` or `product`.
    pub(super) kind: String,
    /// The shop's id of it.
    pub(super) id: String,
}

impl SubjectName {
    /// The plain kind and id.
    pub(super) fn parse(&self) -> Result<(Arc<str>, Arc<str>), ChatError> {
        subject(&self.kind, &self.id)
    }
}

/// A subject's kind and id from outside.
pub(super) fn subject(kind: &str, id: &str) -> Result<(Arc<str>, Arc<str>), ChatError> {
    if !SUBJECT_KINDS.contains(&kind) {
        return Err(ChatError::invalid(format!("a subject's kind is one of {}", SUBJECT_KINDS.join(", "))));
    }
    let id = crate::protocol::ids::printable(id, KEY_MAX, "a subject's id")?;
    Ok((kind.into(), id))
}

/// What to say.
#[derive(Deserialize, ToSchema)]
pub struct SendBody {
    /// 1 to 4,000 characters.
    body: String,
    /// The caller's own name for it, at most 64 bytes: sent again with the same one, it is stored once.
    client_id: Option<String>,
}

/// How far one has read.
#[derive(Deserialize, ToSchema)]
pub struct ReadBody {
    /// Up to and with this place.
    seq: i64,
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The newest before this seq.
    before: Option<i64>,
    /// The oldest after this seq.
    after: Option<i64>,
    /// 50 unless given, 200 at most.
    limit: Option<i64>,
}

/// Which conversations.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// 50 unless given, 100 at most.
    limit: Option<i64>,
    /// The page before's `next`.
    cursor: Option<String>,
}

/// Carries out a command and writes its reply.
async fn run(shared: &Shared, caller: Caller, command: Command) -> Result<HttpResponse, Problem> {
    let reply = shared.chat.run(caller, command).await?;
    let mut response = match &reply {
        Reply::Conversation { created: true, .. } | Reply::Sent { repeated: false, .. } => HttpResponse::Created(),
        _ => HttpResponse::Ok(),
    };
    Ok(match &reply {
        // A message stands alone here; on the WebSocket it stands beside `ok`.
        Reply::Sent { message, .. } => response.json(wire::Message::of(message)),
        reply => response.json(wire::Answer::of(reply)),
    })
}

/// Opens a conversation, or finds the one that two people have on the same subject.
#[utoipa::path(tag = "conversations", request_body = OpenBody, security(("user" = [])), responses(
    (status = 201, description = "opened", body = wire::Conversation),
    (status = 200, description = "found", body = wire::Conversation),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[post("/v1/conversations")]
async fn open(user: User, shared: web::Data<Shared>, body: Json<OpenBody>) -> Result<HttpResponse, Problem> {
    let Json(OpenBody { participants, subject, title }) = body;
    if participants.len() > PARTICIPANTS_MAX {
        return Err(
            ChatError::TooLarge(format!("a conversation has at most {PARTICIPANTS_MAX} participants").into()).into()
        );
    }
    let participants = participants.iter().map(|one| UserId::parse(&one.user_id)).collect::<Result<Vec<_>, _>>()?;
    if participants.iter().all(|one| *one == user.0.person.id) {
        return Err(ChatError::invalid("`participants` names nobody but the caller").into());
    }
    let subject = subject.as_ref().map(SubjectName::parse).transpose()?;
    let title = title.as_deref().map(model::name).transpose()?;
    run(&shared, user.0, Command::Open(Open { participants, subject, title, pairings: None })).await
}

/// Lists one's conversations, newest activity first.
#[utoipa::path(tag = "conversations", params(ListQuery), security(("user" = [])), responses(
    (status = 200, description = "a page", body = wire::Conversations),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/v1/conversations")]
async fn list(user: User, shared: web::Data<Shared>, query: web::Query<ListQuery>) -> Result<HttpResponse, Problem> {
    let limit = native::limit(query.limit, PAGE_DEFAULT, CONVERSATIONS_MAX)?;
    let cursor = query.cursor.as_deref().map(native::list_cursor).transpose()?;
    run(&shared, user.0, Command::Conversations(Conversations { limit, cursor, about: None })).await
}

/// One of one's conversations, by id or key.
#[utoipa::path(tag = "conversations", params(("id" = String, Path, description = "id or key")), security(("user" = [])), responses(
    (status = 200, description = "the conversation", body = wire::Conversation),
    (status = 404, description = "absent, or not the caller's", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/v1/conversations/{id}")]
async fn find(user: User, shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    run(&shared, user.0, Command::Conversation(ConversationRef::parse(&id)?)).await
}

/// A page of messages, oldest first: the newest, or those before or after a seq.
#[utoipa::path(tag = "messages", params(("id" = String, Path, description = "id or key"), PageQuery), security(("user" = [])), responses(
    (status = 200, description = "a page", body = wire::Messages),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/v1/conversations/{id}/messages")]
async fn history(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let conversation = ConversationRef::parse(&id)?;
    let page = native::page(query.before, query.after)?;
    let limit = native::limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
    run(&shared, user.0, Command::History(History { conversation, page, limit, readers: false })).await
}

/// Sends a message; everyone who listens hears it.
#[utoipa::path(tag = "messages", params(("id" = String, Path, description = "id or key")), request_body = SendBody, security(("user" = [])), responses(
    (status = 201, description = "stored", body = wire::Message),
    (status = 200, description = "stored before, under the same client_id", body = wire::Message),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "not stored, or not known: send again with the same client_id", body = ProblemBody, content_type = "application/problem+json")))]
#[post("/v1/conversations/{id}/messages")]
async fn send(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    Json(said): Json<SendBody>,
) -> Result<HttpResponse, Problem> {
    let send = command::Send {
        conversation: ConversationRef::parse(&id)?,
        body: Body::parse(&said.body)?,
        kind: "text".into(),
        client_id: said.client_id.as_deref().map(ClientId::parse).transpose()?,
    };
    run(&shared, user.0, Command::Send(send)).await
}

/// Marks everything up to a seq as read.
#[utoipa::path(tag = "messages", params(("id" = String, Path, description = "id or key")), request_body = ReadBody, security(("user" = [])), responses(
    (status = 200, description = "what is unread there now", body = inline(UnreadNow)),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[post("/v1/conversations/{id}/read")]
async fn read(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    Json(body): Json<ReadBody>,
) -> Result<HttpResponse, Problem> {
    let mark = Mark { conversation: ConversationRef::parse(&id)?, seq: Some(Seq::parse(body.seq)?) };
    run(&shared, user.0, Command::Read(Read(mark))).await
}

/// The answer to marking as read.
#[derive(ToSchema)]
#[expect(dead_code, reason = "stands for its shape in the API's description")]
struct UnreadNow {
    /// How many messages of others are unread in the conversation.
    unread: u64,
}

/// All unread counts.
#[utoipa::path(tag = "messages", security(("user" = [])), responses(
    (status = 200, description = "by conversation and in total", body = wire::Unread),
    (status = 401, description = "no valid token", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/v1/unread")]
async fn unread(user: User, shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    run(&shared, user.0, Command::Unread(UnreadCounts { topics: false })).await
}

/// Whether somebody one talks to is online.
#[utoipa::path(tag = "users", params(("id" = String, Path, description = "the user's id")), security(("user" = [])), responses(
    (status = 200, description = "whether they are there", body = wire::Presence),
    (status = 404, description = "absent, or nobody the caller talks to", body = ProblemBody, content_type = "application/problem+json")))]
#[get("/v1/users/{id}/presence")]
async fn presence(user: User, shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    run(&shared, user.0, Command::Presence(UserId::parse(&id)?)).await
}
