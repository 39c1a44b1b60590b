//! Tokens as no well-meaning library writes them: any header, any claims, any signature.
//!
//! What lives here: making them, and the list of those that must be refused. What must not: where they are shown (in `tokens`).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::SAID;
use crate::support::rest::{now_s, sign_with, token};
use crate::support::server::{JWT_SECRET, SERVER_KEY};

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// What a thief signs with.
const OTHER_SECRET: &str = "another-secret-that-is-long-enough-0123";

/// What is no time that a token could end at, or one that is over.
const TIMES: [&str; 25] = [
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "-1",
    "-0",
    "0",
    "1",
    "-1e300",
    "1e300",
    "1e400",
    "-1e400",
    "1e-400",
    "0.1",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775807",
    "9223372036854775808",
    "9007199254740993",
    "99999999999999999999999999999999999999999999999999",
    "NaN",
    "Infinity",
    "0x7fffffff",
    "1_000",
];
/// What is nobody.
const SUBS: [&str; 15] = [
    "null",
    "\"\"",
    "true",
    "[]",
    "[\"alice\"]",
    "{}",
    "{\"toString\":\"alice\"}",
    "1.5",
    "1e400",
    "18446744073709551616",
    "\"\\u0000\"",
    "\"alice\\u0000\"",
    "\"alice\\n\"",
    "\"\\u001b[31malice\"",
    "\"\\ud800\"",
];

