//! Conversations by what they are about and who talks: finding the one of two people on a subject, and opening it.
//!
//! What lives here: who may, as far as the subject's owner decides it. What must not: seats in general (`provision.rs`), or
//! telling anybody.

use std::sync::Arc;

use entity::subject;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::Store;
use super::failure::Failure;
use super::provision::pair_key;
use crate::error::ChatError;
use crate::protocol::{Between, ConversationId, UserId, Who};

/// The parts that people have in what was opened by a buyer.
const SELLER: &str = "seller";
const BUYER: &str = "buyer";

/// A conversation of this name on this subject, and whether the caller sits in it: whoever was removed does not come back by opening
/// another.
const FIND_SPELLED: &str = "SELECT c.id, EXISTS (SELECT 1 FROM participant AS p WHERE p.conversation_id = c.id AND p.user_id = $2) \
     AS seated FROM conversation AS c WHERE c.key = $1 AND c.subject_kind = $3 AND (CAST($4 AS text) IS NULL OR c.subject_id = $4)";
/// The conversation of two people alone on a subject, whoever opened it.
const FIND_TOGETHER: &str = "SELECT c.id FROM participant AS p \
     JOIN participant AS q ON q.conversation_id = p.conversation_id AND q.user_id = $2 \
     JOIN conversation AS c ON c.id = p.conversation_id \
     WHERE p.user_id = $1 AND (c.participant_count = 2 OR c.pair_key = $5) \
     AND c.subject_kind = $3 AND c.subject_id = $4 ORDER BY c.id LIMIT 1";
const NAME: &str = "UPDATE conversation SET key = $2 WHERE id = $1 AND key IS NULL \
     AND NOT EXISTS (SELECT 1 FROM conversation WHERE key = $2)";

/// What became of opening a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub id: ConversationId,
    /// It is new, or has a key now that it had not: rooms that are awake must learn of it.
    pub changed: bool,
}

/// Who they are in a conversation that is named by its subject.
struct Pair<'a> {
    people: [(&'a UserId, &'static str); 2],
    spellings: Vec<Arc<str>>,
    opens: bool,
}

impl Store {
    /// The conversation of two people on a subject, opened where there is none and that is asked for.
    ///
    /// # Errors
    /// `not_found` where there is none, it is not the caller's, or the subject has no owner and needs one; `forbidden` where the
    /// caller names another buyer than themselves; `invalid` where the owner names none; `unavailable`.
    pub async fn between(&self, caller: &UserId, between: &Between) -> Result<Opened, ChatError> {
        self.call(async {
            let owner = self.owner(between).await?;
            let pair = pair(caller, between, owner.as_ref())?;
            if let Some(id) = self.find_pair(caller, between, &pair).await? {
                let named = pair.opens && self.name(id, pair.spellings.first()).await?;
                return Ok(Opened { id, changed: named });
            }
            if !pair.opens {
                return Err(ChatError::NotFound("conversation").into());
            }
            let key = pair.spellings.first().map(|key| &**key);
            let id = self.open_pair(pair.people, &between.subject, key).await?;
            Ok(Opened { id, changed: true })
        })
        .await
    }

    /// The conversation, where there is one.
    pub(super) async fn find_between(
        &self,
        caller: &UserId,
        between: &Between,
    ) -> Result<Option<ConversationId>, Failure> {
        let owner = self.owner(between).await?;
        let pair = pair(caller, between, owner.as_ref())?;
        self.find_pair(caller, between, &pair).await
    }

    /// Who sells it, where that decides who talks.
    async fn owner(&self, between: &Between) -> Result<Option<UserId>, Failure> {
        if matches!(between.who, Who::Two(..)) {
            return Ok(None);
        }
        let name = (between.subject.0.to_string(), between.subject.1.to_string());
        let row = subject::Entity::find_by_id(name).one(&self.db()).await?;
        Ok(row.and_then(|row| row.owner_id).as_deref().map(UserId::stored))
    }

    async fn find_pair(
        &self,
        caller: &UserId,
        between: &Between,
        pair: &Pair<'_>,
    ) -> Result<Option<ConversationId>, Failure> {
        let (kind, id) = (&*between.subject.0, &*between.subject.1);
        // What the caller spelt names the conversation, though it could be read as being about something else.
        let about = between.spelling.is_none().then_some(id);
        for spelling in &pair.spellings {
            let values = [(&**spelling).into(), caller.as_str().into(), kind.into(), about.into()];
            if let Some(row) = self.db().query_one_raw(self.statement(FIND_SPELLED, values)).await? {
                if row.try_get::<bool>("", "seated")? {
                    return Ok(Some(ConversationId(row.try_get("", "id")?)));
                }
                return Err(ChatError::NotFound("conversation").into());
            }
        }
        let [(first, _), (last, _)] = pair.people;
        let pair_key = pair_key(first, last, Some(&between.subject));
        let values = [first.as_str().into(), last.as_str().into(), kind.into(), id.into(), pair_key.into()];
        let row = self.db().query_one_raw(self.statement(FIND_TOGETHER, values)).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(ConversationId))
    }

    /// Gives a conversation without a key this one; says whether it has it now and had none.
    async fn name(&self, id: ConversationId, key: Option<&Arc<str>>) -> Result<bool, Failure> {
        let Some(key) = key else { return Ok(false) };
        let has_none = "SELECT 1 FROM conversation WHERE id = $1 AND key IS NULL";
        if self.db().query_one_raw(self.statement(has_none, [id.0.into()])).await?.is_none() {
            return Ok(false);
        }
        let writing = self.inner.begin().await?;
        let values = [id.0.into(), (&**key).into()];
        let named = writing.transaction.execute_raw(self.statement(NAME, values)).await?.rows_affected() > 0;
        writing.commit().await?;
        Ok(named)
    }
}

/// Who the two are, and whether the caller may open it.
fn pair<'a>(caller: &'a UserId, between: &'a Between, owner: Option<&'a UserId>) -> Result<Pair<'a>, ChatError> {
    let spellings = |first: Option<Arc<str>>| first.into_iter().chain(between.other_spelling.clone()).collect();
    let (people, spellings, opens) = match &between.who {
        Who::Two(one, other) => {
            if one == other {
                return Err(ChatError::invalid("a conversation needs somebody else"));
            }
            if caller != one && caller != other {
                return Err(ChatError::NotFound("conversation"));
            }
            ([(one, ""), (other, "")], spellings(between.spelling.clone()), between.opens)
        }
        Who::WithOwner(named) => {
            let owner = owner.ok_or(ChatError::NotFound("subject"))?;
            let buyer = match named {
                _ if caller != owner => {
                    if named.as_ref().is_some_and(|named| named != caller) {
                        return Err(ChatError::forbidden("this is another buyer's conversation"));
                    }
                    caller
                }
                Some(named) if named != owner => named,
                Some(_) => return Err(ChatError::NotFound("conversation")),
                None => return Err(ChatError::invalid("the seller must say which buyer's conversation is meant")),
            };
            // Each buyer has one of their own, by which the shop's backend may find it.
            let key = format!("{}:{}:{buyer}", between.subject.0, between.subject.1);
            ([(owner, SELLER), (buyer, BUYER)], vec![Arc::from(key)], between.opens && caller == buyer)
        }
    };
    Ok(Pair { people, spellings, opens })
}
