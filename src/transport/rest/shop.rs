//! The shop vocabulary's REST calls under `/api/chat` (CONTRACT section 4): the same commands as on Socket.IO, the same JSON, in its
//! envelope.
//!
//! What lives here: the routes, from parameters to a command and from a reply to a body. What must not: rules of the chat.

use actix_web::{HttpResponse, HttpResponseBuilder, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::Problem;
use super::{Json, User, nothing_here};
use crate::error::ChatError;
use crate::protocol::command::UnreadCounts;
use crate::protocol::{Caller, Command, Reply, UserId};
use crate::transport::Shared;
use crate::vocabulary::shop::wire::{Conversation, NewMessage, PageOf, Status, UnreadCount, Updated};
use crate::vocabulary::shop::{self, conversation};
use crate::vocabulary::words::Claims;
use crate::vocabulary::words::Id;

/// What the routes are under.
pub const SCOPE: &str = "/api/chat";

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    let routes = scope(SCOPE)
        .service(open)
        .service(list)
        .service(history)
        .service(send)
        .service(read)
        .service(unread)
        .service(status)
        .default_service(web::to(nothing_here));
    config.service(routes);
}

/// How every call that succeeds is answered.
#[derive(Serialize, ToSchema)]
#[schema(as = shop::Success)]
struct Success<T> {
    success: bool,
    /// What was asked for.
    data: T,
}

