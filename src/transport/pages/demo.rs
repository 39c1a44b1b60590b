//! Development's sample shop: four people, an item, two orders, and what they talked about so far.
//!
//! What lives here: setting it up, each time its page is asked for; what exists stays as it is. What must not: markup (it is in
//! `web/`), and anything that production has.

use std::sync::Arc;

use crate::chat::{Chat, Provisioned};
use crate::error::ChatError;
use crate::protocol::command::{Mark, Provision, PutConversation, PutSubject, PutUser, Read, Send};
use crate::protocol::model::Body;
use crate::protocol::{Caller, Command, ConversationRef, Person, UserId};

const ALICE: &str = "demo-alice";
const BOB: &str = "demo-bob";
const CAROL: &str = "demo-carol";
const DAVID: &str = "demo-david";

/// Id, name and role; `web/js/demo/people.js` has them too.
const PEOPLE: [(&str, &str, &str); 4] =
    [(ALICE, "Alice", "customer"), (DAVID, "David", "customer"), (BOB, "Bob", "seller"), (CAROL, "Carol", "manager")];

/// Kind, id, title and, where somebody sells it, who.
const SUBJECTS: [(&str, &str, &str, Option<&str>); 3] = [
    ("item", "demo", "Walnut armchair, 1962", Some(BOB)),
    ("order", "demo", "Order 1042: two dining chairs", None),
    ("order", "demo-2", "Order 1043: brass reading lamp", None),
];

/// One conversation of the shop.
struct Talk {
    key: &'static str,
    title: Option<&'static str>,
    subject: Option<(&'static str, &'static str)>,
    /// Who is in it, each with their part.
    people: [(&'static str, &'static str); 2],
    /// What was said, and by whom.
    said: &'static [(&'static str, &'static str)],
}

/// The newest comes last. Alice has not asked about the item yet: that is for whoever tries it.
const TALKS: [Talk; 5] = [
    Talk {
        key: "help:demo-bob",
        title: Some("Payout for October"),
        subject: None,
        people: [(BOB, "seller"), (CAROL, "manager")],
        said: &[
            (BOB, "Hi Carol, has my October payout left yet?"),
            (CAROL, "It went out on Tuesday; banks take up to two days."),
            (BOB, "It is here. Thank you!"),
        ],
    },
    Talk {
        key: "order:demo-2",
        title: None,
        subject: Some(("order", "demo-2")),
        people: [(DAVID, "buyer"), (CAROL, "manager")],
        said: &[
            (DAVID, "The lamp arrived with a dent in its shade."),
            (CAROL, "I am sorry. Would you like a new shade, or your money back?"),
            (DAVID, "A new shade, please."),
        ],
    },
    Talk {
        key: "help:demo-alice",
        title: Some("Delivery to the third floor"),
        subject: None,
        people: [(ALICE, "customer"), (CAROL, "manager")],
        said: &[(ALICE, "Hello, do your carriers bring furniture up to the third floor?")],
    },
    Talk {
        key: "item:demo:demo-david",
        title: None,
        subject: Some(("item", "demo")),
        people: [(DAVID, "buyer"), (BOB, "seller")],
        said: &[(DAVID, "Is the armchair still available? I could pick it up on Saturday.")],
    },
    Talk {
        key: "order:demo",
        title: None,
        subject: Some(("order", "demo")),
        people: [(ALICE, "buyer"), (BOB, "seller")],
        said: &[
            (ALICE, "Hi Bob, are the two chairs on their way?"),
            (BOB, "They left this morning. The carrier calls you an hour before."),
            (ALICE, "Lovely, I will be at home."),
        ],
    },
];

/// Sets up what of the shop is not there yet. What was said is said once: with the conversation's creation.
///
/// # Errors
/// As provisioning and sending have them.
pub(super) async fn set_up(chat: &Chat) -> Result<(), ChatError> {
    let mut people = Vec::with_capacity(PEOPLE.len());
    for (id, name, role) in PEOPLE {
        let user = PutUser { id: UserId::stored(id), name: Some(name.into()), role: Some(role.into()), active: None };
        if let Provisioned::User { person, .. } = chat.provision(Provision::User(user)).await? {
            people.push(person);
        }
    }
    for (kind, id, title, owner) in SUBJECTS {
        let subject = PutSubject {
            kind: kind.into(),
            id: id.into(),
            title: Some(title.into()),
            owner: owner.map(UserId::stored),
            url: None,
            image_url: None,
        };
        chat.provision(Provision::Subject(subject)).await?;
    }
    for talk in &TALKS {
        begin(chat, talk, &people).await?;
    }
    Ok(())
}

async fn begin(chat: &Chat, talk: &Talk, people: &[Person]) -> Result<(), ChatError> {
    let put = PutConversation {
        key: talk.key.into(),
        kind: None,
        title: talk.title.map(Arc::from),
        subject: talk.subject.map(|(kind, id)| (kind.into(), id.into())),
        participants: talk.people.map(|(id, part)| (UserId::stored(id), Some(part.into()))).into(),
    };
    let provisioned = chat.provision(Provision::Conversation(put)).await?;
    let Provisioned::Conversation { conversation, created: true } = provisioned else { return Ok(()) };
    for (sender, text) in talk.said {
        let person = people.iter().find(|person| person.id.as_str() == *sender).ok_or(ChatError::Internal)?;
        let caller = Caller { person: person.clone(), address: None };
        let here = ConversationRef::Id(conversation.id);
        // Whoever answers has read.
        let read = Read(Mark { conversation: here.clone(), seq: None });
        chat.run(caller.clone(), Command::Read(read)).await?;
        let send = Send { conversation: here, body: Body::parse(text)?, kind: "text".into(), client_id: None };
        chat.run(caller, Command::Send(send)).await?;
    }
    Ok(())
}
