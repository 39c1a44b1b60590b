//! Requests keep their order, and how many may wait.
//!
//! What lives here: from requests to the door. What must not: what is told of conversations.

use super::*;
use crate::protocol::Body;
use crate::protocol::command::Send;

fn send(body: &str) -> Command {
    let body = Body::parse(body).unwrap();
    Command::Send(Send { conversation: here(), body, kind: "text".into(), client_id: None })
}

fn said(stage: &Stage) -> Vec<String> {
    let begun = stage.house.begun.lock().unwrap();
    let bodies = begun.iter().filter_map(|by| match &by.command {
        Command::Send(send) => Some(send.body.text().to_string()),
        _ => None,
    });
    bodies.collect()
}

#[test]
fn requests_wait_in_order_while_the_room_of_the_first_is_looked_up() {
    paused(async {
        let stage = Stage::alice().await;
        let (found, finding) = oneshot::channel();
        stage.house.script.lock().unwrap().push_back(Script::Finding(finding));
        for n in 1..=5 {
            stage.ask(n, send(&n.to_string()));
        }
        assert!(stage.texts().await.is_empty());
        assert_eq!(said(&stage), ["1"], "a later request overtook the first");
        found.send(()).unwrap();
        stage.frames().await;
        assert_eq!(said(&stage), ["1", "2", "3", "4", "5"]);
        assert_eq!(stage.house.waiting.lock().unwrap().len(), 5, "nobody waits for an answer to send the next");
        for _ in 1..=5 {
            stage.answer(Ok(Reply::Done));
        }
        let mut answers = stage.texts().await;
        answers.sort();
        assert_eq!(answers, ["1 ok", "2 ok", "3 ok", "4 ok", "5 ok"]);
    });
}

#[test]
fn what_waits_is_bounded_and_the_rest_is_refused() {
    paused(async {
        let stage = Stage::alice().await;
        let (found, finding) = oneshot::channel();
        stage.house.script.lock().unwrap().push_back(Script::Finding(finding));
        let (most, more) = (INBOUND_MAX as i64, 10);
        for n in 0..=most + more {
            stage.ask(n, send("x"));
        }
        let refused = stage.texts().await;
        assert_eq!(refused.len(), 10, "one is being looked up, {most} wait, the others are refused");
        assert!(refused.iter().all(|text| text.ends_with("rate_limited")), "{refused:?}");
        found.send(()).unwrap();
        stage.frames().await;
        assert_eq!(said(&stage).len(), UNDER_WAY_MAX, "as many as may be under way; the rest goes on waiting");
    });
}

#[test]
fn no_request_begins_before_who_one_is_is_known_or_after_the_end() {
    paused(async {
        let stage = Stage::anonymous();
        stage.auth(0, "alice");
        stage.ask(1, send("at once"));
        assert_eq!(stage.texts().await, ["0 welcome alice"]);
        assert_eq!(said(&stage), ["at once"], "a request right behind auth is kept");
        stage.session.do_send(Control::Close(ChatError::forbidden("suspended")));
        stage.ask(2, send("too late"));
        assert_eq!(closed(&stage.frames().await), Some(4403));
        assert_eq!(said(&stage), ["at once"]);
    });
}

#[test]
fn going_down_waits_for_what_is_under_way_and_begins_nothing_more() {
    paused(async {
        let stage = Stage::alice().await;
        stage.ask(1, send("under way"));
        stage.frames().await;
        let drained = stage.session.send(Control::Drain { retry_after_ms: 1 });
        let drained = actix::spawn(drained);
        stage.frames().await;
        stage.ask(2, send("too late"));
        assert_eq!(stage.texts().await, ["2 unavailable"]);
        assert!(!drained.is_finished(), "it was sent off before its answer was out");
        stage.answer(Ok(Reply::Done));
        let frames = stage.frames().await;
        assert_eq!(frames.first(), Some(&Outgoing::Text("1 ok".into())));
        assert_eq!(closed(&frames), Some(1001));
        // Answered, or its mailbox closed: either way it is done.
        let _ = drained.await.unwrap();
        assert_eq!(said(&stage), ["under way"]);
    });
}

#[test]
fn a_client_that_does_not_read_its_answers_is_not_served_more() {
    paused(async {
        let stage = Stage::alice().await;
        stage.outbox.reply(Word::Answer("x".repeat(40_000).into()), None, None).unwrap();
        stage.ask(1, send("later"));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(said(&stage), Vec::<String>::new());
        assert_eq!(stage.frames().await.len(), 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(said(&stage), ["later"]);
    });
}
