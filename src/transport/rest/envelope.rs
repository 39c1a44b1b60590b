//! In whose words a refusal over HTTP is told: each vocabulary's routes have an envelope of their own, for whoever refuses.
//!
//! What lives here: which paths are whose, and putting refusals into their envelope. What must not: the envelopes (each vocabulary's file
//! has its own), or deciding on errors.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpResponse, ResponseError};

use super::problem::Problem;
use super::{book, order, shop};
use crate::error::ChatError;

/// Writes a refusal.
type Write = fn(&ChatError) -> serde_json::Result<String>;

/// Whose routes begin how, and how they tell a refusal. All others do it as RFC 9457 says.
const ENVELOPES: [(&str, Write); 3] =
    [(book::PREFIX, book::refusal), (order::PREFIX, order::refusal), (shop::PREFIX, shop::refusal)];

/// Tells a refusal in the words of whoever's route it was.
pub(super) fn put<B: MessageBody>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
    let path = response.request().path();
    let within = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let write = ENVELOPES.iter().find(|(prefix, _)| within(prefix)).map(|(_, write)| write);
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>());
    let Some((write, problem)) = write.zip(problem) else { return response.map_into_left_body() };
    let mut refused = HttpResponse::build(problem.status_code());
    // What others have said of the answer, such as which pages may read it, holds for its envelope.
    for (name, value) in response.headers() {
        if !matches!(*name, CONTENT_TYPE | CONTENT_LENGTH | CONTENT_ENCODING) {
            refused.append_header((name, value));
        }
    }
    let refused = match write(problem.error()) {
        Ok(body) => refused.content_type("application/json").body(body),
        // Words and numbers alone: writing cannot fail.
        Err(_) => refused.finish(),
    };
    response.into_response(refused).map_into_right_body()
}
