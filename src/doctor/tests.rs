//! What `haggle doctor` says as a whole.

use std::path::Path;

use super::{Mark, Report, examine};
use crate::config::Settings;

const SHORT: &str = "a-short-one";

async fn report(env: &[(&str, &str)]) -> Report {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    examine(Settings::load_with_sources([], env, Path::new("no-such-folder"))).await
}

fn line<'a>(report: &'a str, name: &str) -> &'a str {
    let found = report.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
    found.unwrap_or_else(|| panic!("no line on {name} in {report}"))
}

#[actix_web::test]
async fn a_first_start_is_well() {
    let report = report(&[("HAGGLE_DATABASE_URL", "sqlite::memory:"), ("HAGGLE_PORT", "0")]).await;
    let text = report.to_string();
    assert!(report.is_well(), "{text}");
    assert!(text.ends_with("Haggle can start."), "{text}");
    assert!(line(&text, "configuration").starts_with("✔"), "{text}");
    assert!(line(&text, "jwt").contains("random"), "{text}");
    assert!(line(&text, "port").contains("free"), "{text}");
}

#[actix_web::test]
async fn a_wrong_configuration_names_each_problem_on_a_line() {
    let report = report(&[("HAGGLE_MODE", "production"), ("HAGGLE_JWT_SECRET", SHORT)]).await;
    let text = report.to_string();
    assert!(!report.is_well(), "{text}");
    let wrong = report.checks.iter().filter(|check| check.mark == Mark::Wrong);
    assert_eq!(wrong.count(), 2, "{text}");
    assert!(text.contains("has 11 bytes") && text.contains("HAGGLE_SERVER_KEY is not set"), "{text}");
    assert!(!text.contains(SHORT), "a secret was shown: {text}");
}

#[actix_web::test]
async fn a_short_secret_is_a_note_in_development() {
    let env = [("HAGGLE_DATABASE_URL", "sqlite::memory:"), ("HAGGLE_PORT", "0"), ("HAGGLE_JWT_SECRET", SHORT)];
    let report = report(&env).await;
    let text = report.to_string();
    assert!(report.is_well(), "{text}");
    assert!(line(&text, "jwt").contains("11 bytes from HAGGLE_JWT_SECRET; too short"), "{text}");
    assert!(!text.contains(SHORT), "a secret was shown: {text}");
}

#[actix_web::test]
async fn one_wrong_thing_is_enough_not_to_be_well() {
    let report = report(&[("HAGGLE_DATABASE_URL", "sqlite://no-such-folder/a.db"), ("HAGGLE_PORT", "0")]).await;
    let text = report.to_string();
    assert!(!report.is_well(), "{text}");
    assert!(line(&text, "database").starts_with("✘"), "{text}");
    assert!(text.contains("Put right"), "{text}");
}
