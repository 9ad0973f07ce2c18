//! The card network at work: decides one request at a time, and answers when the books are on the disk.

use std::sync::{Mutex, MutexGuard};

use service_runtime::clock::Clock;
use tokio::sync::Semaphore;

use crate::{
    books::{Books, WriteError},
    card,
    charges::{Charge, ChargeAnswer, Charges, RefundAnswer},
    entry::{Change, Entry, Refund, Terms},
    reference::Reference,
};

/// Requests that are being decided or wait for a slow card; more are refused.
const IN_FLIGHT_MAX: usize = 4096;

/// Why a request has no answer. Asking again is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many requests at once.
    #[error("{IN_FLIGHT_MAX} requests are being worked on")]
    Overloaded,
    /// The answer is not known to be on the disk.
    #[error(transparent)]
    NotWritten(#[from] WriteError),
}

/// The network: its charges and its books.
#[derive(Debug)]
pub struct Network {
    charges: Mutex<Charges>,
    books: Books,
    in_flight: Semaphore,
    clock: Clock,
}

impl Network {
    /// A network that goes on where its books end.
    pub fn new(books: Books, charges: Charges, clock: Clock) -> Self {
        Self { charges: Mutex::new(charges), books, in_flight: Semaphore::new(IN_FLIGHT_MAX), clock }
    }

    /// Charges a card, once for each reference.
    pub async fn charge(&self, reference: Reference, terms: Terms) -> Result<(ChargeAnswer, Charge), NoAnswer> {
        let _place = self.in_flight.try_acquire().map_err(|_| NoAnswer::Overloaded)?;
        let first = self.change(&reference, |charges| charges.charge(&reference, &terms, false)).await?;
        if first.0 != ChargeAnswer::Later {
            return Ok(first);
        }
        tokio::time::sleep(card::SLOW).await;
        // decided anew: it may have been voided meanwhile
        self.change(&reference, |charges| charges.charge(&reference, &terms, true)).await
    }

    /// Voids a charge: nothing can be captured under the reference any more, and what was captured is given back.
    pub async fn void(&self, reference: &Reference) -> Result<Charge, NoAnswer> {
        let _place = self.in_flight.try_acquire().map_err(|_| NoAnswer::Overloaded)?;
        let ((), charge) = self.change(reference, |charges| ((), charges.void(reference))).await?;
        Ok(charge)
    }

    /// Gives a part of a capture back, once for each refund reference.
    pub async fn refund(&self, reference: &Reference, refund: &Refund) -> Result<(RefundAnswer, Charge), NoAnswer> {
        let _place = self.in_flight.try_acquire().map_err(|_| NoAnswer::Overloaded)?;
        self.change(reference, |charges| charges.refund(reference, refund)).await
    }

    /// Reads from the charges. What was read is on the disk: nobody is told of a capture that a crash could undo.
    pub async fn read<A>(&self, read: impl FnOnce(&Charges) -> A) -> Result<A, NoAnswer> {
        let (answer, entries) = {
            let charges = self.lock();
            (read(&charges), charges.entries())
        };
        self.books.durable(entries).await?;
        Ok(answer)
    }

    /// Waits until the books cannot be written any more.
    pub async fn failed(&self) {
        self.books.failed().await;
    }

    /// Decides and changes one charge; answers with it as it is then.
    async fn change<A>(
        &self,
        reference: &Reference,
        decide: impl FnOnce(&Charges) -> (A, Option<Change>),
    ) -> Result<(A, Charge), NoAnswer> {
        let slot = self.books.slot().await?;
        let (answer, charge, entries) = {
            let mut charges = self.lock();
            let (answer, change) = decide(&charges);
            if let Some(change) = change {
                let at = charges.entry_time(self.clock.now());
                let entry = Entry { at, merchant_reference: reference.clone(), change };
                charges.apply(&entry).expect("the change was decided from these charges");
                // queued while the lock is held, so that the books have the order in which it was decided
                slot.append(entry);
            }
            (answer, charges.find(reference).cloned().unwrap_or_default(), charges.entries())
        };
        // also when nothing changed: the answer may rest on an entry that is still on its way to the disk
        self.books.durable(entries).await?;
        Ok((answer, charge))
    }

    fn lock(&self) -> MutexGuard<'_, Charges> {
        self.charges.lock().expect("nothing panics while it holds the charges")
    }
}
