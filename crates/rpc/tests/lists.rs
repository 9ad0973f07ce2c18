//! What is asked at the same time goes in one call, and everybody hears what is his.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use contracts::payment::v1::{
    Charge, ChargeRequest, ChargeResponse, GetPaymentRequest, GetPaymentResponse, RefundRequest, RefundResponse,
    UnknownOutcome, VoidRequest, VoidResponse,
    charge_response::Outcome,
    payment_service_client::PaymentServiceClient,
    payment_service_server::{PaymentService, PaymentServiceServer},
};
use futures::future::join_all;
use rpc::{Lists, Outcomes};
use service_runtime::Shutdown;
use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};

/// What the card of an item makes the desk do.
const ANSWERED: &str = "answered";
/// Its outcome waits for the gate.
const SLOW: &str = "slow";
/// Its list is never taken.
const NEVER_TAKEN: &str = "never taken";
/// It has no outcome.
const LEFT_OUT: &str = "left out";

/// Answers with the item's own amount of time as the detail, and notes which items came together.
#[derive(Debug, Clone)]
struct Desk {
    lists: Arc<Mutex<Vec<Vec<String>>>>,
    gate: Arc<Semaphore>,
    shutdown: Shutdown,
}

#[tonic::async_trait]
impl PaymentService for Desk {
    type ChargeStream = Outcomes<ChargeResponse>;
    type VoidStream = Outcomes<VoidResponse>;
    type RefundStream = Outcomes<RefundResponse>;

    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<Self::ChargeStream>, Status> {
        let items = request.into_inner().items;
        let ids = items.iter().map(|item| item.order_id.clone()).collect();
        self.lists.lock().expect("nobody panicked").push(ids);
        if items.iter().any(|item| item.card_token == NEVER_TAKEN) {
            std::future::pending::<()>().await;
        }
        let told = items.into_iter().filter(|item| item.card_token != LEFT_OUT).collect();
        rpc::outcomes(&self.shutdown, told, |item: Charge| {
            let gate = self.gate.clone();
            async move {
                if item.card_token == SLOW {
                    gate.acquire().await.expect("it stays open").forget();
                }
                ChargeResponse { order_id: item.order_id, outcome: Some(Outcome::Unknown(UnknownOutcome::default())) }
            }
        })
    }

    async fn void(&self, _: Request<VoidRequest>) -> Result<Response<Self::VoidStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn refund(&self, _: Request<RefundRequest>) -> Result<Response<Self::RefundStream>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn get_payment(&self, _: Request<GetPaymentRequest>) -> Result<Response<GetPaymentResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// A desk and who asks it.
struct World {
    desk: Desk,
    lists: Lists<Charge, ChargeResponse>,
}

impl World {
    async fn new() -> Self {
        let [address] = testkit::free_addresses();
        let desk = Desk { lists: Arc::default(), gate: Arc::new(Semaphore::new(0)), shutdown: Shutdown::new() };
        let (routes, shutdown) = (rpc::Served::new(PaymentServiceServer::new(desk.clone())), desk.shutdown.clone());
        tokio::spawn(async move { rpc::server::serve(address, routes, &shutdown).await });
        let client = PaymentServiceClient::new(rpc::channel(&format!("http://{address}")).expect("it is a URL"));
        let lists = Lists::start("payment.v1.PaymentService/Charge", |outcome: &ChargeResponse| &outcome.order_id, {
            move |request| {
                let mut client = client.clone();
                async move { client.charge(request.map(|items| ChargeRequest { items })).await }
            }
        });
        let world = Self { desk, lists };
        testkit::eventually(testkit::SOON, "the desk answers", async || world.ask("first", ANSWERED).await.is_ok())
            .await;
        world.desk.lists.lock().expect("nobody panicked").clear();
        world
    }

    async fn ask(&self, id: &str, card: &str) -> Result<String, Status> {
        self.ask_within(testkit::SOON, id, card).await
    }

    async fn ask_within(&self, budget: Duration, id: &str, card: &str) -> Result<String, Status> {
        let answer = self.lists.ask(budget, id, |traceparent| Charge {
            order_id: id.to_owned(),
            card_token: card.to_owned(),
            traceparent,
            ..Charge::default()
        });
        answer.await.map(|outcome| outcome.order_id)
    }

    fn lists(&self) -> Vec<Vec<String>> {
        self.desk.lists.lock().expect("nobody panicked").clone()
    }
}

#[tokio::test]
async fn what_is_asked_at_the_same_time_shares_calls_and_everybody_hears_his_own_outcome() {
    let world = World::new().await;
    let ids: Vec<String> = (0..250).map(|number| number.to_string()).collect();
    let answers = join_all(ids.iter().map(|id| world.ask(id, ANSWERED))).await;
    assert_eq!(answers.into_iter().collect::<Result<Vec<_>, _>>().expect("all are answered"), ids);
    let lists = world.lists();
    assert_eq!(lists.iter().map(Vec::len).sum::<usize>(), 250);
    assert!(lists.len() <= 10, "{} calls", lists.len());
    assert!(lists.iter().all(|list| list.len() <= rpc::server::LIST_ITEMS_MAX));
}

#[tokio::test]
async fn an_outcome_that_takes_long_holds_up_neither_its_list_nor_the_next() {
    let world = World::new().await;
    let slow = world.ask("slow", SLOW);
    let others = async {
        world.ask("beside it", ANSWERED).await.expect("it is answered");
        world.ask("after it", ANSWERED).await.expect("it is answered");
        world.desk.gate.add_permits(1);
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow.expect("it is answered in the end"), "slow");
}

#[tokio::test]
async fn a_list_that_is_not_taken_holds_up_no_other() {
    let world = World::new().await;
    let hanging = world.ask_within(Duration::from_secs(2), "hanging", NEVER_TAKEN);
    let other = async {
        testkit::eventually(testkit::SOON, "the list is there", async || !world.lists().is_empty()).await;
        world.ask_within(Duration::from_secs(1), "another", ANSWERED).await
    };
    let (hanging, other) = tokio::join!(hanging, other);
    assert_eq!(other.expect("it is answered"), "another");
    assert_eq!(hanging.expect_err("nobody answers").code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_same_id_is_asked_twice_in_two_lists() {
    let world = World::new().await;
    let (one, other) = tokio::join!(world.ask("twice", ANSWERED), world.ask("twice", ANSWERED));
    assert_eq!((one.expect("one"), other.expect("the other")), ("twice".to_owned(), "twice".to_owned()));
    assert_eq!(world.lists(), [["twice"], ["twice"]]);
}

#[tokio::test]
async fn whoever_gives_up_takes_nobody_with_him() {
    let world = World::new().await;
    let impatient = world.ask_within(Duration::from_millis(50), "impatient", SLOW);
    let patient = async {
        let (answer, ()) = tokio::join!(world.ask("patient", SLOW), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.desk.gate.add_permits(2);
        });
        answer
    };
    let (impatient, patient) = tokio::join!(impatient, patient);
    assert_eq!(impatient.expect_err("it is too late").code(), Code::DeadlineExceeded);
    assert_eq!(patient.expect("it is answered"), "patient");
}

#[tokio::test]
async fn an_item_without_an_outcome_is_told_so() {
    let world = World::new().await;
    let (left_out, beside) = tokio::join!(world.ask("left out", LEFT_OUT), world.ask("beside it", ANSWERED));
    assert_eq!(left_out.expect_err("it has no outcome").code(), Code::Unavailable);
    assert_eq!(beside.expect("it is answered"), "beside it");
}
