//! Customers who order through both doors for as long as they are let: good and bad cards, products that there are and
//! are not, with second thoughts at bad moments. They bear with a platform that is being harmed as a good client does:
//! whatever has no answer is asked again under the same key.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    customer::{Answer, Customer, address, new_key, order_body},
    platform::Platform,
};

/// How long one of them waits before he asks again.
const PATIENCE: Duration = Duration::from_millis(100);

/// A request that has no answer after so long, however often it is asked, has none.
const ANSWERED_WITHIN: Duration = Duration::from_mins(1);

/// An order that is not decided after so long, however often its services die meanwhile, is stuck.
const DECIDED_WITHIN: Duration = Duration::from_mins(5);

/// How many of his orders one of them leaves undecided before he orders again: those by letter. With no bound, what is left to do when
/// nobody dies any more is as much as the machine is slow, and how long it takes says nothing.
const UNDECIDED_MAX: usize = 8;

/// What somebody wants.
#[derive(Debug, Clone, Copy)]
struct Wish {
    who: Who,
    sku: &'static str,
    card: &'static str,
    door: Door,
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Somebody with an address.
    Settled,
    /// Somebody without one.
    Traveller,
    /// Somebody without one, who is never seen again.
    Passer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Telephone,
    Letter,
}

/// What is done about an order that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// Nothing: it ends by itself.
    Wait,
    /// It is cancelled at once, whatever has happened by then.
    Cancel,
    /// It is cancelled once it is COMPLETED, or has ended in another way.
    CancelCompleted,
    /// An operator sends the parcel on its way as soon as there is one.
    Dispatch,
    /// Parcels are to go somewhere else from now on.
    MoveHouse,
    /// The account is erased, and then the order is cancelled by itself.
    Leave,
}

/// One of these comes back for the same thing again and again.
const WISHES: [Wish; 16] = {
    use Door::{Letter, Telephone};
    use Then::{Cancel, CancelCompleted, Dispatch, Leave, MoveHouse, Wait};
    const fn wish(sku: &'static str, card: &'static str, door: Door, then: Then) -> Wish {
        Wish { who: Who::Settled, sku, card, door, then }
    }
    [
        Wish { who: Who::Traveller, ..wish("mug", "tok_visa", Telephone, Wait) },
        Wish { who: Who::Passer, ..wish("mug", "tok_visa", Telephone, Leave) },
        wish("mug", "tok_visa", Telephone, Wait),
        wish("mug", "tok_visa", Letter, Wait),
        wish("mug", "tok_visa", Telephone, Dispatch),
        wish("mug", "tok_visa", Letter, MoveHouse),
        wish("poster", "tok_visa", Telephone, CancelCompleted),
        wish("poster", "tok_visa", Letter, CancelCompleted),
        wish("poster", "tok_visa", Letter, Cancel),
        wish("tee", "tok_declined", Telephone, Wait),
        wish("tee", "tok_declined", Letter, Wait),
        wish("sticker", "tok_charged_no_reply", Telephone, Wait),
        wish("sticker", "tok_flaky", Letter, Wait),
        wish("sold-out", "tok_visa", Telephone, Wait),
        // nobody will ever know whether this card was charged, so nothing but the void ends its orders
        wish("mug", "tok_no_reply", Telephone, Cancel),
        wish("mug", "tok_no_reply", Letter, Cancel),
    ]
};

/// People who are shopping.
#[derive(Debug)]
pub struct Shoppers {
    stop: CancellationToken,
    shopping: JoinSet<()>,
    acknowledged: Arc<Mutex<Vec<String>>>,
}

/// One of them.
#[derive(Debug, Clone)]
struct Shopper {
    customer: Customer,
    operator: Customer,
    acknowledged: Arc<Mutex<Vec<String>>>,
}

impl Shoppers {
    /// Lets them in. Each looks around for so long between two orders.
    pub async fn enter(platform: &Platform, between_orders: Duration) -> Self {
        let (stop, acknowledged) = (CancellationToken::new(), Arc::default());
        let operator = Customer::operator(platform).await;
        let settled = Customer::register(platform).await;
        let traveller = Customer::register_without_address(platform).await;
        let mut shopping = JoinSet::new();
        for wish in WISHES {
            let customer = match wish.who {
                Who::Settled => settled.clone(),
                Who::Traveller => traveller.clone(),
                Who::Passer => Customer::nobody(platform),
            };
            let mut shopper = Shopper { customer, operator: operator.clone(), acknowledged: Arc::clone(&acknowledged) };
            let stop = stop.clone();
            shopping.spawn(async move {
                let mut undecided = VecDeque::new();
                while !stop.is_cancelled() {
                    if wish.who == Who::Passer {
                        shopper.customer = shopper.somebody_new().await;
                    }
                    undecided.push_back(shopper.shop(wish).await);
                    if undecided.len() > UNDECIDED_MAX {
                        shopper.ends(&undecided.pop_front().expect("it has some")).await;
                    }
                    tokio::time::sleep(between_orders).await;
                }
            });
        }
        Self { stop, shopping, acknowledged }
    }

    /// Lets them finish what they are at, and gives the ids of all orders that were acknowledged.
    pub async fn leave(mut self) -> Vec<String> {
        self.stop.cancel();
        while let Some(left) = self.shopping.join_next().await {
            left.expect("nobody is refused what he may ask for");
        }
        std::mem::take(&mut *self.acknowledged.lock().expect("nobody panics while he writes an id down"))
    }

    /// Panics when one of them was told what nobody should be.
    pub fn are_content(&mut self) {
        while let Some(left) = self.shopping.try_join_next() {
            left.expect("nobody is refused what he may ask for");
        }
    }
}

