//! What a message and a delivery may cost, in instructions and allocations: a measure that does not depend on the machine's mood.
//!
//! What lives here: the budgets, and the check that keeps them. The path that is measured is in `budget/path.rs`, counting allocations
//! in `budget/allocator.rs`. What must not: what users notice, or how long anything takes (`make bench`).
//!
//! Each scenario is a test that is ignored unless the check runs it in a process of its own, under callgrind. The budgets are of the
//! profile that `cargo test` has; `cargo test --release --test budget -- --nocapture` shows the figures of what is shipped, and keeps
//! no budget.
#![allow(missing_docs, unreachable_pub, reason = "tests are read as they stand")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that meets the unexpected fails"
)]

#[path = "budget/allocator.rs"]
mod allocator;
#[path = "budget/path.rs"]
mod path;

use std::path::{Path, PathBuf};
use std::process::Command;

use path::Scenario;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// What is counted, of one message or of one delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    instructions: u64,
    allocations: f64,
    bytes: u64,
}

/// The most that one may cost. Instructions differ by half a percent from run to run, and from one compiler to the next: a tenth more than
/// were counted when it was last looked at. Allocations do not: a twentieth.
struct Budget {
    scenario: Scenario,
    /// What one of is counted.
    one: &'static str,
    most: Cost,
}

/// On x86-64, unoptimized, with the dependencies as `profile.dev` has them.
const BUDGETS: [Budget; 2] = [
    Budget {
        scenario: path::MESSAGE,
        one: "message",
        most: Cost { instructions: 198_000, allocations: 29.0, bytes: 3_600 },
    },
    Budget {
        scenario: path::DELIVERY,
        one: "delivery",
        most: Cost { instructions: 22_500, allocations: 2.3, bytes: 125 },
    },
];

#[test]
#[ignore = "the check runs it, under callgrind"]
fn message() {
    path::MESSAGE.run();
}

#[test]
#[ignore = "the check runs it, under callgrind"]
fn delivery() {
    path::DELIVERY.run();
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the budgets are of x86-64")]
fn a_message_and_a_delivery_stay_within_their_budgets() {
    let over: Vec<_> = BUDGETS
        .iter()
        .filter_map(|Budget { scenario, one, most }| {
            let (found, profile) = count(scenario);
            println!(
                "a {one}: {} instructions, {:.2} allocations of {} bytes",
                found.instructions, found.allocations, found.bytes
            );
            // Optimized code is looked at for docs/performance-notes.md, and has no budget.
            let over = if cfg!(debug_assertions) { over(found, *most) } else { Vec::new() };
            (!over.is_empty()).then(|| complaint(one, &over, &profile))
        })
        .collect();
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[test]
fn whatever_is_over_its_budget_is_named() {
    let most = Cost { instructions: 1_000, allocations: 2.0, bytes: 300 };
    assert!(over(most, most).is_empty());
    assert!(over(Cost { instructions: 1, allocations: 0.0, bytes: 0 }, most).is_empty());
    assert_eq!(over(Cost { instructions: 1_001, ..most }, most), ["1001 instructions (budget 1000)"]);
    assert_eq!(over(Cost { allocations: 2.01, ..most }, most), ["2.01 allocations (budget 2.00)"]);
    assert_eq!(over(Cost { instructions: 2_000, allocations: 2.0, bytes: 301 }, most).len(), 2);
    let words = complaint("delivery", &["1001 instructions (budget 1000)".to_owned()], Path::new("delivery.callgrind"));
    for told in ["a delivery costs 1001", "tests/budget.rs", "callgrind_annotate", "delivery.callgrind"] {
        assert!(words.contains(told), "{words}");
    }
}

#[test]
fn what_the_two_programs_write_is_understood() {
    assert_eq!(instructions("events: Ir\nsummary: 4711\nfn=(1) x\n1 2\ntotals: 4712\n"), Some(4_712));
    assert_eq!(instructions("events: Ir\n"), None);
    assert_eq!(instructions("events: Ir\ntotals: 0\n"), None);
    assert_eq!(allocations("running 1 test\ntest message ... \nallocated 12 times 345 bytes\nok\n"), Some((12, 345)));
    assert_eq!(allocations("ok\n"), None);
}

/// What of it is over the budget, in words.
fn over(found: Cost, most: Cost) -> Vec<String> {
    let mut over = Vec::new();
    if found.instructions > most.instructions {
        over.push(format!("{} instructions (budget {})", found.instructions, most.instructions));
    }
    if found.allocations > most.allocations {
        over.push(format!("{:.2} allocations (budget {:.2})", found.allocations, most.allocations));
    }
    if found.bytes > most.bytes {
        over.push(format!("{} bytes allocated (budget {})", found.bytes, most.bytes));
    }
    over
}

/// What to tell whoever made it dearer.
fn complaint(one: &str, over: &[String], profile: &Path) -> String {
    format!(
        "a {one} costs {}.\nWhere the instructions go: `callgrind_annotate --inclusive=yes {}`. If it is worth that much, \
         the budget stands in BUDGETS of tests/budget.rs, and docs/performance-notes.md tells the figures.",
        over.join(", "),
        profile.display(),
    )
}

/// Runs a scenario in a process of its own and counts; the profile stays where it is told.
fn count(scenario: &Scenario) -> (Cost, PathBuf) {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.callgrind", scenario.name));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*::measured"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "--nocapture", scenario.name])
        .output()
        .expect("valgrind is missing: `scripts/setup` installs it");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = || -> ! { panic!("{}: {told}\n{}", output.status, String::from_utf8_lossy(&output.stderr)) };
    if !output.status.success() {
        failed();
    }
    let written = std::fs::read_to_string(&profile).expect("callgrind's profile");
    let (Some(instructions), Some((allocations, bytes))) = (instructions(&written), allocations(&told)) else {
        failed()
    };
    let each = scenario.counted();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let allocations = allocations as f64 / each as f64;
    (Cost { instructions: instructions / each, allocations, bytes: bytes / each }, profile)
}

/// The sum that callgrind wrote; none where it did not find what to count.
fn instructions(profile: &str) -> Option<u64> {
    let sum = profile.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()?;
    (sum > 0).then_some(sum)
}

/// How often, and how many bytes, as the scenario printed it.
fn allocations(told: &str) -> Option<(u64, u64)> {
    let mut words = told.split_once("allocated ")?.1.split_whitespace();
    Some((words.next()?.parse().ok()?, words.nth(1)?.parse().ok()?))
}
