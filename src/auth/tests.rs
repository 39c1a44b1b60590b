//! What tokens are taken for, and which are refused.

use serde_json::json;

use super::*;

fn tokens() -> Tokens {
    Tokens::new(&"a secret of thirty-two bytes, or so".into(), None, None)
}

fn signed(tokens: &Tokens, claims: &Value) -> String {
    encode(&Header::default(), claims, &tokens.encoding).unwrap()
}

fn soon() -> i64 {
    Timestamp::now().0 / 1_000 + 60
}

#[test]
fn a_user_is_known_by_sub_then_user_id_then_id() {
    let tokens = tokens();
    let exp = soon();
    let rows = [
        (json!({"sub": "a", "userId": "b", "id": "c", "exp": exp}), "a"),
        (json!({"userId": "b", "id": "c", "exp": exp}), "b"),
        (json!({"id": 42, "exp": exp}), "42"),
        (json!({"sub": null, "id": "c", "exp": exp}), "c"),
    ];
    for (claims, user) in rows {
        assert_eq!(tokens.verify(&signed(&tokens, &claims)).unwrap().user.as_str(), user, "{claims}");
    }
}

#[test]
fn names_and_roles_are_cleaned_of_what_could_deceive_a_terminal() {
    let tokens = tokens();
    let claims = json!({"sub": "a", "displayName": "Al\u{1b}[31mice\r\n", "role": "seller", "exp": soon()});
    let claims = tokens.verify(&signed(&tokens, &claims)).unwrap();
    assert_eq!(claims.name.as_deref(), Some("Al[31mice"));
    assert_eq!(claims.role.as_deref(), Some("seller"));
}

#[test]
fn what_is_wrong_with_a_token_is_refused() {
    let tokens = tokens();
    let exp = soon();
    let bad = [
        json!({"sub": "a"}),
        json!({"sub": "a", "exp": exp.to_string()}),
        json!({"sub": "a", "exp": -1}),
        json!({"sub": "a", "exp": 1}),
        json!({"sub": "a", "exp": 1e300}),
        json!({"sub": "a", "exp": 18_446_744_073_709_551_615_u64}),
        json!({"sub": "a", "exp": exp, "nbf": exp}),
        json!({"sub": "a", "exp": exp, "nbf": "soon"}),
        json!({"sub": "a", "exp": exp, "iss": 5}),
        json!({"sub": "a", "exp": exp, "aud": {"x": 1}}),
        json!({"sub": {"x": 1}, "exp": exp}),
        json!({"sub": "", "exp": exp}),
        json!({"sub": "a\u{0}", "exp": exp}),
        json!({"exp": exp}),
        json!([]),
    ];
    for claims in bad {
        let refused = tokens.verify(&signed(&tokens, &claims)).unwrap_err();
        assert_eq!(refused.code(), "unauthorized", "{claims}");
    }
}

#[test]
fn forged_and_garbled_tokens_are_refused() {
    let tokens = tokens();
    let good = signed(&tokens, &json!({"sub": "a", "exp": soon()}));
    let other = Tokens::new(&"another secret of thirty-two bytes".into(), None, None);
    let (head, rest) = good.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"; // {"alg":"none","typ":"JWT"}
    let payload = rest.split_once('.').unwrap().0;
    let bad = [
        String::new(),
        "x".into(),
        "..".into(),
        format!("{none}.{payload}."),
        format!("{none}.{rest}"),
        format!("{good}x"),
        format!("{good}.x"),
        format!("{head}.{payload}."),
        signed(&other, &json!({"sub": "a", "exp": soon()})),
        "x".repeat(1_000_000),
    ];
    for token in bad {
        assert_eq!(tokens.verify(&token).unwrap_err().code(), "unauthorized", "{token:.80}");
    }
    assert!(tokens.verify(&good).is_ok());
}

