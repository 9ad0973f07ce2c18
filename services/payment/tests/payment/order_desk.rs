//! Order, as far as payment asks it: the one call, with the answers that a test wants. (That the real order and payment
//! understand each other, the journeys of the whole platform show.)

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use contracts::{
    ids::OrderId,
    order::v1::{
        CancelOrderRequest, CancelOrderResponse, ChargeCard, GetOrderRequest, GetOrderResponse,
        GetPaymentInstructionRequest, GetPaymentInstructionResponse, ListOrdersRequest, ListOrdersResponse, NotWanted,
        PlaceOrdersRequest, PlaceOrdersResponse, WatchOrderRequest, WatchOrderResponse,
        get_payment_instruction_response::Instruction,
        order_service_server::{OrderService, OrderServiceServer},
    },
    problem::ProblemCode,
};
use rpc::Outcomes;
use service_runtime::Shutdown;
use tokio::task::JoinHandle;
use tonic::{Request, Response, Status};

/// Knows some orders and what is wanted of them, and counts how often it was asked.
#[derive(Debug, Clone, Default)]
struct Files {
    instructions: Arc<Mutex<HashMap<String, Instruction>>>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

/// Order's number, whether or not anybody answers there. Dropping it hangs up.
pub struct OrderDesk {
    pub address: SocketAddr,
    files: Files,
    open: Option<(Shutdown, JoinHandle<()>)>,
}

impl OrderDesk {
    /// Nobody answers yet.
    pub fn closed_at(address: SocketAddr) -> Self {
        Self { address, files: Files::default(), open: None }
    }

    /// Answers from now on.
    pub fn open(&mut self) {
        let (address, shutdown) = (self.address, Shutdown::new());
        let routes = rpc::Served::new(OrderServiceServer::new(self.files.clone()));
        let end = shutdown.clone();
        let serving = tokio::spawn(async move { rpc::server::serve(address, routes, &end).await.unwrap() });
        self.open = Some((shutdown, serving));
    }

    /// Wants the order charged to this card.
    pub fn wants(&self, order_id: OrderId, card_token: &str) {
        let instruction = Instruction::ChargeCard(ChargeCard { card_token: card_token.to_owned() });
        self.files.instructions.lock().unwrap().insert(order_id.to_string(), instruction);
    }

    /// Has given the order up.
    pub fn gives_up(&self, order_id: OrderId) {
        let instruction = Instruction::NotWanted(NotWanted {});
        self.files.instructions.lock().unwrap().insert(order_id.to_string(), instruction);
    }

    /// How often payment asked for the order's instruction.
    pub fn times_asked(&self, order_id: OrderId) -> usize {
        self.files.asked.lock().unwrap().get(&order_id.to_string()).copied().unwrap_or_default()
    }
}

impl Drop for OrderDesk {
    fn drop(&mut self) {
        if let Some((shutdown, serving)) = self.open.take() {
            shutdown.request();
            serving.abort();
        }
    }
}

#[tonic::async_trait]
impl OrderService for Files {
    type PlaceOrdersStream = Outcomes<PlaceOrdersResponse>;
    type WatchOrderStream = Outcomes<WatchOrderResponse>;

    async fn get_payment_instruction(
        &self,
        request: Request<GetPaymentInstructionRequest>,
    ) -> Result<Response<GetPaymentInstructionResponse>, Status> {
        let order_id = request.into_inner().order_id;
        *self.asked.lock().unwrap().entry(order_id.clone()).or_default() += 1;
        let instruction = self.instructions.lock().unwrap().get(&order_id).cloned();
        if instruction.is_none() {
            return Err(rpc::status(ProblemCode::NotFound, "there is no such order"));
        }
        Ok(Response::new(GetPaymentInstructionResponse { instruction }))
    }

    async fn place_orders(&self, _: Request<PlaceOrdersRequest>) -> Result<Response<Self::PlaceOrdersStream>, Status> {
        Err(not_asked())
    }

    async fn get_order(&self, _: Request<GetOrderRequest>) -> Result<Response<GetOrderResponse>, Status> {
        Err(not_asked())
    }

    async fn list_orders(&self, _: Request<ListOrdersRequest>) -> Result<Response<ListOrdersResponse>, Status> {
        Err(not_asked())
    }

    async fn cancel_order(&self, _: Request<CancelOrderRequest>) -> Result<Response<CancelOrderResponse>, Status> {
        Err(not_asked())
    }

    async fn watch_order(&self, _: Request<WatchOrderRequest>) -> Result<Response<Self::WatchOrderStream>, Status> {
        Err(not_asked())
    }
}

fn not_asked() -> Status {
    Status::unimplemented("payment does not ask for this")
}
