//! What CONTRACT.md promises, as a client notices it, on both databases.
//!
//! What lives here: a file a subject. What must not: what holds through crashes and races (`invariants` has it).

mod conversations;
mod edges;
mod events;
mod history;
mod limits;
mod operations;
mod origins;
mod people;
mod presence;
mod privacy;
mod tokens;

use serde_json::Value;

/// A time as the contract writes it: `2026-01-20T12:35:00.000Z`.
fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let digits_as_zero: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(digits_as_zero, "0000-00-00T00:00:00.000Z", "{value}");
}

/// The names of an object's fields, in alphabetical order.
fn fields(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
