//! Beginning what a step says: which order, letter or call it is about now, and what is done about it.

use std::time::Duration;

use contracts::{
    event::Event,
    ids::OrderId,
    order::v1::{CancelOrderRequest, OrderLine, PlaceOrder, PlaceOrdersRequest, PlacedBy, Viewer, viewer::Who},
    shipping::v1::DispatchRequest,
};
use inventory::Delivery;
use operator_log::Operator;
use order::{recovery, store::Lane};
use payment::{by_letter, work, work::Queue};
use service_runtime::{Horizon, LookBack};
use shipping::{questions, timed_moves};
use tokio::task::JoinHandle;
use tonic::Response;
use uuid::Uuid;

use super::{Errand, Outcome, Play, Running, STEP_MAX};
use crate::{
    model::Asked,
    platform::{Deps, Service},
    post::{self, Reader},
    story::{Card, Command, PRODUCTS, Wish},
};

/// How long a customer waits; with a card that never replies it is in vain.
const BUDGET: Duration = Duration::from_secs(5);
const BUDGET_IN_VAIN: Duration = Duration::from_millis(250);

/// For the time of a step, what is claimed is nobody else's.
const LEASE: Duration = Duration::from_secs(10);

impl Play<'_> {
    /// Begins what a command says, and gives what is to be waited for. `None` when there is nothing that it could be about.
    pub(super) async fn begin(&mut self, command: &Command) -> Option<Vec<usize>> {
        let begun = match command {
            Command::Place(wish) => {
                let order = self.model.orders.len();
                self.model.orders.push(Asked::new(format!("key-of-order-{order}"), wish.clone()));
                self.told.push(format!("- a customer places order {order}: {wish:?}"));
                self.place(order, false)
            }
            Command::PlaceAgain { order, other_body } => {
                let order = pick(*order, self.model.orders.len())?;
                let body = if *other_body { "another body" } else { "the same" };
                self.told.push(format!("- the customer of order {order} asks again, for {body}"));
                self.place(order, *other_body)
            }
            Command::Cancel { order, key } => {
                let known = self.known_orders();
                let order = *known.get(pick(*order, known.len())?)?;
                self.told.push(format!("- the customer of order {order} cancels it, with his key {key}"));
                self.cancel(order, usize::from(*key))
            }
            Command::Dispatch { parcel } => {
                let order = self.parcel(*parcel)?;
                self.told.push(format!("- an operator sends the parcel of order {} on its way", self.number_of(order)));
                self.dispatch(order)
            }
            Command::MoveParcel { parcel } => {
                let order = self.parcel(*parcel)?;
                self.told.push(format!("- time passes for the parcel of order {}", self.number_of(order)));
                self.move_parcel(order).await
            }
            Command::Restock { key, product, pieces } => {
                let (key, sku) = (format!("delivery-{key}"), PRODUCTS[usize::from(*product)].0);
                self.told.push(format!("- {key} arrives: {pieces} {sku}"));
                self.restock(key, sku, i64::from(*pieces))
            }
            Command::Deliver { letter, batch } => {
                let (reader, letters) = self.post.take(*letter, *batch)?;
                self.told.push(format!("- {} reads {}", reader.service().name(), self.names(&letters)));
                self.read(reader, letters, false)
            }
            Command::Redeliver { letter } => {
                let (reader, letter) = self.post.old_letter(*letter)?;
                let letters = vec![letter];
                self.told.push(format!("- {} reads again {}", reader.service().name(), self.names(&letters)));
                self.read(reader, letters, true)
            }
            Command::Charge { order } => {
                let order = *self.books.to_charge.get(pick(*order, self.books.to_charge.len())?)?;
                self.told.push(format!("- payment charges order {}", self.number_of(order)));
                self.charge(order).await
            }
            Command::AskAddress { order } => {
                let order = *self.books.to_ask.get(pick(*order, self.books.to_ask.len())?)?;
                self.told.push(format!("- shipping asks for the address of order {}", self.number_of(order)));
                self.ask_address(order).await
            }
            Command::Recover { order, overdue } => {
                let due = self.due();
                let order = *due.get(pick(*order, due.len())?)?;
                self.recover(order, *overdue).await
            }
            Command::LetGo { call } => {
                let (call, waits) = self.late.remove(pick(*call, self.late.len())?);
                self.told.push(format!("- what was late arrives now: {}", call.name));
                let letting_go = tokio::spawn(async move {
                    call.let_go().await;
                    Outcome::Worked
                });
                // when it has arrived, whoever waits for it goes on
                return Some(vec![self.run(Errand::Other, letting_go), waits]);
            }
        };
        Some(vec![begun])
    }

    fn place(&mut self, order: usize, other_body: bool) -> usize {
        let asked = &self.model.orders[order];
        let Wish { lines, card, by_letter } = asked.body(other_body);
        let line = |(sku, quantity): (&str, u32)| OrderLine { sku: sku.to_owned(), quantity };
        let budget = if card == Card::NeverReplies { BUDGET_IN_VAIN } else { BUDGET };
        let item = PlaceOrder {
            order_id: OrderId::new().to_string(),
            customer_id: self.model.customer.to_string(),
            idempotency_key: asked.key.clone(),
            lines: lines.into_iter().map(line).collect(),
            card_token: card.token().to_owned(),
            budget_ms: milliseconds(budget),
            placed_by: if by_letter { PlacedBy::Letter } else { PlacedBy::Telephone }.into(),
            traceparent: String::new(),
        };
        let desk = self.order.clone();
        let placing = async move {
            let placed = rpc::ask_one(STEP_MAX, PlaceOrdersRequest { items: vec![item] }, |request| {
                let mut desk = desk.clone();
                async move { desk.place_orders(request).await }
            });
            Outcome::Placed(placed.await)
        };
        self.run(Errand::Place { order, other_body }, tokio::spawn(placing))
    }

    fn cancel(&mut self, order: usize, key: usize) -> usize {
        let asked = &mut self.model.orders[order];
        asked.wants_cancel = true;
        let request = CancelOrderRequest {
            order_id: OrderId::from(self.books.orders[&asked.key].order_id).to_string(),
            viewer: Some(Viewer { who: Some(Who::CustomerId(self.model.customer.to_string())) }),
            idempotency_key: format!("key-of-cancel-{key}"),
            budget_ms: milliseconds(BUDGET),
        };
        let desk = self.order.clone();
        let cancelling = async move {
            let cancelled = rpc::ask_once(STEP_MAX, request, |request| {
                let mut desk = desk.clone();
                async move { desk.cancel_order(request).await }
            });
            Outcome::Cancelled(cancelled.await)
        };
        self.run(Errand::Cancel { order, key }, tokio::spawn(cancelling))
    }

    fn dispatch(&mut self, order: Uuid) -> usize {
        let request = DispatchRequest { order_id: OrderId::from(order).to_string(), operator_id: String::new() };
        let mut desk = self.shipping.clone();
        let dispatching = async move { Outcome::Dispatched(desk.dispatch(request).await.map(Response::into_inner)) };
        self.run(Errand::Other, tokio::spawn(dispatching))
    }

    async fn move_parcel(&mut self, order: Uuid) -> usize {
        let due = "UPDATE shipment SET due_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END
                   WHERE due_at IS NOT NULL";
        self.make_due(Service::Shipping, due, order).await;
        let deps = self.platform.shipping();
        // an error is told by what does not change
        self.work(Service::Shipping, async move { drop(timed_moves::move_due(&deps, &mut Horizon::default()).await) })
    }

    fn restock(&mut self, key: String, sku: &str, pieces: i64) -> usize {
        let delivery = Delivery::new(key.clone(), sku.parse().expect("a SKU"), pieces).expect("a few pieces");
        let pool = self.platform.inventory();
        let restocking =
            async move { Outcome::Restocked(inventory::restock(&pool, &delivery, Operator::Unnamed).await) };
        let errand = Errand::Restock { key, delivery: (sku.to_owned(), pieces) };
        self.run(errand, self.platform.runtime(Service::Inventory).spawn(restocking))
    }

    pub(super) fn read(&mut self, reader: Reader, letters: Vec<Event>, again: bool) -> usize {
        let (service, to_read) = (reader.service(), letters.clone());
        let deps: Deps = self.platform.deps(service);
        let reading = async move { Outcome::Read(post::read(deps, reader, to_read).await) };
        self.run(Errand::Read { reader, letters, again }, self.platform.runtime(service).spawn(reading))
    }

    /// As payment's worker does, once.
    async fn charge(&mut self, order: Uuid) -> usize {
        let due = "UPDATE charge_work
                   SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END";
        self.make_due(Service::Payment, due, order).await;
        let deps = self.platform.payment();
        self.work(Service::Payment, async move {
            for queue in [Queue::New, Queue::Repeated] {
                for work in work::claim(&deps.pool, queue, 1, LookBack::WHOLE, LEASE).await.unwrap_or_default() {
                    // without an outcome it stays written down
                    let _ = by_letter::attempt(&deps, &work).await;
                }
            }
        })
    }

    /// As shipping's worker does, once.
    async fn ask_address(&mut self, order: Uuid) -> usize {
        let due = "UPDATE address_question
                   SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END";
        self.make_due(Service::Shipping, due, order).await;
        let deps = self.platform.shipping();
        self.work(Service::Shipping, async move {
            let asker = questions::Asker::start(deps);
            for claimed in asker.claim(1, LookBack::WHOLE).await.unwrap_or_default() {
                asker.attempt(claimed).await;
            }
        })
    }

    /// As recovery does, once.
    async fn recover(&mut self, number: usize, overdue: bool) -> usize {
        let asked = &mut self.model.orders[number];
        let row = &self.books.orders[&asked.key];
        // recovery asks such a card for six seconds each time, unless the order's time is over
        let overdue = overdue || asked.made(row).card == Card::NeverReplies;
        asked.time_is_over |= overdue;
        self.told
            .push(format!("- recovery takes up order {number}{}", if overdue { ", whose time is over" } else { "" }));
        let due = if overdue {
            "UPDATE orders SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END,
                 decide_by = CASE WHEN order_id = $1 THEN now() ELSE decide_by END
             WHERE attempt_at IS NOT NULL"
        } else {
            "UPDATE orders SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END
             WHERE attempt_at IS NOT NULL"
        };
        self.make_due(Service::Order, due, row.order_id).await;
        let deps = self.platform.order();
        self.work(Service::Order, async move {
            for lane in Lane::ALL {
                for due in
                    order::store::claim_due(&deps.pool, lane, 1, LookBack::WHOLE, LEASE).await.unwrap_or_default()
                {
                    recovery::attempt(deps.clone(), due).await;
                }
            }
        })
    }

    /// Lets time pass for one row, and for no other.
    async fn make_due(&self, service: Service, update: &'static str, order: Uuid) {
        sqlx::query(update).bind(order).execute(&self.platform.database(service).owner).await.unwrap();
    }

    /// Something that a service does by itself; what it comes to shows in its database.
    fn work(&mut self, service: Service, work: impl Future<Output = ()> + Send + 'static) -> usize {
        let work = async move {
            work.await;
            Outcome::Worked
        };
        self.run(Errand::Other, self.platform.runtime(service).spawn(work))
    }

    fn run(&mut self, errand: Errand, work: JoinHandle<Outcome>) -> usize {
        self.begun += 1;
        self.running.insert(self.begun, Running { errand, work });
        self.begun
    }

    /// The order of a parcel.
    fn parcel(&self, number: u8) -> Option<Uuid> {
        let orders =
            self.known_orders().into_iter().map(|order| self.books.orders[&self.model.orders[order].key].order_id);
        let orders: Vec<Uuid> = orders.filter(|order| self.books.parcels.contains_key(order)).collect();
        orders.get(pick(number, orders.len())?).copied()
    }

    fn names(&self, letters: &[Event]) -> String {
        let name = |letter: &Event| {
            let order = letter.subject.parse::<OrderId>().expect("letters are about orders");
            format!("{} of order {}", letter.event_type, self.number_of(order.as_uuid()))
        };
        letters.iter().map(name).collect::<Vec<_>>().join(", ")
    }
}

/// The place that a number means, counted from the last.
fn pick(number: u8, among: usize) -> Option<usize> {
    let from_the_last = usize::from(number).checked_rem(among)?;
    Some(among - 1 - from_the_last)
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).expect("a few seconds")
}
