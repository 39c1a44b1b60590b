//! A short run of every target on stable Rust: each seed of its corpus as it is, then changed at random for a while.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// How long each target's seeds are changed and tried.
const WHILE: Duration = Duration::from_millis(1_000);
/// What is put in somewhere: what parsers stumble over.
const WORDS: [&str; 24] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "1e400",
    "-0",
    "18446744073709551616",
    "9223372036854775807",
    "\\u0000",
    "\\ud800",
    "\u{1e}",
    "\n",
    "\r\n\u{1b}[31m",
    "€",
    "😀",
    "\0",
    "%",
    "/",
    "_placeholder",
];

/// Says what was tried, where trying it panicked.
struct Trying<'a>(&'a str, &'a [u8]);

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(name, bytes) = self;
            eprintln!("{name} panics at b\"{}\"; it belongs into fuzz/corpus/{name}", bytes.escape_ascii());
        }
    }
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let listed = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
    listed.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// One to eight changes: a byte set, a part cut out, doubled or replaced, a word put in, another seed joined.
fn change(random: &mut StdRng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    for _ in 0..random.random_range(1..=8) {
        let place = random.random_range(0..=bytes.len());
        let end = (place + random.random_range(0..16)).min(bytes.len());
        match random.random_range(0..6) {
            0 if place < bytes.len() => bytes[place] = random.random(),
            0 | 1 => bytes.truncate(place.max(1)),
            2 => drop(bytes.drain(place..end)),
            3 => {
                let part = bytes[place..end].to_vec();
                bytes.splice(place..place, part);
            }
            4 => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                bytes.splice(place..end, word.bytes());
            }
            _ => {
                let other = &seeds[random.random_range(0..seeds.len())];
                bytes.splice(place.., other[random.random_range(0..=other.len())..].iter().copied());
            }
        }
        bytes.truncate(4_096);
    }
}

#[test]
fn every_parser_keeps_its_promises_about_any_bytes() {
    let seed = rand::random();
    let runs = TARGETS.map(|(name, target)| {
        std::thread::spawn(move || {
            let mut random = StdRng::seed_from_u64(seed);
            let seeds = seeds(name);
            assert!(!seeds.is_empty(), "{name} has no corpus");
            let try_out = |bytes: &[u8]| {
                let trying = Trying(name, bytes);
                target(bytes);
                drop(trying);
            };
            seeds.iter().for_each(|bytes| try_out(bytes));
            let began = Instant::now();
            let mut count = 0_u32;
            while began.elapsed() < WHILE {
                let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
                change(&mut random, &mut bytes, &seeds);
                try_out(&bytes);
                count += 1;
            }
            (name, count)
        })
    });
    for run in runs {
        let (name, count) = run.join().unwrap_or_else(|_| panic!("see above; seed {seed}"));
        assert!(count > 10, "{name}: {count} tries alone");
    }
}

#[test]
fn every_target_is_one_of_cargo_fuzz_and_has_seeds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
        let text = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(text.contains(&format!("haggle::fuzzing::{name}")), "{name}");
    }
    assert_eq!(std::fs::read_dir(root.join("fuzz_targets")).unwrap().count(), TARGETS.len());
    assert_eq!(std::fs::read_dir(root.join("corpus")).unwrap().count(), TARGETS.len());
}

#[test]
fn base64_is_what_tokens_are_written_in() {
    for (plain, written) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("\u{3ff}?>", "z78_Pg")] {
        assert_eq!(base64(plain.as_bytes()), written);
    }
}
