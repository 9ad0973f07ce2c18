//! Plays a story: step by step on the platform and on the model, with the rules in between, and a line for everything that
//! happened.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use consumer::HandlerError;
use contracts::{
    event::Event,
    ids::{AccountId, OrderId},
    order::v1::{
        CancelOrderRequest, CancelOrderResponse, OrderLine, PlaceOrder, PlaceOrdersRequest, PlaceOrdersResponse,
        PlacedBy, Viewer, order_service_client::OrderServiceClient, viewer::Who,
    },
    shipping::v1::{DispatchRequest, DispatchResponse, shipping_service_client::ShippingServiceClient},
};
use inventory::{Delivery, InventoryError, Restocked};
use order::{recovery, store::Lane};
use payment::{by_letter, work, work::Queue};
use shipping::{questions, timed_moves};
use sqlx::AssertSqlSafe;
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::{
    books::Books,
    exchange::HeldCall,
    model::{Asked, Model},
    platform::{Deps, Platform, Service},
    post::{self, Post, Reader},
    rules,
    story::{Card, Command, PRODUCTS, Step, Story, Trouble, Wish},
    tally::Tally,
    telling::{cancelled, changes, placed},
};

/// Far longer than any step takes.
const STEP_MAX: Duration = Duration::from_secs(20);

/// How long a customer waits; with a card that never replies it is in vain.
const BUDGET: Duration = Duration::from_secs(5);
const BUDGET_IN_VAIN: Duration = Duration::from_millis(250);

/// For the time of a step, what is claimed is nobody else's.
const LEASE: Duration = Duration::from_secs(10);

/// The most rounds that it takes until nothing is left to do: each carries every order one action further.
const ROUNDS_MAX: usize = 20;

/// Something that is under way, and may have to wait for a call that is late.
struct Running {
    errand: Errand,
    work: JoinHandle<Outcome>,
}

/// What its outcome means to the model.
enum Errand {
    Place { order: usize, other_body: bool },
    Cancel { order: usize, key: usize },
    Read { reader: Reader, letters: Vec<Event>, again: bool },
    Restock { key: String, delivery: (String, i64) },
    Other,
}

enum Outcome {
    Placed(Result<PlaceOrdersResponse, Status>),
    Cancelled(Result<CancelOrderResponse, Status>),
    Dispatched(Result<DispatchResponse, Status>),
    Read(Result<(), HandlerError>),
    Restocked(Result<Restocked, InventoryError>),
    Worked,
}

/// A story under way.
pub struct Play<'a> {
    platform: &'a mut Platform,
    held: &'a mut mpsc::UnboundedReceiver<HeldCall>,
    order: OrderServiceClient<Channel>,
    shipping: ShippingServiceClient<Channel>,
    model: Model,
    post: Post,
    books: Books,
    running: BTreeMap<usize, Running>,
    begun: usize,
    /// What has come to its end and was not heard yet.
    over: Vec<(Errand, Result<Outcome, JoinError>)>,
    /// Calls that are late, and what waits for them.
    late: Vec<(HeldCall, usize)>,
    told: Vec<String>,
    tally: &'a mut Tally,
}

/// Plays a story to its end and beyond, until nothing is left to do. An error tells the story.
pub async fn play(
    platform: &mut Platform,
    held: &mut mpsc::UnboundedReceiver<HeldCall>,
    story: &Story,
    tally: &mut Tally,
) -> Result<(), String> {
    prepare(platform, story).await;
    let channel = rpc::channel(&platform.url()).unwrap();
    let model = Model { customer: AccountId::new(), orders: Vec::new(), pieces: story.pieces.clone() };
    let books = Books::read(platform).await;
    let mut play = Play {
        platform,
        held,
        order: OrderServiceClient::new(channel.clone()),
        shipping: ShippingServiceClient::new(channel),
        model,
        post: Post::default(),
        books,
        running: BTreeMap::new(),
        begun: 0,
        over: Vec::new(),
        late: Vec::new(),
        told: Vec::new(),
        tally,
    };
    let stock = PRODUCTS.iter().zip(&story.pieces).map(|((sku, ..), pieces)| format!("{pieces} {sku}"));
    play.told.push(format!("in stock: {}", stock.collect::<Vec<_>>().join(", ")));
    let played = play.all(story).await;
    let told = play.told.join("\n");
    if played.is_err() {
        // whatever is left of it must not reach into the next story
        let late = play.late.into_iter().map(|(call, _)| call).collect();
        play.platform.begin_anew(late).await;
    }
    played.map_err(|error| format!("{told}\n=> {error:#}"))
}

