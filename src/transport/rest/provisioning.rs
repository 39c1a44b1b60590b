//! The provisioning API (CONTRACT section 2): what the shop's backend says of users, subjects and conversations.
//!
//! What lives here: the routes, for the server key alone. What must not: rules of the chat.

use actix_web::{HttpResponse, delete, put, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::native::SubjectName;
use super::problem::{Problem, ProblemBody};
use super::{Json, PROVISIONING_BODY_MAX, Shop, native};
use crate::chat::Provisioned;
use crate::error::ChatError;
use crate::protocol::command::{PARTICIPANTS_MAX, Provision, PutConversation, PutSubject, PutUser};
use crate::protocol::model::{self, URL_MAX};
use crate::protocol::{UserId, ids};
use crate::transport::Shared;
use crate::vocabulary::native::wire;

/// Mounts the routes.
pub fn configure(config: &mut ServiceConfig) {
    config.service(put_user).service(put_subject).service(put_conversation).service(remove_participant);
}

/// What to change of a user; what is absent stays.
#[derive(Deserialize, ToSchema)]
pub struct UserBody {
    /// Goes before any token's.
    name: Option<String>,
    /// Goes before any token's.
    role: Option<String>,
    /// `active` or `suspended`.
    status: Option<String>,
}

/// A user as they are now.
#[derive(Serialize, ToSchema)]
struct UserAnswer {
    id: String,
    name: String,
    role: String,
    /// `active` or `suspended`.
    status: &'static str,
}

/// What to change of a subject; what is absent stays.
#[derive(Deserialize, ToSchema)]
pub struct SubjectBody {
    /// What to call it.
    title: Option<String>,
    /// Who sells it.
    owner_id: Option<String>,
    /// Its page.
    url: Option<String>,
    /// Its picture.
    image_url: Option<String>,
}

/// A subject as it is now.
#[derive(Serialize, ToSchema)]
struct SubjectAnswer {
    kind: String,
    id: String,
    title: Option<String>,
    owner_id: Option<String>,
    url: Option<String>,
    image_url: Option<String>,
}

/// What to change of a conversation; what is absent stays, participants are added.
#[derive(Deserialize, ToSchema)]
pub struct ConversationBody {
    /// The shop's word for what it is.
    kind: Option<String>,
    /// A title.
    title: Option<String>,
    /// What it is about.
    subject: Option<SubjectName>,
    /// Who is in it; 10,000 at most in one call.
    participants: Vec<ParticipantBody>,
}

/// Somebody and their part.
#[derive(Deserialize, ToSchema)]
pub struct ParticipantBody {
    /// The shop's id of the user.
    user_id: String,
    /// `buyer`, `seller`, `agent` …
    role: Option<String>,
}

/// Creates a user or changes what is given. Suspending answers when their sockets are closed.
#[utoipa::path(tag = "provisioning", params(("id" = String, Path, description = "the shop's id of the user")), request_body = UserBody, security(("shop" = [])), responses(
    (status = 201, description = "created", body = UserAnswer),
    (status = 200, description = "changed", body = UserAnswer),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[put("/v1/users/{id}")]
async fn put_user(
    _: Shop,
    shared: web::Data<Shared>,
    id: web::Path<String>,
    Json(body): Json<UserBody>,
) -> Result<HttpResponse, Problem> {
    let active = match body.status.as_deref() {
        None => None,
        Some("active") => Some(true),
        Some("suspended") => Some(false),
        Some(_) => return Err(ChatError::invalid("`status` is `active` or `suspended`").into()),
    };
    let user = PutUser {
        id: UserId::parse(&id)?,
        name: body.name.as_deref().map(model::name).transpose()?,
        role: body.role.as_deref().map(role).transpose()?.flatten(),
        active,
    };
    answer(shared.chat.provision(Provision::User(user)).await?)
}

/// Creates a subject or changes what is given.
#[utoipa::path(tag = "provisioning", params(("kind" = String, Path, description = "item, book, order or product"), ("id" = String, Path, description = "the shop's id of it")), request_body = SubjectBody, security(("shop" = [])), responses(
    (status = 201, description = "created", body = SubjectAnswer),
    (status = 200, description = "changed", body = SubjectAnswer),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[put("/v1/subjects/{kind}/{id}")]
async fn put_subject(
    _: Shop,
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
    Json(body): Json<SubjectBody>,
) -> Result<HttpResponse, Problem> {
    let (kind, id) = native::subject(&path.0, &path.1)?;
    let link = |text: &String| ids::printable(text, URL_MAX, "a link");
    let subject = PutSubject {
        kind,
        id,
        title: body.title.as_deref().map(model::name).transpose()?,
        owner: body.owner_id.as_deref().map(UserId::parse).transpose()?,
        url: body.url.as_ref().map(link).transpose()?,
        image_url: body.image_url.as_ref().map(link).transpose()?,
    };
    answer(shared.chat.provision(Provision::Subject(subject)).await?)
}

/// Creates a conversation by the shop's key or changes what is given; adds participants and changes roles, removes none.
#[utoipa::path(tag = "provisioning", params(("key" = String, Path, description = "the shop's key, e.g. order:42")), request_body = ConversationBody, security(("shop" = [])), responses(
    (status = 201, description = "created", body = wire::Conversation),
    (status = 200, description = "changed", body = wire::Conversation),
    (status = "4XX", description = "refused", body = ProblemBody, content_type = "application/problem+json")))]
