//! The `order` vocabulary's REST calls under `/api/v0/chat` (CONTRACT section 4): history, unread counts, marking as read.
//!
//! What lives here: the routes and their envelope, `{status, data}` or `{status, message, code}`. What must not: rules of the chat.

use actix_web::{HttpResponse, HttpResponseBuilder, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use super::problem::Problem;
use super::{Json, User, nothing_here};
use crate::error::ChatError;
use crate::protocol::command::{History, Mark, PAGE_DEFAULT, PAGE_MAX, Page, Read, UnreadCounts};
use crate::protocol::{Command, MessageId, Reply};
use crate::transport::Shared;
use crate::vocabulary::native;
use crate::vocabulary::order::{self, Message, Updated};
use crate::vocabulary::words::{self, Id};

/// What the routes are under.
pub const SCOPE: &str = "/api/v0/chat";

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config.service(
        scope::scope(SCOPE).service(messages).service(unread).service(read).default_service(web::to(nothing_here)),
    );
}

/// What was asked for.
#[derive(Serialize, ToSchema)]
struct Success<T> {
    /// Always `success`.
    status: &'static str,
    /// What was asked for.
    data: T,
}

/// Why it was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderFailure)]
struct Failure {
    /// Always `error`.
    status: &'static str,
    /// In words.
    message: String,
    /// The stable code.
    code: &'static str,
    /// Seconds to wait before trying again.
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

fn success<T: Serialize>(data: T) -> HttpResponse {
    HttpResponse::Ok().json(Success { status: "success", data })
}

/// A refusal in this vocabulary's envelope.
pub fn refused(mut answer: HttpResponseBuilder, error: &ChatError) -> HttpResponse {
    answer.json(Failure {
        status: "error",
        message: error.to_string(),
        code: error.code(),
        retry_after: error.retry_after(),
    })
}

/// Whom a caller claims to be, beside the token; a claim that is not true is refused.
#[derive(Deserialize, ToSchema)]
#[schema(as = OrderClaimed)]
#[serde(rename_all = "camelCase")]
struct Claimed {
    /// The caller's id.
    #[schema(value_type = Option<String>)]
    user_id: Option<Id>,
    /// Likewise.
    #[schema(value_type = Option<String>)]
    sender_id: Option<Id>,
}

/// Which messages.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct PageQuery {
    /// 50 unless given, 200 at most.
    limit: Option<i64>,
    /// The newest before this message's id.
    before: Option<i64>,
    /// The caller, if anybody.
    user_id: Option<String>,
}

/// A page of an order's messages, oldest first; marks nothing read.
#[utoipa::path(tag = "order", params(("orderId" = String, Path, description = "the order's id"), PageQuery), security(("user" = [])), responses(
    (status = 200, description = "a page", body = inline(Success<Vec<Message<'static>>>)),
    (status = "4XX", description = "refused", body = Failure)))]
#[get("/messages/{orderId}")]
async fn messages(
    user: User,
    shared: web::Data<Shared>,
    order: web::Path<String>,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    words::claim(query.user_id.map(Id).as_ref(), Some(&user.0.person.id))?;
    let conversation = order::conversation(&Id(order.into_inner()))?;
    let page = match query.before {
        Some(before) => Page::BeforeMessage(MessageId::parse(before)?),
        None => Page::Newest,
    };
    let limit = native::limit(query.limit, PAGE_DEFAULT, PAGE_MAX)?;
    let history = History { conversation, page, limit, readers: true };
    match shared.chat.run(user.0, Command::History(history)).await? {
        Reply::History(page) => Ok(success(order::messages(&page))),
        _ => Err(ChatError::Internal.into()),
    }
}

/// Which order.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct UnreadQuery {
    /// The order's id; without it all orders are counted.
    order_id: Option<String>,
    /// The caller, if anybody.
    user_id: Option<String>,
}

/// How many messages of others are unread.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Unread {
    /// In the order, or in all.
    unread_count: u64,
}

/// How many messages of others are unread, in one order or in all of the caller's.
#[utoipa::path(tag = "order", params(UnreadQuery), security(("user" = [])), responses(
    (status = 200, description = "the count", body = inline(Success<Unread>)),
    (status = "4XX", description = "refused", body = Failure)))]
#[get("/unread")]
async fn unread(
    user: User,
    shared: web::Data<Shared>,
    query: web::Query<UnreadQuery>,
) -> Result<HttpResponse, Problem> {
    let UnreadQuery { order_id, user_id } = query.into_inner();
    words::claim(user_id.map(Id).as_ref(), Some(&user.0.person.id))?;
    let command = match order_id {
        Some(id) => Command::Conversation(order::conversation(&Id(id))?),
        None => Command::Unread(UnreadCounts { topics: true }),
    };
    let unread_count = match shared.chat.run(user.0, command).await? {
        Reply::Conversation { conversation, .. } => conversation.unread,
        Reply::Unread(unread) => {
            let counted = unread.conversations.iter().zip(&unread.topics);
            counted.filter(|(_, topic)| order::order_id(topic).is_some()).map(|(one, _)| one.count).sum()
        }
        _ => return Err(ChatError::Internal.into()),
    };
    Ok(success(Unread { unread_count }))
}

/// Marks everything in an order as read.
#[utoipa::path(tag = "order", params(("orderId" = String, Path, description = "the order's id")), security(("user" = [])), responses(
    (status = 200, description = "how many were unread", body = inline(Success<Updated>)),
    (status = "4XX", description = "refused", body = Failure)))]
#[post("/read/{orderId}")]
async fn read(
    user: User,
    shared: web::Data<Shared>,
    order: web::Path<String>,
    claimed: Option<Json<Claimed>>,
) -> Result<HttpResponse, Problem> {
    if let Some(Json(Claimed { user_id, sender_id })) = claimed {
        for id in [user_id, sender_id] {
            words::claim(id.as_ref(), Some(&user.0.person.id))?;
        }
    }
    let mark = Mark { conversation: order::conversation(&Id(order.into_inner()))?, seq: None };
    match shared.chat.run(user.0, Command::Read(Read(mark))).await? {
        Reply::Marked(marked) => Ok(success(Updated::of(&marked))),
        _ => Err(ChatError::Internal.into()),
    }
}