impl Shopper {
    /// Gives the order's id.
    async fn shop(&self, wish: Wish) -> String {
        let id = self.order(wish).await;
        match wish.then {
            Then::Wait => {}
            Then::Cancel => self.cancel(&id).await,
            Then::CancelCompleted => {
                self.ends(&id).await;
                self.cancel(&id).await;
            }
            Then::Dispatch => self.dispatch(&id).await,
            Then::MoveHouse => self.move_house(&id).await,
            Then::Leave => {
                answered(|| self.customer.try_send(Method::DELETE, "/v1/accounts/me", None, None)).await.expect(204);
                self.stands(&id, |order| order["status"] == "CANCELLED").await;
            }
        }
        id
    }

    /// A new account without an address.
    async fn somebody_new(&self) -> Customer {
        let email = format!("{}@example.com", new_key());
        let account = json!({"email": email, "password": "a long password", "name": "A Customer passing by"});
        let post = |path: &'static str, body: Value| {
            answered(move || self.customer.try_send(Method::POST, path, None, Some(body.clone())))
        };
        let made = post("/v1/accounts", account).await;
        // the first try was taken, and its answer was lost
        assert!(matches!(made.status.as_u16(), 201 | 409), "{made:?}");
        let token = post("/v1/tokens", json!({"email": email, "password": "a long password"})).await.expect(200);
        self.customer.with_token(token.json()["access_token"].as_str().expect("a token"))
    }

    async fn move_house(&self, id: &str) {
        let mut elsewhere = address();
        elsewhere["line2"] = json!(format!("the house of order {id}"));
        let path = "/v1/accounts/me/address";
        answered(|| self.customer.try_send(Method::PUT, path, None, Some(elsewhere.clone()))).await.expect(200);
    }

    async fn order(&self, wish: Wish) -> String {
        let key = new_key();
        let answer = answered(|| self.try_order(wish, &key)).await;
        // refused orders are orders, too: the problem names them
        assert!(matches!(answer.status.as_u16(), 201 | 202 | 402 | 409), "{wish:?}: {answer:?}");
        let id = answer.order_id();
        self.acknowledged.lock().expect("nobody panics while he writes an id down").push(id.clone());
        id
    }

    async fn try_order(&self, wish: Wish, key: &str) -> reqwest::Result<Answer> {
        match wish.door {
            Door::Letter => self.customer.try_order_by_letter(key, wish.sku, 1, wish.card).await,
            Door::Telephone => {
                let body = order_body(wish.sku, 1, wish.card);
                self.customer.try_send(Method::POST, "/v1/orders", Some(key), Some(body)).await
            }
        }
    }

    async fn cancel(&self, id: &str) {
        let (path, key) = (format!("/v1/orders/{id}/cancel"), new_key());
        let answer = answered(|| self.customer.try_send(Method::POST, &path, Some(&key), None)).await;
        assert!(matches!(answer.status.as_u16(), 200 | 202 | 409), "cancelling {id}: {answer:?}");
    }

    /// Waits until it is known what becomes of the order.
    async fn ends(&self, id: &str) {
        self.stands(id, |order| order["status"] != "PENDING").await;
    }

    /// Waits until the order stands so. The operator looks: who ordered may be nobody any more.
    async fn stands(&self, id: &str, is_so: impl Fn(&Value) -> bool) {
        let until = Instant::now() + DECIDED_WITHIN;
        let path = format!("/v1/orders/{id}");
        let mut order = Value::Null;
        while Instant::now() < until {
            order = answered(|| self.operator.try_send(Method::GET, &path, None, None)).await.expect(200).json();
            if is_so(&order) {
                return;
            }
            tokio::time::sleep(PATIENCE).await;
        }
        panic!("order {id} stands still for {DECIDED_WITHIN:?}: {order}");
    }

    /// Asks until the parcel has left, or it is clear that none will.
    async fn dispatch(&self, id: &str) {
        let until = Instant::now() + DECIDED_WITHIN;
        let order_path = format!("/v1/orders/{id}");
        let path = format!("{order_path}/dispatch");
        while Instant::now() < until {
            let answer = answered(|| self.operator.try_send(Method::POST, &path, None, None)).await;
            match answer.status.as_u16() {
                200 => return,
                // there is no shipment yet, it waits for an address, or its order was rejected
                404 | 409 => {}
                _ => panic!("dispatching {id}: {answer:?}"),
            }
            let order =
                answered(|| self.operator.try_send(Method::GET, &order_path, None, None)).await.expect(200).json();
            if order["status"] == "REJECTED" || order["shipment"]["status"] == "AWAITING_ADDRESS" {
                return;
            }
            tokio::time::sleep(PATIENCE).await;
        }
        panic!("the parcel of order {id} could not be sent in {DECIDED_WITHIN:?}");
    }
}

/// Asks until there is an answer that is one: not that somebody else is away, or that the same is being answered.
async fn answered<F>(ask: impl Fn() -> F) -> Answer
where
    F: Future<Output = reqwest::Result<Answer>>,
{
    let until = Instant::now() + ANSWERED_WITHIN;
    let mut last = None;
    while Instant::now() < until {
        match ask().await {
            Ok(answer) if !is_to_be_repeated(&answer) => return answer,
            repeat => last = Some(repeat),
        }
        tokio::time::sleep(PATIENCE).await;
    }
    panic!("no answer in {ANSWERED_WITHIN:?}: {last:?}")
}

fn is_to_be_repeated(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::CONFLICT => answer.json()["code"] == "idempotency-key-in-flight",
        _ => false,
    }
}
