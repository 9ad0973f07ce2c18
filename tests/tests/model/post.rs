//! The post: letters are taken from the outboxes and wait, key by key, until the story has them read. The letters of one key
//! on one topic are read in their order; everything else may overtake, and everything may come again.

use std::collections::{BTreeMap, HashSet, VecDeque};

use consumer::{EventHandler, HandlerError};
use contracts::{
    event::Event,
    topics::{ORDERS, PAYMENTS, RESERVATIONS, SHIPMENTS, Topic},
};
use inventory::FollowOrders;
use order::consumers::{HearPayment, HearReservation, HearShipment};
use payment::consumers::ChargeHeldOrders;
use service_runtime::clock::Clock;
use shipping::consumers::NoteCompleted;
use uuid::Uuid;

use crate::{
    books::Books,
    platform::{Deps, Platform, Service},
};

/// Who reads which topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    InventoryOfOrders,
    ShippingOfOrders,
    PaymentOfReservations,
    OrderOfReservations,
    OrderOfPayments,
    OrderOfShipments,
}

impl Reader {
    const ALL: [Self; 6] = [
        Self::InventoryOfOrders,
        Self::ShippingOfOrders,
        Self::PaymentOfReservations,
        Self::OrderOfReservations,
        Self::OrderOfPayments,
        Self::OrderOfShipments,
    ];

    /// Whose reader it is.
    pub const fn service(self) -> Service {
        match self {
            Self::InventoryOfOrders => Service::Inventory,
            Self::ShippingOfOrders => Service::Shipping,
            Self::PaymentOfReservations => Service::Payment,
            Self::OrderOfReservations | Self::OrderOfPayments | Self::OrderOfShipments => Service::Order,
        }
    }

    const fn topic(self) -> Topic {
        match self {
            Self::InventoryOfOrders | Self::ShippingOfOrders => ORDERS,
            Self::PaymentOfReservations | Self::OrderOfReservations => RESERVATIONS,
            Self::OrderOfPayments => PAYMENTS,
            Self::OrderOfShipments => SHIPMENTS,
        }
    }
}

/// Everything that was written, as far as it is to be read.
#[derive(Debug, Default)]
pub struct Post {
    seen: HashSet<Uuid>,
    waiting: BTreeMap<(Reader, String), VecDeque<Event>>,
    read: Vec<(Reader, Event)>,
}

impl Post {
    /// Takes what was written since the last time.
    pub fn collect(&mut self, platform: &Platform, books: &Books) {
        for (_, topic, letter) in &books.letters {
            if !self.seen.insert(letter.id) {
                continue;
            }
            for reader in Reader::ALL.into_iter().filter(|reader| reader.topic().name() == topic) {
                if wants(&platform.deps(reader.service()), reader, letter) {
                    self.waiting.entry((reader, letter.subject.clone())).or_default().push_back(letter.clone());
                }
            }
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The next letters for one reader, each of another key, from the place `pick` on; they do not wait any more.
    pub fn take(&mut self, pick: u8, batch: u8) -> Option<(Reader, Vec<Event>)> {
        let first = usize::from(pick) % self.waiting.len().max(1);
        let (reader, _) = *self.waiting.keys().nth(first).map(|(reader, key)| (reader, key)).as_ref()?;
        let reader = *reader;
        let keys: Vec<_> = self.waiting.keys().skip(first).take_while(|(other, _)| *other == reader).cloned().collect();
        let letters = keys.into_iter().take(batch.into()).filter_map(|key| {
            let queue = self.waiting.get_mut(&key)?;
            let letter = queue.pop_front();
            if queue.is_empty() {
                self.waiting.remove(&key);
            }
            letter
        });
        Some((reader, letters.collect()))
    }

    /// Letters that were taken and not read: they come first again.
    pub fn put_back(&mut self, reader: Reader, letters: Vec<Event>) {
        for letter in letters {
            self.waiting.entry((reader, letter.subject.clone())).or_default().push_front(letter);
        }
    }

    /// Notes that letters were read.
    pub fn note_read(&mut self, reader: Reader, letters: Vec<Event>) {
        self.read.extend(letters.into_iter().map(|letter| (reader, letter)));
    }

    /// All letters that were read, in that order.
    pub fn old_letters(&self) -> Vec<(Reader, Event)> {
        self.read.clone()
    }

    /// A letter that was read before.
    pub fn old_letter(&self, pick: u8) -> Option<(Reader, Event)> {
        self.read.get(usize::from(pick) % self.read.len().max(1)).cloned()
    }
}

/// Has a service read letters: all of them in one transaction, as a batch of its consumer is.
pub async fn read(deps: Deps, reader: Reader, letters: Vec<Event>) -> Result<(), HandlerError> {
    let pool = match &deps {
        Deps::Order(deps) => &deps.pool,
        Deps::Inventory(pool) => pool,
        Deps::Payment(deps) => &deps.pool,
        Deps::Shipping(deps) => &deps.pool,
    };
    let mut tx = pool.begin().await?;
    for letter in &letters {
        match (reader, &deps) {
            (Reader::InventoryOfOrders, _) => FollowOrders { clock: Clock::System }.handle(&mut tx, letter).await?,
            (Reader::ShippingOfOrders, _) => NoteCompleted.handle(&mut tx, letter).await?,
            (Reader::PaymentOfReservations, _) => ChargeHeldOrders.handle(&mut tx, letter).await?,
            (Reader::OrderOfReservations, Deps::Order(deps)) => {
                HearReservation::new(deps.clock).handle(&mut tx, letter).await?;
            }
            (Reader::OrderOfPayments, Deps::Order(deps)) => {
                HearPayment::new(deps.clock).handle(&mut tx, letter).await?;
            }
            (Reader::OrderOfShipments, Deps::Order(deps)) => {
                HearShipment::new(deps.clock).handle(&mut tx, letter).await?;
            }
            (reader, _) => unreachable!("{reader:?} is a reader of another service"),
        }
    }
    Ok(tx.commit().await?)
}

fn wants(deps: &Deps, reader: Reader, letter: &Event) -> bool {
    let kind = letter.event_type.as_str();
    match (reader, deps) {
        (Reader::InventoryOfOrders, _) => FollowOrders { clock: Clock::System }.wants(kind),
        (Reader::ShippingOfOrders, _) => NoteCompleted.wants(kind),
        (Reader::PaymentOfReservations, _) => ChargeHeldOrders.wants(kind),
        (Reader::OrderOfReservations, Deps::Order(deps)) => HearReservation::new(deps.clock).wants(kind),
        (Reader::OrderOfPayments, Deps::Order(deps)) => HearPayment::new(deps.clock).wants(kind),
        (Reader::OrderOfShipments, Deps::Order(deps)) => HearShipment::new(deps.clock).wants(kind),
        (reader, _) => unreachable!("{reader:?} is a reader of another service"),
    }
}
