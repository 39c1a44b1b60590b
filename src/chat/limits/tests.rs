//! The buckets alone: who is refused what, and that those who came once are forgotten.

use super::*;

const ALL: [Limit; 6] = [Limit::Message, Limit::Join, Limit::Typing, Limit::Connect, Limit::Handshake, Limit::Command];

/// A burst of its own for each limit, and hardly any more in the time that a test takes.
fn rates(address_factor: u32) -> Rates {
    let rate = |burst| Rate { per_second: 1, burst };
    Rates { messages: rate(3), joins: rate(4), typing: rate(5), connects: rate(6), commands: rate(7), address_factor }
}

const fn burst(limit: Limit) -> u32 {
    match limit {
        Limit::Message => 3,
        Limit::Join => 4,
        Limit::Typing => 5,
        Limit::Connect | Limit::Handshake => 6,
        Limit::Command => 7,
    }
}

fn at(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([192, 0, 2, last]))
}

#[track_caller]
fn refused(admitted: Result<(), ChatError>) {
    let refused = admitted.expect_err("one too many is let through");
    assert_eq!((refused.code(), refused.retry_after()), ("rate_limited", Some(1)));
}

#[test]
fn a_burst_passes_the_next_waits_and_others_feel_nothing() {
    for limit in ALL {
        let limits = Limits::new(rates(100));
        let (alice, bob) = (UserId::stored("alice"), UserId::stored("bob"));
        for n in 0..burst(limit) {
            // Wherever they are: the limit is the user's.
            assert_eq!(limits.admit(Some(&alice), at(n as u8), limit), Ok(()), "{limit:?}");
        }
        refused(limits.admit(Some(&alice), at(99), limit));
        assert_eq!(limits.admit(Some(&bob), at(1), limit), Ok(()), "{limit:?}");
        for other in ALL.into_iter().filter(|other| *other != limit) {
            assert_eq!(limits.admit(Some(&alice), at(1), other), Ok(()), "{other:?} is counted with {limit:?}");
        }
    }
}

#[test]
fn an_address_has_several_users_worth_and_what_a_user_is_refused_is_not_taken_from_it() {
    for limit in ALL {
        let limits = Limits::new(rates(2));
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(UserId::stored);
        for _ in 0..burst(limit) {
            assert_eq!(limits.admit(Some(&alice), at(1), limit), Ok(()));
        }
        for _ in 0..100 {
            refused(limits.admit(Some(&alice), at(1), limit));
        }
        for _ in 0..burst(limit) {
            assert_eq!(limits.admit(Some(&bob), at(1), limit), Ok(()), "{limit:?}");
        }
        refused(limits.admit(Some(&carol), at(1), limit));
        refused(limits.admit(None, at(1), limit));
        assert_eq!(limits.admit(Some(&carol), at(2), limit), Ok(()), "{limit:?}");
        assert_eq!(limits.admit(None, at(2), limit), Ok(()), "{limit:?}");
    }
}

#[test]
fn what_has_been_waited_for_is_admitted_again() {
    let fast = Rate { per_second: 100, burst: 1 };
    let limits = Limits::new(Rates { messages: fast, ..rates(1) });
    let alice = UserId::stored("alice");
    assert_eq!(limits.admit(Some(&alice), None, Limit::Message), Ok(()));
    let Err(ChatError::RateLimited(wait)) = limits.admit(Some(&alice), None, Limit::Message) else {
        panic!("nothing is refused");
    };
    assert!(wait > Duration::ZERO && wait <= Duration::from_millis(10), "{wait:?}");
    std::thread::sleep(wait);
    assert_eq!(limits.admit(Some(&alice), None, Limit::Message), Ok(()));
}

#[test]
fn switched_off_nothing_is_counted() {
    let limits = Limits::off();
    let alice = UserId::stored("alice");
    for limit in ALL {
        for _ in 0..1_000 {
            assert_eq!(limits.admit(Some(&alice), at(1), limit), Ok(()));
        }
    }
    limits.tidy_up();
}

#[test]
fn a_flood_from_ever_new_addresses_and_users_does_not_pile_up() {
    let fast = Rate { per_second: 1_000, burst: 2_000 };
    let limits = Limits::new(Rates { connects: fast, ..rates(1) });
    let connects = &limits.buckets.as_ref().unwrap().connects;
    for n in 0..5 * SWEEP_AFTER as u32 {
        let user = UserId::stored(&n.to_string());
        assert_eq!(limits.admit(Some(&user), Some(IpAddr::from(n.to_be_bytes())), Limit::Connect), Ok(()));
    }
    let most = 2 * SWEEP_AFTER;
    assert!(connects.users.buckets.len() < most, "{} users are kept", connects.users.buckets.len());
    assert!(connects.addresses.buckets.len() < most, "{} addresses are kept", connects.addresses.buckets.len());
    std::thread::sleep(Duration::from_millis(5));
    limits.tidy_up();
    assert_eq!((connects.users.buckets.len(), connects.addresses.buckets.len()), (0, 0));
}

#[test]
fn whoever_is_over_the_limit_is_not_forgotten() {
    let limits = Limits::new(rates(1));
    let alice = UserId::stored("alice");
    while limits.admit(Some(&alice), None, Limit::Message).is_ok() {}
    limits.tidy_up();
    refused(limits.admit(Some(&alice), None, Limit::Message));
}
