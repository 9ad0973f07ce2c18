//! The calls that notification answers: decode, read, encode.

use contracts::{
    ids::AccountId,
    notification::v1::{ListMessagesRequest, ListMessagesResponse, notification_service_server::NotificationService},
};
use jiff::Timestamp;
use tonic::{Request, Response, Status};

use crate::{
    Deps, NotificationError,
    store::{self, Place},
};

/// The longest page.
const PAGE_MAX: u32 = 100;

/// Answers calls from its database.
#[derive(Debug)]
pub(crate) struct Notification {
    deps: Deps,
}

impl Notification {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl NotificationService for Notification {
    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        let request = request.into_inner();
        let customer: AccountId = request
            .customer_id
            .parse()
            .map_err(|error| NotificationError::invalid("customer_id", format!("{error}")))?;
        if !(1..=PAGE_MAX).contains(&request.limit) {
            return Err(NotificationError::invalid("limit", format!("a page has 1 to {PAGE_MAX} messages")).into());
        }
        let after = place(&request.cursor)?;
        let pool = self.deps.pool.clone();
        let limit = request.limit;
        let mut listed = rpc::uncut(&self.deps.shutdown, async move {
            // one more than asked for tells whether there is another page
            Ok(store::list(&pool, customer, after, limit + 1).await.map_err(NotificationError::from)?)
        })
        .await?;
        let limit = usize::try_from(limit).expect("at most 100");
        let has_more = listed.len() > limit;
        listed.truncate(limit);
        let last = listed.last().filter(|_| has_more);
        let next_cursor =
            last.map(|last| cursor(Place { created_at: last.created_at, id: last.id })).unwrap_or_default();
        Ok(Response::new(ListMessagesResponse { items: listed.into_iter().map(Into::into).collect(), next_cursor }))
    }
}

/// The place of a message in its list. A cursor names its place itself, so it stays good whatever is written meanwhile.
fn cursor(Place { created_at, id }: Place) -> String {
    format!("{}_{id}", created_at.as_microsecond())
}

fn place(cursor: &str) -> Result<Option<Place>, NotificationError> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let place = cursor.split_once('_').and_then(|(microsecond, id)| {
        let created_at = Timestamp::from_microsecond(microsecond.parse().ok()?).ok()?;
        // jiff's times begin before those of Postgres
        (created_at >= Timestamp::UNIX_EPOCH).then_some(Place { created_at, id: id.parse().ok()? })
    });
    // numbers and ids have other spellings than that in which they were given
    let place = place.filter(|&place| self::cursor(place) == cursor);
    let unknown = || NotificationError::invalid("cursor", "this cursor was not given by us");
    place.map(Some).ok_or_else(unknown)
}

#[cfg(test)]
mod fuzz;
