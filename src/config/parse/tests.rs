//! Each kind of value at its edges.

use super::{choice, database_url, host, on_off, origins, redacted_url, whole};

#[test]
fn words_and_numbers() {
    assert_eq!(choice(" shop ", &["item", "shop"]), Ok("shop"));
    assert_eq!(choice("Shop", &["item", "shop"]), Err("`Shop` is none of `item`, `shop`".into()));
    assert_eq!((on_off("on"), on_off("false")), (Ok(true), Ok(false)));
    assert!(on_off("yes").is_err());
    assert_eq!(whole(" 25_000 ", 1, 30_000), Ok(25_000));
    for wrong in ["0", "30001", "-1", "1.5", "x", "99999999999999999999999"] {
        assert!(whole(wrong, 1, 30_000).is_err(), "{wrong} was taken");
    }
}

#[test]
fn hosts_have_no_scheme_and_no_port() {
    for (good, is) in [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("localhost", "localhost"),
        ("0.0.0.0", "0.0.0.0"),
    ] {
        assert_eq!(host(good).as_deref(), Ok(is));
    }
    for wrong in ["http://a.example", "a.example:80", "127.0.0.1:80", "a b", "[x]"] {
        assert!(host(wrong).is_err(), "{wrong} was taken");
    }
}

#[test]
fn database_urls_are_ours_and_their_errors_hide_the_password() {
    for good in ["sqlite://a.db?mode=rwc", "sqlite::memory:", "postgres://a:b@c/d", "postgresql://c/d"] {
        assert!(database_url(good).is_ok(), "{good} was refused");
    }
    for wrong in ["mysql://a:hunter2@c/d", "hunter2", "postgres://a:hunter2@c:port/d"] {
        let error = database_url(wrong).err().unwrap_or_default();
        assert!(!error.is_empty() && !error.contains("hunter2"), "{wrong}: {error}");
    }
}

#[test]
fn passwords_are_left_out_of_urls() {
    let shown = |url: &str| redacted_url(&url.into());
    assert_eq!(shown("postgres://bob:p%40ss@h:5/d?x=1"), "postgres://bob:redacted@h:5/d?x=1");
    assert_eq!(shown("postgres://h/d"), "postgres://h/d");
    assert_eq!(shown("sqlite://a.db?mode=rwc"), "sqlite://a.db?mode=rwc");
    assert_eq!(shown("post gres"), super::REDACTED);
}

#[test]
fn origins_take_the_form_that_browsers_send() {
    let (good, wrong) =
        origins("HTTPS://Shop.Example:443, http://localhost:8080,,https://shop.example,http://[::1]:80");
    assert_eq!(good, ["https://shop.example", "http://localhost:8080", "http://[::1]"]);
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn what_no_browser_sends_is_refused_with_what_it_would_send() {
    for (text, words) in [
        ("https://shop.example/", "ends with a slash; browsers send it without: https://shop.example"),
        ("https://shop.example/chat", "browsers send https://shop.example"),
        ("https://shop.example?x", "browsers send https://shop.example"),
        ("shop.example", "is not an origin"),
        ("shop.example:8080", "is not an origin"),
        ("ftp://shop.example", "is not an origin"),
        ("null", "is not an origin"),
        ("https://*.shop.example", "name each origin in full"),
        ("https://me@shop.example", "user name"),
        ("https://", "is not an origin"),
    ] {
        let (good, wrong) = origins(text);
        assert!(good.is_empty(), "{text} was taken as {good:?}");
        assert!(wrong.iter().any(|wrong| wrong.contains(words)), "{text}: {wrong:?}");
    }
}