fn encoded(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// A token of these two texts, signed by an algorithm of the HMAC family whatever the header says.
fn signed_by(algorithm: Algorithm, secret: &str, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = EncodingKey::from_secret(secret.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, algorithm).expect("a signature");
    format!("{message}.{signature}")
}

/// A token of these two texts, signed with the right secret.
pub fn token_of(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    signed_by(Algorithm::HS256, JWT_SECRET, header, claims)
}

/// The claims of a good token of alice's, as text, with more before the end.
pub fn claims_with(more: &str) -> String {
    format!("{{\"sub\":\"alice\",\"exp\":{}{more}}}", now_s() + 600)
}

/// Tokens that are good, whatever else they carry: nothing in a header is fetched, opened or asked.
pub fn good() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = [
        r#""kid":"../../../../etc/passwd""#.to_owned(),
        r#""kid":"/proc/self/environ""#.to_owned(),
        r#""kid":"' UNION SELECT 'x' --""#.to_owned(),
        r#""kid":"x\u0000|/bin/true""#.to_owned(),
        format!("\"kid\":\"{}\"", "k".repeat(2_000)),
        r#""jku":"http://127.0.0.1:1/keys","x5u":"http://127.0.0.1:1/certificate""#.to_owned(),
        r#""jwk":{"kty":"oct","k":"AAAA"}"#.to_owned(),
        r#""x5c":["AAAA"],"x5t":"AAAA""#.to_owned(),
    ]
    .into_iter()
    .map(|more| {
        (format!("a header with {more:.40}"), token_of(format!("{{\"alg\":\"HS256\",{more}}}"), claims_with("")))
    })
    .collect();
    let name = format!(",\"name\":\"{SAID}\\u001b[31m\\r\\n\",\"role\":\"\\u0000\"");
    all.push(("a name with control characters".into(), token_of(HS256, claims_with(&name))));
    let deep = format!(",\"x\":{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    all.push(("a claim of no meaning, and deep".into(), token_of(HS256, claims_with(&deep))));
    all.push((
        "a fraction of a second".into(),
        token_of(HS256, format!("{{\"sub\":\"alice\",\"exp\":{}.5}}", now_s() + 600)),
    ));
    all
}

/// Tokens that must be refused, each with what is wrong with it.
pub fn bad() -> Vec<(String, String)> {
    let mut all = algorithms();
    all.extend(forms());
    all.extend(claims());
    all.extend(headers());
    all
}

/// A header that names another algorithm than HS256, or none.
fn algorithms() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let spellings = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!("\u{0}none"),
        json!(""),
        json!(null),
        json!(0),
        json!(["HS256"]),
        json!({"alg": "HS256"}),
        json!("hs256"),
        json!("HS256 "),
        json!("HS256\u{0}"),
        json!("HMACSHA256"),
        json!("HS384"),
        json!("HS512"),
        json!("RS256"),
        json!("PS256"),
        json!("ES256"),
        json!("EdDSA"),
        json!("ES256K"),
        json!("dir"),
    ];
    for alg in &spellings {
        let header = json!({ "typ": "JWT", "alg": alg }).to_string();
        let message = format!("{}.{}", encoded(&header), encoded(claims_with("")));
        all.push((format!("{alg}, unsigned"), format!("{message}.")));
        // The shared secret as if it were a public key that HMAC takes for its key.
        all.push((format!("{alg}, signed as HS256"), token_of(&header, claims_with(""))));
    }
    for (name, algorithm) in [("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let header = format!("{{\"alg\":\"{name}\"}}");
        all.push((format!("{name}, rightly signed"), signed_by(algorithm, JWT_SECRET, header, claims_with(""))));
        all.push((format!("HS256, signed as {name}"), signed_by(algorithm, JWT_SECRET, HS256, claims_with(""))));
    }
    for header in ["{}", r#"{"typ":"JWT"}"#, "[]", "null", "7", "\"HS256\"", "", "{", "\u{feff}{\"alg\":\"HS256\"}"] {
        all.push((format!("the header {header}"), token_of(header, claims_with(""))));
    }
    let twice = r#"{"alg":"none","alg":"HS256"}"#;
    all.push(("alg twice".into(), token_of(twice, claims_with(""))));
    all.push(("a header that is no UTF-8".into(), token_of(b"{\"alg\":\"HS256\",\"kid\":\"\xff\"}", claims_with(""))));
    all
}

/// A good token changed in its form.
fn forms() -> Vec<(String, String)> {
    let good = token("alice");
    let parts: Vec<&str> = good.split('.').collect();
    let (head, body, signature) = (parts[0], parts[1], parts[2]);
    let decoded = URL_SAFE_NO_PAD.decode(signature).expect("a signature");
    let bob = encoded(format!("{{\"sub\":\"bob\",\"exp\":{}}}", now_s() + 600));
    let forms = [
        ("nothing", String::new()),
        ("a space", " ".into()),
        ("dots", "..".into()),
        ("more dots", "....".into()),
        ("one part", head.into()),
        ("two parts", format!("{head}.{body}")),
        ("no signature", format!("{head}.{body}.")),
        ("no claims", format!("{head}..{signature}")),
        ("no header", format!(".{body}.{signature}")),
        ("a fourth part", format!("{good}.{signature}")),
        ("an empty fourth part", format!("{good}.")),
        ("the five parts of an encrypted one", format!("{head}.{body}.{signature}.{body}.{signature}")),
        ("a dot before", format!(".{good}")),
        ("other claims under the same signature", format!("{head}.{bob}.{signature}")),
        ("half a signature", format!("{head}.{body}.{}", encoded(&decoded[..16]))),
        ("one byte of a signature", format!("{head}.{body}.{}", encoded(&decoded[..1]))),
        ("a longer signature", format!("{head}.{body}.{}", encoded([decoded.as_slice(), b"x"].concat()))),
        ("a signature of zeros", format!("{head}.{body}.{}", encoded([0; 32]))),
        ("a padded signature", format!("{good}=")),
        ("padded claims", format!("{head}.{body}=.{signature}")),
        ("the other base64", format!("{head}.{body}.{}", STANDARD.encode(&decoded))),
        ("a byte behind", format!("{good}A")),
        ("a NUL behind", format!("{good}\0")),
        ("a line's end behind", format!("{good}\n")),
        ("a line's end within", format!("{head}.\n{body}.{signature}")),
        ("a space within", format!("{head}. {body}.{signature}")),
        ("quotes", format!("\"{good}\"")),
        ("the scheme again", format!("Bearer {good}")),
        ("percent signs", good.replace('.', "%2e")),
        ("a full-width dot", good.replace('.', "．")),
        ("letters that are none", format!("{head}.{body}.ä{signature}")),
        ("JSON", json!({ "payload": body, "protected": head, "signature": signature }).to_string()),
        ("two in one", format!("{good},{good}")),
        ("the secret", JWT_SECRET.into()),
        ("the server key", SERVER_KEY.into()),
        ("another's signature", sign_with(&json!({ "sub": "alice", "exp": now_s() + 600 }), OTHER_SECRET)),
        ("an empty key", signed_by(Algorithm::HS256, "", HS256, claims_with(""))),
        ("the algorithm as key", signed_by(Algorithm::HS256, "HS256", HS256, claims_with(""))),
    ];
    forms.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
}

/// Rightly signed claims that name no user, or no time.
fn claims() -> Vec<(String, String)> {
    let (now, exp) = (now_s(), now_s() + 600);
    let mut rows: Vec<String> = vec![format!("{{\"exp\":{exp}}}"), "{\"sub\":\"alice\"}".into()];
    rows.extend(TIMES.map(|time| format!("{{\"sub\":\"alice\",\"exp\":{time}}}")));
    rows.push(format!("{{\"sub\":\"alice\",\"exp\":\"{exp}\"}}"));
    rows.push(format!("{{\"sub\":\"alice\",\"exp\":[{exp}]}}"));
    rows.push(format!("{{\"sub\":\"alice\",\"exp\":{}}}", now - 1));
    rows.push(format!("{{\"sub\":\"alice\",\"exp\":{}.9}}", now - 1));
    let with_exp = |more: &str| format!("{{\"exp\":{exp},{more}}}");
    for nbf in [
        format!("\"{now}\""),
        exp.to_string(),
        format!("{exp}.5"),
        "[]".into(),
        "true".into(),
        "1e400".into(),
        "18446744073709551616".into(),
    ] {
        rows.push(with_exp(&format!("\"sub\":\"alice\",\"nbf\":{nbf}")));
    }
    let odd = ["7", "true", "{}", "[7]", "[null]", "[[\"a\"]]", "1e400"];
    for claim in ["iss", "aud"] {
        rows.extend(odd.map(|value| with_exp(&format!("\"sub\":\"alice\",\"{claim}\":{value}"))));
    }
    rows.push(with_exp("\"sub\":\"alice\",\"iss\":[\"shop\"]"));
    let long = format!("\"{}\"", "s".repeat(257));
    for sub in SUBS.iter().copied().chain([long.as_str()]) {
        rows.push(with_exp(&format!("\"sub\":{sub}")));
    }
    // Two readers could take these for two users, or for two times.
    rows.push(with_exp("\"sub\":\"alice\",\"sub\":\"bob\""));
    rows.push(with_exp("\"sub\":\"alice\",\"\\u0073ub\":\"bob\""));
    rows.push(with_exp("\"sub\":\"alice\",\"exp\":9999999999"));
    rows.push(with_exp("\"sub\":\"alice\",\"nbf\":1,\"nbf\":2"));
    rows.extend(["[]", "null", "7", "\"alice\"", "", "{", "{}x"].map(str::to_owned));
    rows.push(format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000)));
    let mut all: Vec<_> =
        rows.into_iter().map(|claims| (format!("the claims {claims:.60}"), token_of(HS256, claims))).collect();
    all.push(("claims that are no UTF-8".into(), token_of(HS256, b"{\"sub\":\"\xff\",\"exp\":9999999999}")));
    all
}

/// Headers that demand what is not known here, or bring a key of their own.
fn headers() -> Vec<(String, String)> {
    let demanding = [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false,"crit":["b64"]"#,
        r#""crit":"b64""#,
    ];
    let mut all: Vec<_> = demanding
        .iter()
        .map(|more| {
            (format!("a header with {more}"), token_of(format!("{{\"alg\":\"HS256\",{more}}}"), claims_with("")))
        })
        .collect();
    let key = encoded(OTHER_SECRET);
    let brought: [Value; 3] = [
        json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": key } }),
        json!({ "alg": "HS256", "kid": OTHER_SECRET }),
        json!({ "alg": "HS256", "jku": "http://127.0.0.1:1/", "x5u": "file:///dev/zero" }),
    ];
    for header in brought {
        let forged = signed_by(Algorithm::HS256, OTHER_SECRET, header.to_string(), claims_with(""));
        all.push((format!("a key of its own: {header:.60}"), forged));
    }
    all
}