#[test]
fn a_claim_given_twice_is_refused() {
    // The claims as text, since a JSON value cannot hold a name twice.
    let tokens = tokens();
    let twice = format!(r#"{{"sub":"alice","sub":"bob","exp":{}}}"#, soon());
    let raw = serde_json::value::RawValue::from_string(twice).unwrap();
    let token = encode(&Header::default(), &raw, &tokens.encoding).unwrap();
    assert!(tokens.verify(&token).is_err());
}

#[test]
fn issuer_and_audience_are_demanded_where_configured() {
    let secret: SecretString = "a secret of thirty-two bytes, or so".into();
    let strict = Tokens::new(&secret, Some("shop".into()), Some("chat".into()));
    let exp = soon();
    let rows = [
        (json!({"sub": "a", "exp": exp, "iss": "shop", "aud": "chat"}), true),
        (json!({"sub": "a", "exp": exp, "iss": "shop", "aud": ["web", "chat"]}), true),
        (json!({"sub": "a", "exp": exp, "iss": "shop"}), false),
        (json!({"sub": "a", "exp": exp, "aud": "chat"}), false),
        (json!({"sub": "a", "exp": exp, "iss": "other", "aud": "chat"}), false),
        (json!({"sub": "a", "exp": exp, "iss": ["shop"], "aud": "chat"}), false),
    ];
    for (claims, good) in rows {
        assert_eq!(strict.verify(&signed(&strict, &claims)).is_ok(), good, "{claims}");
    }
    let open = tokens();
    assert!(open.verify(&signed(&open, &json!({"sub": "a", "exp": exp, "aud": "anyone"}))).is_ok());
}

#[test]
fn only_the_whole_server_key_is_the_server_key() {
    let key: SecretString = "server-key".into();
    assert!(is_server_key("server-key", &key));
    for bad in ["", "server-ke", "server-key ", "Server-key", "server-keyserver-key"] {
        assert!(!is_server_key(bad, &key), "{bad:?}");
    }
    assert!(!is_server_key("", &"".into()));
}

/// Claims of all sorts, good ones among them.
fn claims() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let text = || prop_oneof!["[a-z]{1,12}", "\\PC{0,20}"];
    let value = || prop_oneof![text().prop_map(Value::from), any::<i64>().prop_map(Value::from), Just(Value::Null)];
    let exp = prop_oneof![Just(json!(soon())), any::<i64>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    let name =
        prop::sample::select(vec!["sub", "userId", "id", "name", "displayName", "username", "role", "nbf", "iss"]);
    (prop::collection::btree_map(name, value(), 0..6), exp).prop_map(|(claims, exp)| {
        let mut all: serde_json::Map<_, _> = claims.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        all.insert("exp".to_owned(), exp);
        Value::Object(all)
    })
}

proptest::proptest! {
    #[test]
    fn garbage_is_refused_and_nothing_falls_over_it(token in "\\PC{0,60}|[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}") {
        proptest::prop_assert_eq!(tokens().verify(&token).unwrap_err().code(), "unauthorized");
    }

    #[test]
    fn whatever_is_signed_names_a_user_or_is_refused(claims in claims()) {
        let tokens = tokens();
        match tokens.verify(&signed(&tokens, &claims)) {
            Ok(read) => {
                proptest::prop_assert!(UserId::parse(read.user.as_str()).is_ok());
                proptest::prop_assert!(read.expires_at_s >= soon() - 61);
            }
            Err(error) => proptest::prop_assert_eq!(error.code(), "unauthorized"),
        }
    }

    #[test]
    fn a_token_changed_in_any_letter_no_longer_passes(at in 0_usize..1_000, with in "[A-Za-z0-9_.-]") {
        let tokens = tokens();
        let good = tokens.sign(&UserId::stored("alice"), Some("Alice"), Some("customer"), Duration::from_secs(60)).unwrap();
        let at = at % good.len();
        let mut changed = good.clone();
        changed.replace_range(at..=at, &with);
        // The signature's last letter carries two bits that mean nothing, and a decoder refuses them unless they are 0.
        proptest::prop_assume!(changed != good);
        proptest::prop_assert_eq!(tokens.verify(&changed).map_err(|error| error.code()), Err("unauthorized"));
    }

    #[test]
    fn only_the_right_secret_makes_a_token(secret in "[ -~]{1,64}") {
        proptest::prop_assume!(secret != "a secret of thirty-two bytes, or so");
        let other = Tokens::new(&secret.into(), None, None);
        let token = other.sign(&UserId::stored("alice"), None, None, Duration::from_secs(60)).unwrap();
        proptest::prop_assert!(tokens().verify(&token).is_err());
        proptest::prop_assert!(other.verify(&token).is_ok());
    }
}
