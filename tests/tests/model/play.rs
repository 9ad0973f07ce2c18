//! Plays a story: step by step on the platform and on the model, with the rules in between, and a line for everything that
//! happened.

mod begin;
mod hear;

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use consumer::HandlerError;
use contracts::{
    event::Event,
    ids::AccountId,
    order::v1::{
        CancelOrderResponse, PlaceOrdersResponse, PlacedBy, order_service_client::OrderServiceClient,
        place_orders_response::Outcome as Placed,
    },
    shipping::v1::{DispatchResponse, shipping_service_client::ShippingServiceClient},
};
use inventory::{InventoryError, Restocked};
use rpc::Channel;
use sqlx::AssertSqlSafe;
use testkit::{SOON, eventually};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinHandle},
};
use tonic::Status;
use uuid::Uuid;

use crate::{
    books::Books,
    exchange::HeldCall,
    model::{Asked, Model},
    platform::{Platform, Service},
    post::{Post, Reader},
    rules,
    story::{Command, PRODUCTS, Step, Story, Trouble},
    tally::Tally,
    telling::changes,
};

/// Far longer than any step takes.
const STEP_MAX: Duration = Duration::from_secs(20);

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
    /// What goes wrong in the present step.
    trouble: Option<Trouble>,
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
        trouble: None,
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
        self.come_to_rest().await?;
        for order in 0..self.model.orders.len() {
            self.easy(Command::PlaceAgain { order: number(order), other_body: false }).await?;
        }
        self.come_to_rest().await?;
        self.hear_all_again().await?;
        self.come_to_rest().await?;
        rules::at_the_end(&self.model, &self.books).context("in the end")?;
        for row in self.books.orders.values() {
            self.tally.count(format!("ended {}", row.reason.as_ref().unwrap_or(&row.saga_state)));
        }
        Ok(())
    }

    /// Has every letter read again.
    async fn hear_all_again(&mut self) -> Result<()> {
        self.told.push("- every letter is read again".to_owned());
        let before = self.books.clone();
        for (reader, letter) in self.post.old_letters() {
            let reading = self.read(reader, vec![letter], true);
            self.until_still(&[reading]).await?;
        }
        self.look(&before).await
    }

    /// Has everything done that is left to do.
    async fn come_to_rest(&mut self) -> Result<()> {
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
        bail!(
            "it never comes to rest: {} calls are late, {} orders are to be charged, {} to be asked for, recovery has {:?}",
            self.late.len(),
            self.books.to_charge.len(),
            self.books.to_ask.len(),
            self.due()
        )
    }

    async fn easy(&mut self, command: Command) -> Result<()> {
        self.step(Step { command, trouble: None }).await
    }

    /// Plays a step, and sees that everything is as it must be then.
    async fn step(&mut self, step: Step) -> Result<()> {
        let before = self.books.clone();
        self.expect(step.trouble);
        let Some(begun) = self.begin(&step.command).await else {
            self.expect(None);
            return Ok(());
        };
        self.tally.step();
        let awaited = self.until_still(&begun).await;
        self.expect(None);
        let troubles = self.platform.exchange.take_story();
        for trouble in &troubles {
            self.tally.count(trouble.clone());
        }
        self.tell(troubles);
        awaited?;
        self.look(&before).await
    }

    /// Looks what has changed, hears what was answered, and sees that all is as it must be.
    async fn look(&mut self, before: &Books) -> Result<()> {
        self.books = Books::read(self.platform).await;
        self.post.collect(self.platform, &self.books);
        self.tell(changes(&self.model, before, &self.books));
        self.hear_outcomes(before).await?;
        rules::after_a_step(&self.model, before, &self.books)
    }

    /// One more line each about the present step.
    fn tell(&mut self, lines: impl IntoIterator<Item = String>) {
        self.told.extend(lines.into_iter().map(|line| format!("    {line}")));
    }

    fn expect(&mut self, trouble: Option<Trouble>) {
        let call = if let Some(Trouble::Call(call, fate)) = &trouble { Some((*call, *fate)) } else { None };
        self.platform.exchange.expect(call);
        for service in Service::ALL {
            let death = match &trouble {
                Some(Trouble::Death(who, statement, moment)) if *who == service => Some((*statement, *moment)),
                _ => None,
            };
            self.platform.line(service).expect(death);
        }
        self.trouble = trouble;
    }

    /// Waits for all of these, one after the other, or until the last of them waits for a call that is late. Meanwhile
    /// processes die, and new ones begin.
    async fn until_still(&mut self, begun: &[usize]) -> Result<()> {
        let Some(last) = begun.last() else { return Ok(()) };
        for it in begun {
            let Some(Running { errand, mut work }) = self.running.remove(it) else { continue };
            let over = loop {
                tokio::select! {
                    service = self.platform.death() => self.replace(service).await,
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
            if let Some(order) = given_up(&errand, &outcome) {
                self.until_handed_over(order).await;
            }
            self.over.push((errand, outcome));
        }
        Ok(())
    }

    /// Waits until an order whose customer does not wait any more is left to recovery: that follows the answer.
    async fn until_handed_over(&mut self, order: usize) {
        let key = &self.model.orders[order].key;
        let pool = &self.platform.database(Service::Order).owner;
        let handed_over = eventually(SOON, "the order is handed over", async || {
            let is_due = "SELECT attempt_at IS NULL OR attempt_at <= now() FROM orders WHERE idempotency_key = $1";
            sqlx::query_scalar(is_due).bind(key).fetch_one(pool).await.unwrap()
        });
        let dead = tokio::select! {
            service = self.platform.death() => Some(service),
            () = handed_over => None,
        };
        if let Some(service) = dead {
            self.replace(service).await;
        }
    }

    async fn replace(&mut self, service: Service) {
        let when = match &self.trouble {
            Some(Trouble::Death(_, statement, moment)) => format!("{moment:?} its statement {}", statement + 1),
            _ => "now".to_owned(),
        };
        self.tell([format!("{} dies {when}, and begins anew", service.name())]);
        self.tally.count(format!("{} died", service.name()));
        self.platform.replace(service).await;
    }

    /// The orders that recovery may come for, by number.
    fn due(&self) -> Vec<usize> {
        let is_due = |asked: &Asked| self.books.orders.get(&asked.key).is_some_and(|row| row.is_due_some_time);
        (0..self.model.orders.len()).filter(|order| is_due(&self.model.orders[*order])).collect()
    }

    /// The orders that order keeps, by number.
    fn known_orders(&self) -> Vec<usize> {
        let is_known = |order: &usize| self.books.orders.contains_key(&self.model.orders[*order].key);
        (0..self.model.orders.len()).filter(is_known).collect()
    }

    /// The number of an order that order keeps.
    fn number_of(&self, order: Uuid) -> usize {
        let is_its = |number: &usize| self.books.orders[&self.model.orders[*number].key].order_id == order;
        self.known_orders().into_iter().find(is_its).expect("nobody else makes orders")
    }
}

/// The order that its first request has not brought to a decision.
fn given_up(errand: &Errand, outcome: &Result<Outcome, JoinError>) -> Option<usize> {
    let (Errand::Place { order, .. }, Ok(Outcome::Placed(Ok(answer)))) = (errand, outcome) else { return None };
    let Some(Placed::Accepted(message)) = &answer.outcome else { return None };
    (!answer.replayed && message.placed_by() == PlacedBy::Telephone).then_some(*order)
}

fn number(index: usize) -> u8 {
    u8::try_from(index).expect("a story has few steps")
}
