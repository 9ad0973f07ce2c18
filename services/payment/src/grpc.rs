//! The calls: decode, act, encode.

use std::time::Duration;

use contracts::{
    ids::OrderId,
    money::Money,
    payment::v1::{
        self as api, ChargeRequest, ChargeResponse, GetPaymentRequest, GetPaymentResponse, RefundRequest,
        RefundResponse, VoidRequest, VoidResponse, payment_service_server::PaymentService,
    },
    problem::ProblemCode,
};
use rpc::{Outcomes, Traced};
use tonic::{Request, Response, Status};
use tracing::error;

use crate::{
    Deps,
    charge::{ChargeOrder, charge},
    encode,
    error::InvalidRequest,
    payment::CardToken,
    refund::{RefundOrder, refund},
    store,
    void::{VoidOrder, void},
};

/// Answers the calls of `PaymentService`.
#[derive(Debug, Clone)]
pub struct PaymentApi {
    deps: Deps,
}

impl PaymentApi {
    /// An API over these.
    pub const fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl PaymentService for PaymentApi {
    type ChargeStream = Outcomes<ChargeResponse>;
    type VoidStream = Outcomes<VoidResponse>;
    type RefundStream = Outcomes<RefundResponse>;

    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<Self::ChargeStream>, Status> {
        let mut items = Vec::new();
        for mut item in request.into_inner().items {
            let traceparent = std::mem::take(&mut item.traceparent);
            items.push(Traced { item: ChargeOrder::try_from(item)?, traceparent });
        }
        rpc::traced_outcomes(&self.deps.shutdown, "payment.v1.PaymentService/Charge", items, |asked: ChargeOrder| {
            let deps = self.deps.clone();
            async move { encode::charged(asked.order_id, charge(&deps, &asked).await) }
        })
    }

    async fn void(&self, request: Request<VoidRequest>) -> Result<Response<Self::VoidStream>, Status> {
        let items = request.into_inner().items.into_iter().map(VoidOrder::try_from).collect::<Result<_, _>>()?;
        rpc::outcomes(&self.deps.shutdown, items, |asked: VoidOrder| {
            let deps = self.deps.clone();
            async move { encode::voided(asked.order_id, void(&deps, &asked).await) }
        })
    }

    async fn refund(&self, request: Request<RefundRequest>) -> Result<Response<Self::RefundStream>, Status> {
        let items = request.into_inner().items.into_iter().map(RefundOrder::try_from).collect::<Result<_, _>>()?;
        rpc::outcomes(&self.deps.shutdown, items, |asked: RefundOrder| {
            let deps = self.deps.clone();
            async move { encode::refunded(asked.order_id, refund(&deps, &asked).await) }
        })
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Result<Response<GetPaymentResponse>, Status> {
        let order_id: OrderId = request.into_inner().order_id.parse().map_err(InvalidRequest::from)?;
        let pool = self.deps.pool.clone();
        let found = rpc::uncut(&self.deps.shutdown, async move {
            store::find(&pool, order_id).await.map_err(|failure| {
                error!(order.id = %order_id, "{failure}");
                rpc::status(ProblemCode::Unavailable, failure.told())
            })
        });
        let payment = found
            .await?
            .ok_or_else(|| rpc::status(ProblemCode::NotFound, "nobody asked to charge or void this order"))?;
        Ok(Response::new(GetPaymentResponse { payment: Some(payment.into()) }))
    }
}

impl TryFrom<api::Charge> for ChargeOrder {
    type Error = InvalidRequest;

    fn try_from(charge: api::Charge) -> Result<Self, InvalidRequest> {
        Ok(Self {
            order_id: charge.order_id.parse()?,
            amount: Money::try_from(charge.amount)?,
            card_token: CardToken::try_from(charge.card_token)?,
            budget: budget(charge.budget_ms)?,
        })
    }
}

impl TryFrom<api::VoidCharge> for VoidOrder {
    type Error = InvalidRequest;

    fn try_from(void: api::VoidCharge) -> Result<Self, InvalidRequest> {
        Ok(Self { order_id: void.order_id.parse()?, budget: budget(void.budget_ms)? })
    }
}

impl TryFrom<api::RefundCharge> for RefundOrder {
    type Error = InvalidRequest;

    fn try_from(refund: api::RefundCharge) -> Result<Self, InvalidRequest> {
        Ok(Self { order_id: refund.order_id.parse()?, budget: budget(refund.budget_ms)? })
    }
}

fn budget(budget_ms: u32) -> Result<Duration, InvalidRequest> {
    if budget_ms == 0 { Err(InvalidRequest::Budget) } else { Ok(Duration::from_millis(budget_ms.into())) }
}