/// Empties all databases and puts the products on sale.
async fn prepare(platform: &Platform, story: &Story) {
    for (service, tables) in [
        (Service::Order, "orders, cancel_request"),
        (Service::Inventory, "reservation, restock_receipt, stock, product"),
        (Service::Payment, "transfers, payments, charge_work"),
        (Service::Shipping, "shipment, address_question"),
    ] {
        let clear = tables.split(", ").chain(["outbox"]).map(|table| format!("DELETE FROM {table};"));
        let clear = AssertSqlSafe(clear.collect::<String>());
        sqlx::raw_sql(clear).execute(&platform.database(service).owner).await.unwrap();
    }
    for ((sku, price, currency), pieces) in PRODUCTS.iter().zip(&story.pieces) {
        sqlx::query(
            "WITH product AS (INSERT INTO product (sku, name, price_minor, currency) VALUES ($1, $1, $2, $3) RETURNING sku)
             INSERT INTO stock (sku, available, received) SELECT sku, $4, $4 FROM product",
        )
        .bind(sku)
        .bind(price)
        .bind(currency)
        .bind(pieces)
        .execute(&platform.database(Service::Inventory).owner)
        .await
        .unwrap();
    }
}

impl Play<'_> {
    async fn all(&mut self, story: &Story) -> Result<()> {
        for step in &story.steps {
            self.step(step.clone()).await?;
        }
        self.told.push("nothing goes wrong any more".to_owned());
        self.to_rest().await?;
        for order in 0..self.model.orders.len() {
            self.easy(Command::PlaceAgain { order: number(order), other_body: false }).await?;
        }
        self.to_rest().await?;
        rules::at_the_end(&self.model, &self.books).context("in the end")?;
        for row in self.books.orders.values() {
            self.tally.count(format!("ended {}", row.reason.as_ref().unwrap_or(&row.saga_state)));
        }
        Ok(())
    }

    /// Has everything done that is left to do.
    async fn to_rest(&mut self) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            while !self.late.is_empty() {
                self.easy(Command::LetGo { call: 0 }).await?;
            }
            let before = self.books.clone();
            self.until_still(&self.running.keys().copied().collect::<Vec<_>>()).await?;
            self.look(&before).await?;
            while !self.post.is_empty() {
                self.easy(Command::Deliver { letter: 0, batch: 3 }).await?;
            }
            for _ in 0..self.books.to_charge.len() {
                self.easy(Command::Charge { order: 0 }).await?;
            }
            for _ in 0..self.books.to_ask.len() {
                self.easy(Command::AskAddress { order: 0 }).await?;
            }
            for order in 0..self.due().len() {
                self.easy(Command::Recover { order: number(order), overdue: false }).await?;
            }
            let work = self.books.to_charge.len() + self.books.to_ask.len() + self.due().len();
            if work == 0 && self.late.is_empty() && self.running.is_empty() && self.post.is_empty() {
                return Ok(());
            }
        }
        bail!("it never comes to rest; late calls: {}, orders: {:?}", self.late.len(), self.books.orders.values())
    }

    async fn easy(&mut self, command: Command) -> Result<()> {
        self.step(Step { command, trouble: None }).await
    }

    /// Plays a step, and sees that everything is as it must be then.
    async fn step(&mut self, step: Step) -> Result<()> {
        let before = self.books.clone();
        self.expect(step.trouble.as_ref());
        let Some(begun) = self.begin(&step).await else {
            self.expect(None);
            return Ok(());
        };
        self.tally.step(&step);
        let awaited = self.until_still(&begun).await;
        self.expect(None);
        self.tell(self.platform.exchange.take_story());
        awaited?;
        self.look(&before).await
    }

    /// Looks what has changed, hears what was answered, and sees that all is as it must be.
    async fn look(&mut self, before: &Books) -> Result<()> {
        self.post.collect(self.platform).await;
        self.books = Books::read(self.platform).await;
        self.tell(changes(&self.model, before, &self.books));
        self.hear_outcomes(before).await?;
        rules::after_a_step(&self.model, before, &self.books)
    }

    /// One more line each about the present step.
    fn tell(&mut self, lines: impl IntoIterator<Item = String>) {
        self.told.extend(lines.into_iter().map(|line| format!("    {line}")));
    }

    fn expect(&self, trouble: Option<&Trouble>) {
        let call = trouble.and_then(|it| if let Trouble::Call(call, fate) = it { Some((*call, *fate)) } else { None });
        self.platform.exchange.expect(call);
        for service in Service::ALL {
            let death = match trouble {
                Some(Trouble::Death(who, statement, moment)) if *who == service => Some((*statement, *moment)),
                _ => None,
            };
            self.platform.line(service).expect(death);
        }
    }

    /// Begins what a step says, and gives what is to be waited for. `None` when there is nothing that it could be about.
    async fn begin(&mut self, step: &Step) -> Option<Vec<usize>> {
        let command = &step.command;
        let begun = match command {
            Command::Place(wish) => {
                let order = self.model.orders.len();
                self.model.orders.push(Asked::new(format!("key-of-order-{order}"), wish.clone()));
                self.place(order, false)
            }
            Command::PlaceAgain { order, other_body } => {
                let order = pick(*order, self.model.orders.len())?;
                self.place(order, *other_body)
            }
            Command::Cancel { order, key } => self.cancel(pick(*order, self.model.orders.len())?, usize::from(*key))?,
            Command::Dispatch { parcel } => {
                let order = self.parcels().get(pick(*parcel, self.parcels().len())?).copied()?;
                let request = DispatchRequest { order_id: OrderId::from(order).to_string() };
                let mut shipping = self.shipping.clone();
                let call = async move { shipping.dispatch(request).await.map(tonic::Response::into_inner) };
                self.run(Errand::Other, tokio::spawn(async move { Outcome::Dispatched(call.await) }))
            }
            Command::MoveParcel { parcel } => {
                let order = self.parcels().get(pick(*parcel, self.parcels().len())?).copied()?;
                let due =
                    "UPDATE shipment SET due_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END
                           WHERE due_at IS NOT NULL";
                self.make_due(Service::Shipping, due, order).await;
                let Deps::Shipping(deps) = self.platform.deps(Service::Shipping) else {
                    unreachable!("shipping's own")
                };
                // an error is told by what did not change
                self.work(Service::Shipping, async move { drop(timed_moves::move_due(&deps).await) })
            }
            Command::Restock { key, product, pieces } => {
                let (key, sku) = (format!("delivery-{key}"), PRODUCTS[usize::from(*product)].0);
                let delivery = Delivery::new(key.clone(), sku.parse().unwrap(), i64::from(*pieces)).unwrap();
                let Deps::Inventory(pool) = self.platform.deps(Service::Inventory) else { unreachable!("its own") };
                let work = async move { Outcome::Restocked(inventory::restock(&pool, &delivery).await) };
                let errand = Errand::Restock { key, delivery: (sku.to_owned(), i64::from(*pieces)) };
                self.run(errand, self.platform.runtime(Service::Inventory).spawn(work))
            }
            Command::Deliver { letter, batch } => {
                let (reader, letters) = self.post.take(*letter, *batch)?;
                self.read(reader, letters, false)
            }
            Command::Redeliver { letter } => {
                let (reader, letter) = self.post.old_letter(*letter)?;
                self.read(reader, vec![letter], true)
            }
            Command::Charge { order } => {
                let order = *self.books.to_charge.get(pick(*order, self.books.to_charge.len())?)?;
                let due = "UPDATE charge_work SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END";
                self.make_due(Service::Payment, due, order).await;
                let Deps::Payment(deps) = self.platform.deps(Service::Payment) else { unreachable!("payment's own") };
                self.work(Service::Payment, charge(deps))
            }
            Command::AskAddress { order } => {
                let order = *self.books.to_ask.get(pick(*order, self.books.to_ask.len())?)?;
                let due = "UPDATE address_question
                           SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END";
                self.make_due(Service::Shipping, due, order).await;
                let Deps::Shipping(deps) = self.platform.deps(Service::Shipping) else {
                    unreachable!("shipping's own")
                };
                self.work(Service::Shipping, async move {
                    for question in questions::claim(&deps, 1).await.unwrap_or_default() {
                        questions::attempt(&deps, &question).await;
                    }
                })
            }
            Command::Recover { order, overdue } => {
                let due = self.due();
                let order = *due.get(pick(*order, due.len())?)?;
                self.recover(order, *overdue).await
            }
            Command::LetGo { call } => {
                let (call, waits) = self.late.remove(pick(*call, self.late.len())?);
                self.told.push(format!("- {step:?}: {}", call.name));
                let letting_go = tokio::spawn(async move {
                    call.let_go().await;
                    Outcome::Worked
                });
                // when it has arrived, whoever waits for it goes on
                return Some(vec![self.run(Errand::Other, letting_go), waits]);
            }
        };
        self.told.push(format!("- {step:?}"));
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
        };
        let order_desk = self.order.clone();
        let work = tokio::spawn(async move {
            Outcome::Placed(
                rpc::ask_one(STEP_MAX, PlaceOrdersRequest { items: vec![item] }, |request| {
                    let mut order = order_desk.clone();
                    async move { order.place_orders(request).await }
                })
                .await,
            )
        });
        self.run(Errand::Place { order, other_body }, work)
    }

    fn cancel(&mut self, order: usize, key: usize) -> Option<usize> {
        let asked = &mut self.model.orders[order];
        let row = self.books.orders.get(&asked.key)?;
        asked.cancel_asked = true;
        let request = CancelOrderRequest {
            order_id: OrderId::from(row.order_id).to_string(),
            viewer: Some(Viewer { who: Some(Who::CustomerId(self.model.customer.to_string())) }),
            idempotency_key: format!("key-of-cancel-{key}"),
            budget_ms: milliseconds(BUDGET),
        };
        let order_desk = self.order.clone();
        let work = tokio::spawn(async move {
            Outcome::Cancelled(
                rpc::ask_once(STEP_MAX, request, |request| {
                    let mut order = order_desk.clone();
                    async move { order.cancel_order(request).await }
                })
                .await,
            )
        });
        Some(self.run(Errand::Cancel { order, key }, work))
    }

    fn read(&mut self, reader: Reader, letters: Vec<Event>, again: bool) -> usize {
        let (service, letters_to_read) = (reader.service(), letters.clone());
        let deps = self.platform.deps(service);
        let work = async move { Outcome::Read(post::read(deps, reader, letters_to_read).await) };
        self.run(Errand::Read { reader, letters, again }, self.platform.runtime(service).spawn(work))
    }

    async fn recover(&mut self, number: usize, overdue: bool) -> usize {
        let asked = &mut self.model.orders[number];
        let row = &self.books.orders[&asked.key];
        // recovery asks such a card for six seconds each time, unless its time is over
        let overdue = overdue || asked.made(row).card == Card::NeverReplies;
        asked.time_is_over |= overdue;
        let due = if overdue {
            "UPDATE orders SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END,
                 decide_by = CASE WHEN order_id = $1 THEN now() ELSE decide_by END
             WHERE attempt_at IS NOT NULL"
        } else {
            "UPDATE orders SET attempt_at = CASE WHEN order_id = $1 THEN now() ELSE now() + interval '1 day' END
             WHERE attempt_at IS NOT NULL"
        };
        let order = row.order_id;
        self.make_due(Service::Order, due, order).await;
        let Deps::Order(deps) = self.platform.deps(Service::Order) else { unreachable!("order's own") };
        self.work(Service::Order, async move {
            for lane in Lane::ALL {
                for due in order::store::claim_due(&deps.pool, lane, 1, LEASE).await.unwrap_or_default() {
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

    /// Waits for all of these, one after the other, or until the last of them waits for a call that is late. Meanwhile
    /// processes die, and new ones begin.
    async fn until_still(&mut self, begun: &[usize]) -> Result<()> {
        let Some(last) = begun.last() else { return Ok(()) };
        for it in begun {
            let Some(Running { errand, mut work }) = self.running.remove(it) else { continue };
            let over = loop {
                tokio::select! {
                    service = self.platform.death() => {
                        self.tell([format!("{} dies, and begins anew", service.name())]);
                        self.platform.replace(service).await;
                    }
                    Some(call) = self.held.recv() => {
                        self.late.push((call, *last));
                        break None;
                    }
                    outcome = &mut work => break Some(outcome),
                    () = tokio::time::sleep(STEP_MAX) => bail!("it has been under way for {STEP_MAX:?}"),
                }
            };
            let Some(outcome) = over else {
                self.running.insert(*it, Running { errand, work });
                return Ok(());
            };
            self.over.push((errand, outcome));
        }
        Ok(())
    }

    /// Hears everything that has come to its end.
    async fn hear_outcomes(&mut self, before: &Books) -> Result<()> {
        let finished = self.running.extract_if(.., |_, running| running.work.is_finished()).collect::<Vec<_>>();
        for (_, Running { errand, work }) in finished {
            self.over.push((errand, work.await));
        }
        for (errand, outcome) in std::mem::take(&mut self.over) {
            match outcome {
                Ok(outcome) => self.hear(errand, outcome, before)?,
                Err(error) if error.is_panic() => bail!("a panic: {error}"),
                // it died with its process
                Err(_) => self.give_up(errand),
            }
        }
        Ok(())
    }

    fn hear(&mut self, errand: Errand, outcome: Outcome, before: &Books) -> Result<()> {
        match (errand, outcome) {
            (Errand::Place { order, other_body }, Outcome::Placed(Ok(answer))) => {
                self.tell([format!("order {order}: {}", placed(&answer))]);
                let heard = self.model.orders[order].hear_placed(other_body, answer, &self.books);
                heard.with_context(|| format!("order {order}"))
            }
            (Errand::Cancel { order, key }, Outcome::Cancelled(Ok(answer))) => {
                self.tell([format!("cancel of order {order}: {}", cancelled(&answer))]);
                let heard = self.model.orders[order].hear_cancelled(key, answer, &self.books);
                heard.with_context(|| format!("order {order}"))
            }
            (
                Errand::Place { order, .. } | Errand::Cancel { order, .. },
                Outcome::Placed(Err(_)) | Outcome::Cancelled(Err(_)),
            ) => {
                self.tell([format!("order {order}: its customer hears nothing")]);
                Ok(())
            }
            (Errand::Read { reader, letters, again }, Outcome::Read(read)) => {
                self.hear_read(reader, letters, again, read)
            }
            (Errand::Restock { key, delivery }, Outcome::Restocked(restocked)) => {
                let known = before.receipts.get(&key);
                match restocked {
                    Ok(Restocked::Now) => ensure!(known.is_none(), "{key} is counted again"),
                    Ok(Restocked::Before) => ensure!(known == Some(&delivery), "{key} is another delivery"),
                    Err(InventoryError::KeyReused { .. }) => {
                        ensure!(known.is_some_and(|known| *known != delivery), "{key} was not used before");
                    }
                    Err(error) => bail!("{key}: {error}"),
                }
                Ok(())
            }
            (_, Outcome::Dispatched(answer)) => {
                self.tell([answer.map_or_else(|status| status.message().to_owned(), |_| "on its way".to_owned())]);
                Ok(())
            }
            (_, _) => Ok(()),
        }
    }

    fn hear_read(
        &mut self,
        reader: Reader,
        letters: Vec<Event>,
        again: bool,
        read: Result<(), HandlerError>,
    ) -> Result<()> {
        let what: Vec<&str> = letters.iter().map(|letter| letter.event_type.as_str()).collect();
        self.tell([format!("{} reads {}", reader.service().name(), what.join(", "))]);
        match read {
            Ok(()) if again => {}
            Ok(()) => self.post.note_read(reader, letters),
            // each alone is read later, as after a batch that failed
            Err(_) if letters.len() > 1 => self.post.put_back(reader, letters),
            Err(HandlerError::Retry(error)) => {
                self.tell([format!("later again: {error}")]);
                if !again {
                    self.post.put_back(reader, letters);
                }
            }
            Err(HandlerError::Reject(error)) => bail!("{reader:?} refuses {what:?}: {error}"),
        }
        Ok(())
    }

    fn give_up(&mut self, errand: Errand) {
        if let Errand::Read { reader, letters, again: false } = errand {
            self.post.put_back(reader, letters);
        }
    }

    /// The orders that recovery may come for, by number.
    fn due(&self) -> Vec<usize> {
        let is_due = |asked: &Asked| self.books.orders.get(&asked.key).is_some_and(|row| row.is_due_some_time);
        (0..self.model.orders.len()).filter(|order| is_due(&self.model.orders[*order])).collect()
    }

    /// The orders that have a parcel.
    fn parcels(&self) -> Vec<Uuid> {
        let rows = self.model.orders.iter().filter_map(|asked| self.books.orders.get(&asked.key));
        rows.map(|row| row.order_id).filter(|order| self.books.parcels.contains_key(order)).collect()
    }
}

/// As payment's worker does, once.
async fn charge(deps: payment::Deps) {
    for queue in [Queue::New, Queue::Repeated] {
        for work in work::claim(&deps.pool, queue, 1, LEASE).await.unwrap_or_default() {
            // without an outcome it stays written down
            let _ = by_letter::attempt(&deps, &work).await;
        }
    }
}

fn pick(number: u8, among: usize) -> Option<usize> {
    usize::from(number).checked_rem(among)
}

fn number(index: usize) -> u8 {
    u8::try_from(index).expect("a story has few steps")
}

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).expect("a few seconds")
}