#[put("/v1/conversations/{key}")]
async fn put_conversation(
    _: Shop,
    shared: web::Data<Shared>,
    key: web::Path<String>,
    Json(body): Json<ConversationBody, PROVISIONING_BODY_MAX>,
) -> Result<HttpResponse, Problem> {
    if body.participants.len() > PARTICIPANTS_MAX {
        let text = format!("at most {PARTICIPANTS_MAX} participants in one call");
        return Err(ChatError::TooLarge(text.into()).into());
    }
    let participants = body
        .participants
        .iter()
        .map(|one| Ok((UserId::parse(&one.user_id)?, one.role.as_deref().map(role).transpose()?.flatten())));
    let conversation = PutConversation {
        key: ids::key(&key)?,
        kind: body.kind.as_deref().map(model::word).transpose()?,
        title: body.title.as_deref().map(model::name).transpose()?,
        subject: body.subject.as_ref().map(SubjectName::parse).transpose()?,
        participants: participants.collect::<Result<_, ChatError>>()?,
    };
    answer(shared.chat.provision(Provision::Conversation(conversation)).await?)
}

/// Takes somebody out of a conversation. Answers when their sockets have left.
#[utoipa::path(tag = "provisioning", params(("key" = String, Path, description = "the shop's key"), ("user_id" = String, Path, description = "who")), security(("shop" = [])), responses(
    (status = 204, description = "they are out"),
    (status = 404, description = "no such conversation, or they are not in it", body = ProblemBody, content_type = "application/problem+json")))]
#[delete("/v1/conversations/{key}/participants/{user_id}")]
async fn remove_participant(
    _: Shop,
    shared: web::Data<Shared>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (key, user) = (ids::key(&path.0)?, UserId::parse(&path.1)?);
    answer(shared.chat.provision(Provision::RemoveParticipant(key, user)).await?)
}

/// A role from outside; `""` is none.
fn role(text: &str) -> Result<Option<std::sync::Arc<str>>, ChatError> {
    if text.is_empty() { Ok(None) } else { model::word(text).map(Some) }
}

fn answer(provisioned: Provisioned) -> Result<HttpResponse, Problem> {
    let status = |created: bool| if created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(match provisioned {
        Provisioned::User { person, active, created } => status(created).json(UserAnswer {
            id: person.id.to_string(),
            name: person.name.to_string(),
            role: person.role.to_string(),
            status: if active { "active" } else { "suspended" },
        }),
        Provisioned::Subject { subject, created } => {
            let text = |text: Option<std::sync::Arc<str>>| text.map(|text| text.to_string());
            status(created).json(SubjectAnswer {
                kind: subject.kind.to_string(),
                id: subject.id.to_string(),
                title: text(subject.title),
                owner_id: subject.owner.map(|owner| owner.to_string()),
                url: text(subject.url),
                image_url: text(subject.image_url),
            })
        }
        Provisioned::Conversation { conversation, created } => {
            status(created).json(wire::Conversation::of(&conversation))
        }
        Provisioned::Removed => HttpResponse::NoContent().finish(),
    })
}