/// How every call that is refused is answered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::Refusal)]
struct Refusal {
    success: bool,
    /// Why, in words.
    error: String,
    /// The stable code.
    code: &'static str,
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Refusal {
    fn of(error: &ChatError) -> Self {
        Self { success: false, error: error.to_string(), code: error.code(), retry_after: error.retry_after() }
    }
}

/// A refusal in this vocabulary's envelope.
pub fn refused(mut answer: HttpResponseBuilder, error: &ChatError) -> HttpResponse {
    answer.json(Refusal::of(error))
}

/// Whom to talk to.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::OpenBody)]
struct OpenBody {
    /// The shop's id of the user, or `support`.
    #[schema(value_type = Option<String>)]
    participant_id: Option<Id>,
    /// `support`, `customer_support` or `seller_support` asks for support without a participant.
    r#type: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    claims: Claims,
}

/// What to say.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = shop::SendBody)]
struct SendBody {
    /// 1 to 4,000 characters.
    #[schema(required, nullable = false)]
    message: Option<String>,
    /// `text` unless given.
    message_type: Option<String>,
    /// The caller's own name for it, at most 64 bytes: sent again with the same one, it is stored once.
    client_id: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    claims: Claims,
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// 50 unless given, 200 at most.
    #[param(value_type = Option<u32>)]
    limit: Option<Id>,
    /// The newest before the message with this id.
    #[param(value_type = Option<i64>)]
    before: Option<Id>,
}

/// Carries out a command and writes its reply.
async fn run(shared: &Shared, caller: Caller, command: Command) -> Result<HttpResponse, Problem> {
    fn data<T: Serialize>(data: T) -> HttpResponse {
        HttpResponse::Ok().json(Success { success: true, data })
    }
    fn created<T: Serialize>(new: bool, made: T) -> HttpResponse {
        if new { HttpResponse::Created().json(Success { success: true, data: made }) } else { data(made) }
    }
    Ok(match shared.chat.run(caller, command).await? {
        Reply::Conversation { conversation, created: new } => created(new, Conversation::of(&conversation)),
        Reply::Sent { message, repeated, .. } => created(!repeated, NewMessage::of(&message, false)),
        Reply::Conversations { conversations, .. } => {
            data(conversations.iter().map(Conversation::of).collect::<Vec<_>>())
        }
        Reply::History(page) => data(PageOf::of(&page)),
        Reply::Marked(marked) => data(Updated::of(&marked)),
        Reply::Unread(counts) => data(UnreadCount { unread_count: counts.total }),
        Reply::Presence(presence) => data(Status::of(&presence)),
        Reply::Done | Reply::Joined(_) | Reply::Left(_) => return Err(ChatError::Internal.into()),
    })
}

/// Opens the conversation that one has with somebody, or with support, or finds it.
#[utoipa::path(tag = "shop", operation_id = "shop_open", request_body = OpenBody, security(("user" = [])), responses(
    (status = 201, description = "opened", body = inline(Success<Conversation>)),
    (status = 200, description = "found", body = inline(Success<Conversation>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[post("/conversations")]
async fn open(user: User, shared: web::Data<Shared>, Json(body): Json<OpenBody>) -> Result<HttpResponse, Problem> {
    let caller = &user.0.person.id;
    body.claims.check(Some(caller))?;
    let command = shop::open(body.participant_id.as_ref(), body.r#type.as_deref(), caller)?;
    run(&shared, user.0, command).await
}

/// Lists one's conversations, newest activity first.
#[utoipa::path(tag = "shop", operation_id = "shop_list", security(("user" = [])), responses(
    (status = 200, description = "all of them", body = inline(Success<Vec<Conversation>>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[get("/conversations")]
async fn list(user: User, shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    run(&shared, user.0, Command::Conversations(shop::whole_list())).await
}

/// A page of messages, oldest first.
#[utoipa::path(tag = "shop", operation_id = "shop_history", params(("id" = i64, Path, description = "the conversation"), PageQuery), security(("user" = [])), responses(
    (status = 200, description = "a page", body = inline(Success<PageOf>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[get("/conversations/{id}/messages")]
async fn history(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let conversation = conversation(&Id(id.into_inner()))?;
    let history = shop::history(conversation, query.before.as_ref(), query.limit.as_ref())?;
    run(&shared, user.0, Command::History(history)).await
}

/// Sends a message; every participant hears it.
#[utoipa::path(tag = "shop", operation_id = "shop_send", params(("id" = i64, Path, description = "the conversation")), request_body = SendBody, security(("user" = [])), responses(
    (status = 201, description = "stored", body = inline(Success<NewMessage>)),
    (status = 200, description = "stored before, under the same clientId", body = inline(Success<NewMessage>)),
    (status = "4XX", description = "refused", body = Refusal),
    (status = 503, description = "not stored, or not known: send again with the same clientId", body = Refusal)))]
#[post("/conversations/{id}/messages")]
async fn send(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    Json(said): Json<SendBody>,
) -> Result<HttpResponse, Problem> {
    said.claims.check(Some(&user.0.person.id))?;
    let conversation = conversation(&Id(id.into_inner()))?;
    let send =
        shop::send(conversation, said.message.as_deref(), said.message_type.as_deref(), said.client_id.as_deref())?;
    run(&shared, user.0, Command::Send(send)).await
}

/// Marks all there is as read. A body is not needed.
#[utoipa::path(tag = "shop", operation_id = "shop_read", params(("id" = i64, Path, description = "the conversation")), security(("user" = [])), responses(
    (status = 200, description = "how many messages became read", body = inline(Success<Updated>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[post("/conversations/{id}/read")]
async fn read(
    user: User,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    body: Option<Json<Claims>>,
) -> Result<HttpResponse, Problem> {
    body.map_or_else(Claims::default, |Json(claims)| claims).check(Some(&user.0.person.id))?;
    let conversation = conversation(&Id(id.into_inner()))?;
    run(&shared, user.0, Command::Read(shop::read(conversation))).await
}

/// How many messages are unread everywhere.
#[utoipa::path(tag = "shop", operation_id = "shop_unread", security(("user" = [])), responses(
    (status = 200, description = "in total", body = inline(Success<UnreadCount>)),
    (status = "4XX", description = "refused", body = Refusal)))]
#[get("/unread-count")]
async fn unread(user: User, shared: web::Data<Shared>) -> Result<HttpResponse, Problem> {
    run(&shared, user.0, Command::Unread(UnreadCounts { topics: false })).await
}

/// Whether somebody one talks to is online.
#[utoipa::path(tag = "shop", operation_id = "shop_status", params(("user_id" = String, Path, description = "the shop's id of the user")), security(("user" = [])), responses(
    (status = 200, description = "whether they are there", body = inline(Success<Status>)),
    (status = 404, description = "absent, or nobody the caller talks to", body = Refusal)))]
#[get("/users/{user_id}/status")]
async fn status(user: User, shared: web::Data<Shared>, user_id: web::Path<String>) -> Result<HttpResponse, Problem> {
    run(&shared, user.0, Command::Presence(UserId::parse(&user_id)?)).await
}
