//! Resuming never skips and never doubles, however reading the database, live events and answers interleave.
//!
//! What lives here: joins and what is told after them. What must not: deadlines.

use proptest::prelude::*;

use super::*;

/// The places of the messages told, in order.
fn told(texts: &[String]) -> Vec<i64> {
    texts.iter().filter_map(|text| text.strip_prefix("message ")?.parse().ok()).collect()
}

#[test]
fn what_comes_before_the_joins_own_answer_is_told_after_it_once() {
    paused(async {
        let stage = Stage::alice().await;
        (0..4).for_each(|_| stage.commit(false));
        stage.join(1, None);
        stage.frames().await;
        // The room has let alice in at 4; two messages overtake its answer.
        stage.commit(true);
        stage.commit(true);
        assert!(stage.texts().await.is_empty(), "told before the answer");
        stage.answer(stage.joined_at(4));
        assert_eq!(stage.texts().await, ["1 ok", "message 5", "message 6"]);
        stage.commit(true);
        assert_eq!(stage.texts().await, ["message 7"]);
    });
}

#[test]
fn a_gap_in_what_rooms_tell_is_filled_from_the_database() {
    paused(async {
        let stage = Stage::alice().await;
        stage.join(1, None);
        stage.frames().await;
        stage.answer(stage.joined_at(0));
        stage.commit(true);
        (0..5).for_each(|_| stage.commit(false));
        stage.commit(true);
        stage.commit(true);
        assert_eq!(told(&stage.texts().await), [1, 2, 3, 4, 5, 6, 7, 8]);
    });
}

#[test]
fn whoever_was_removed_while_catching_up_hears_nothing_more() {
    paused(async {
        let stage = Stage::alice().await;
        (0..9).for_each(|_| stage.commit(false));
        *stage.house.turns.lock().unwrap() = [0, 5_000].into();
        stage.join(1, Some(0));
        stage.frames().await;
        stage.answer(stage.joined_at(9));
        assert_eq!(told(&stage.texts().await), [1, 2, 3]);
        stage.session.send(Control::Leave(conversation())).await.unwrap();
        for _ in 0..60 {
            assert!(stage.texts().await.is_empty(), "told after they were removed");
        }
    });
}

#[test]
fn whoever_was_removed_before_the_joins_answer_came_hears_nothing() {
    paused(async {
        let stage = Stage::alice().await;
        (0..9).for_each(|_| stage.commit(false));
        stage.join(1, Some(0));
        stage.frames().await;
        // The room answered, then took alice out; both reach the session at once.
        stage.answer(stage.joined_at(9));
        stage.session.do_send(Control::Leave(conversation()));
        assert_eq!(told(&stage.texts().await), [0_i64; 0]);
    });
}

/// So few that a client which reads nothing for some messages holds its session up, and none is cut off: what waits is bounded.
const OUTBOX_BYTES: usize = 2_000;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A message is committed; the database has it from now on.
    Commit,
    /// The room tells what was committed and not told yet.
    Tell,
    /// Alice joins again, which changes nothing for who listens already.
    Again,
    /// The room's answer to the oldest join reaches the session.
    Answer,
    /// So many turns of the others' tasks.
    Turns(u8),
    /// The next page takes so many turns.
    Slow(u8),
    /// The pump takes what waits.
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Commit),
        2 => Just(Step::Tell),
        1 => Just(Step::Again),
        2 => Just(Step::Answer),
        2 => (0..6_u8).prop_map(Step::Turns),
        1 => (0..12_u8).prop_map(Step::Slow),
        1 => Just(Step::Take),
    ];
    prop::collection::vec(step, 0..60)
}

/// Plays the steps behind a first join, and returns what was told, and what should have been.
async fn play(before: i64, after: Option<i64>, steps: &[Step]) -> (Vec<i64>, Vec<i64>) {
    let stage = Stage::with_outbox(OUTBOX_BYTES);
    stage.auth(0, "alice");
    assert_eq!(stage.texts().await, ["0 welcome alice"]);
    (0..before).for_each(|_| stage.commit(false));
    *stage.house.told.lock().unwrap() = before;
    stage.join(1, after);
    stage.frames().await;
    let answer = || {
        let reached = stage.house.reached.lock().unwrap().pop_front();
        reached.into_iter().for_each(|at| stage.answer(stage.joined_at(at)));
    };
    let (mut untold, mut heard) = (VecDeque::new(), Vec::new());
    for step in steps.iter().chain(&[Step::Tell, Step::Answer]) {
        match step {
            Step::Commit => {
                stage.commit(false);
                untold.extend(stage.house.stored.lock().unwrap().last().cloned());
            }
            Step::Tell => untold.drain(..).for_each(|message| stage.deliver(message)),
            Step::Again => stage.join(2, None),
            Step::Answer => answer(),
            Step::Turns(turns) => {
                for _ in 0..*turns {
                    tokio::task::yield_now().await;
                }
            }
            Step::Slow(turns) => stage.house.turns.lock().unwrap().push_back(usize::from(*turns)),
            Step::Take => heard.extend(told(&stage.texts().await)),
        }
    }
    // All answers come, and the client reads on until nothing more does.
    for _ in 0..80 {
        answer();
        tokio::time::sleep(Duration::from_millis(300)).await;
        heard.extend(told(&stage.texts().await));
    }
    let newest = stage.house.stored.lock().unwrap().len() as i64;
    (heard, (after.unwrap_or(before) + 1..=newest).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_message_after_the_join_is_told_once_and_in_order(
        before in 0..12_i64,
        after in prop::option::of(0..15_i64),
        steps in steps(),
    ) {
        let (heard, due) = System::new().block_on(async {
            tokio::time::pause();
            play(before, after.map(|after| after.min(before)), &steps).await
        });
        prop_assert_eq!(heard, due);
    }
}
