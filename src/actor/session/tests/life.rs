//! What ends a session and when: nobody said who they are, a token ran out, a peer fell silent or takes nothing.
//!
//! What lives here: deadlines. What must not: commands.

use super::*;

#[test]
fn whoever_does_not_say_who_they_are_in_time_is_closed() {
    paused(async {
        let stage = Stage::anonymous();
        pass(9).await;
        assert_eq!(closed(&stage.frames().await), None, "closed before its time");
        pass(7).await;
        let frames = stage.frames().await;
        assert_eq!(closed(&frames), Some(4401));
        assert_eq!(frames.first(), Some(&Outgoing::Text("bye unauthorized".into())));
        pass(1).await;
        assert!(!stage.session.connected(), "the session goes on after its end");
        assert_eq!(stage.house.directory.sessions(), 0);
    });
}

#[test]
fn a_first_frame_that_is_not_auth_ends_it_and_the_next_is_not_looked_at() {
    paused(async {
        let stage = Stage::anonymous();
        stage.join(1, None);
        stage.auth(2, "alice");
        let frames = stage.frames().await;
        assert_eq!(closed(&frames), Some(4401));
        assert_eq!(frames.first(), Some(&Outgoing::Text("1 unauthorized".into())));
        assert_eq!(frames.len(), 3, "the answer, bye and Close: {frames:?}");
        assert!(stage.house.begun.lock().unwrap().is_empty(), "a command of nobody's was carried out");
        assert!(!stage.house.directory.is_online(&UserId::stored("alice")));
    });
}

#[test]
fn whoever_comes_too_often_is_asked_to_come_back_later() {
    paused(async {
        let stage = Stage::anonymous();
        *stage.house.connects.lock().unwrap() = 0;
        stage.auth(1, "alice");
        let frames = stage.frames().await;
        assert_eq!(closed(&frames), Some(4429));
        let said = [Outgoing::Text("1 rate_limited".into()), Outgoing::Text("bye rate_limited".into())];
        assert_eq!(frames.get(..2), Some(&said[..]));
        assert!(!stage.house.directory.is_online(&UserId::stored("alice")));
    });
}

#[test]
fn a_silent_peer_is_pinged_and_then_let_go_and_one_that_answers_stays() {
    paused(async {
        let (silent, alive) = (Stage::alice().await, Stage::alice().await);
        let mut pinged = false;
        for _ in 0..5 {
            pass(5).await;
            pinged |= silent.frames().await.contains(&Outgoing::Ping);
            alive.frames().await;
            alive.outbox.heard();
        }
        assert!(pinged, "nobody asked whether the peer is there");
        pass(11).await;
        assert_eq!(closed(&silent.frames().await), Some(4408));
        assert_eq!(closed(&alive.frames().await), None);
        assert!(alive.session.connected());
    });
}

#[test]
fn a_peer_that_takes_nothing_is_let_go_and_nothing_waits_for_it() {
    paused(async {
        let stage = Stage::alice().await;
        stage.join(1, None);
        tokio::task::yield_now().await;
        stage.answer(stage.joined_at(0));
        stage.commit(true);
        for _ in 0..8 {
            pass(5).await;
            // It speaks, but reads nothing: nothing is taken from the outbox here.
            stage.outbox.heard();
        }
        let frames = stage.frames().await;
        assert_eq!(frames.len(), 2, "only why it ends is left: {frames:?}");
        assert_eq!(frames.first(), Some(&Outgoing::Text("bye slow_reader".into())));
        assert_eq!(closed(&frames), Some(4408));
        assert!(!stage.session.connected());
    });
}

#[test]
fn a_session_that_missed_a_delivery_is_closed_so_that_it_comes_back() {
    paused(async {
        let stage = Stage::alice().await;
        let mut listener = None;
        stage.house.directory.for_each_session(&UserId::stored("alice"), |known| listener = Some(known.clone()));
        listener.unwrap().overrun.store(true, std::sync::atomic::Ordering::Release);
        pass(6).await;
        assert_eq!(closed(&stage.frames().await), Some(4408));
    });
}

#[test]
fn a_token_that_runs_out_ends_the_session_and_a_fresh_one_keeps_it() {
    // Expiry is by the wall clock, so this takes its time.
    System::new().block_on(async {
        let stages = [Stage::anonymous(), Stage::anonymous()];
        let [ending, renewed] = &stages;
        for stage in &stages {
            *stage.house.token_lasts_s.lock().unwrap() = 2;
            stage.auth(0, "alice");
            assert_eq!(stage.texts().await, ["0 welcome alice"]);
        }
        *renewed.house.token_lasts_s.lock().unwrap() = 60;
        renewed.auth(1, "alice");
        assert_eq!(renewed.texts().await, ["1 welcome alice"]);
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        let frames = ending.frames().await;
        assert_eq!(closed(&frames), Some(4401));
        assert_eq!(frames.first(), Some(&Outgoing::Text("bye unauthorized".into())));
        assert_eq!(closed(&renewed.frames().await), None, "the old token's end still counted");
    });
}

#[test]
fn a_fresh_token_must_be_the_same_users_and_refused_ones_change_nothing() {
    paused(async {
        let stage = Stage::alice().await;
        stage.auth(1, "bob");
        stage.auth(2, "\0");
        stage.auth(3, "alice");
        assert_eq!(stage.texts().await, ["1 forbidden", "2 unauthorized", "3 welcome alice"]);
        assert!(!stage.house.directory.is_online(&UserId::stored("bob")));
    });
}

#[test]
fn fresh_tokens_count_against_the_limit_like_anything_else() {
    paused(async {
        let stage = Stage::alice().await;
        *stage.house.admitted.lock().unwrap() = 2;
        for id in 1..=3 {
            stage.auth(id, "alice");
        }
        let mut texts = stage.texts().await;
        texts.sort();
        assert_eq!(texts, ["1 welcome alice", "2 welcome alice", "3 rate_limited"]);
    });
}

#[test]
fn a_session_whose_pump_is_gone_is_gone_too() {
    paused(async {
        let stage = Stage::alice().await;
        assert!(stage.house.directory.is_online(&UserId::stored("alice")));
        stage.session.do_send(Gone::default());
        stage.frames().await;
        assert!(!stage.session.connected());
        assert!(!stage.house.directory.is_online(&UserId::stored("alice")));
    });
}
