//! The oracle is tested: each of these defects is put into the server, and the oracle must name it.

use std::time::Duration;

use haggle::defects::Defect;
use rstest::rstest;

use super::kills::killed;
use super::verdict::Fault;
use super::world::{Size, World};
use crate::support::On;
use crate::support::server::Process;

/// Everybody in the same conversations: many deliveries for few messages.
const SIZE: Size =
    Size { users: 12, conversations: 2, seats: 12, says: 90, window: 4, pause: Duration::from_millis(1) };

fn lost(fault: &Fault) -> bool {
    matches!(fault, Fault::Lost { .. })
}
fn otherwise(fault: &Fault) -> bool {
    matches!(fault, Fault::Otherwise { .. })
}
fn behind(fault: &Fault) -> bool {
    matches!(fault, Fault::Behind { .. })
}
fn hole(fault: &Fault) -> bool {
    matches!(fault, Fault::Hole { .. } | Fault::Behind { .. })
}
fn order(fault: &Fault) -> bool {
    matches!(fault, Fault::Order { .. })
}
fn trespass(fault: &Fault) -> bool {
    matches!(fault, Fault::Trespass { .. })
}
fn leak(fault: &Fault) -> bool {
    matches!(fault, Fault::Leak { what: "connections", .. })
}
fn refused_stored(fault: &Fault) -> bool {
    matches!(fault, Fault::RefusedStored { .. })
}
fn unread(fault: &Fault) -> bool {
    matches!(fault, Fault::Unread { .. })
}
fn panic(fault: &Fault) -> bool {
    matches!(fault, Fault::Panic)
}
fn secret(fault: &Fault) -> bool {
    matches!(fault, Fault::Secret)
}

#[rstest]
#[case(Defect::AcknowledgeBeforeCommit, On::Postgres, 0, lost)]
#[case(Defect::DropDelivery, On::Sqlite, 0, hole)]
#[case(Defect::DropLast, On::Sqlite, 0, behind)]
#[case(Defect::ReuseSeq, On::Sqlite, 0, otherwise)]
#[case(Defect::SkipMembership, On::Sqlite, 0, trespass)]
#[case(Defect::LeakSession, On::Sqlite, 0, leak)]
#[case(Defect::TellTwice, On::Sqlite, 0, order)]
#[case(Defect::ReplayBackwards, On::Sqlite, 1, order)]
#[case(Defect::SkipOnResume, On::Sqlite, 1, hole)]
#[case(Defect::StoreOtherText, On::Sqlite, 0, otherwise)]
#[case(Defect::RefuseStored, On::Postgres, 0, refused_stored)]
#[case(Defect::MiscountUnread, On::Sqlite, 0, unread)]
#[case(Defect::Panic, On::Sqlite, 0, panic)]
#[case(Defect::Babble, On::Sqlite, 0, secret)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oracle_names_a_seeded_defect(
    #[case] defect: Defect,
    #[case] on: On,
    #[case] kills: usize,
    #[case] named: fn(&Fault) -> bool,
) {
    let (_folder, url) = on.database().await;
    let seeded = format!("{defect:?}");
    let env = [("HAGGLE_RATE_LIMITS", "off"), ("SEEDED_DEFECT", seeded.as_str())];
    let server = Process::on(&url, &env).await.may_panic();
    let mut world = World::settle(server, &url, SIZE).await;
    let (verdict, _) = killed(&mut world, kills).await;
    assert!(verdict.faults.iter().any(named), "{defect:?} went unnoticed, or was called something else: {verdict:?}");
}
