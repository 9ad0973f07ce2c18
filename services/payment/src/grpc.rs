//! The calls: decode, charge or void, encode.

use std::time::Duration;

use contracts::{
    ids::OrderId,
    money::Money,
    payment::v1::{
        self as api, ChargeRequest, ChargeResponse, GetPaymentRequest, GetPaymentResponse, PaymentState, VoidRequest,
        VoidResponse, charge_response, payment_service_server::PaymentService, void_response,
    },
    problem::ProblemCode,
    timestamp_to_proto,
};
use rpc::Outcomes;
use tonic::{Request, Response, Status};
use tracing::error;

use crate::{
    Deps,
    charge::{ChargeOrder, charge},
    error::{InvalidRequest, PaymentError},
    payment::{CardToken, Payment, State},
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

    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<Self::ChargeStream>, Status> {
        let items = request.into_inner().items.into_iter().map(ChargeOrder::try_from).collect::<Result<_, _>>()?;
        rpc::outcomes(&self.deps.shutdown, items, |asked: ChargeOrder| {
            let deps = self.deps.clone();
            async move { charge_response(asked.order_id, charge(&deps, &asked).await) }
        })
    }

    async fn void(&self, request: Request<VoidRequest>) -> Result<Response<Self::VoidStream>, Status> {
        let items = request.into_inner().items.into_iter().map(VoidOrder::try_from).collect::<Result<_, _>>()?;
        rpc::outcomes(&self.deps.shutdown, items, |asked: VoidOrder| {
            let deps = self.deps.clone();
            async move { void_response(asked.order_id, void(&deps, &asked).await) }
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

fn budget(budget_ms: u32) -> Result<Duration, InvalidRequest> {
    if budget_ms == 0 { Err(InvalidRequest::Budget) } else { Ok(Duration::from_millis(budget_ms.into())) }
}

fn charge_response(order_id: OrderId, charged: Result<Payment, PaymentError>) -> ChargeResponse {
    use charge_response::Outcome;
    let outcome = match charged {
        Ok(payment) => match payment.state {
            State::Captured => {
                Outcome::Captured(api::Captured { captured_at: payment.captured_at.map(timestamp_to_proto) })
            }
            State::Declined => Outcome::Declined(api::Declined { reason: payment.decline_reason.unwrap_or_default() }),
            State::UnknownCard => Outcome::UnknownCard(api::UnknownCard {}),
            State::Voided => Outcome::Voided(api::Voided {}),
            State::Unasked | State::Attempting => Outcome::Unknown(unknown("the card network has not answered")),
            State::Voiding => Outcome::Unknown(unknown("being voided; ask to void until that is confirmed")),
        },
        Err(failure) => Outcome::Unknown(failed(order_id, &failure)),
    };
    ChargeResponse { order_id: order_id.to_string(), outcome: Some(outcome) }
}

fn void_response(order_id: OrderId, voided: Result<Payment, PaymentError>) -> VoidResponse {
    use void_response::Outcome;
    let outcome = match voided {
        Ok(payment) if payment.state == State::Voided => Outcome::Voided(api::Voided {}),
        Ok(_) => Outcome::Unknown(unknown("the card network has not confirmed")),
        Err(failure) => Outcome::Unknown(failed(order_id, &failure)),
    };
    VoidResponse { order_id: order_id.to_string(), outcome: Some(outcome) }
}

fn failed(order_id: OrderId, failure: &PaymentError) -> api::UnknownOutcome {
    error!(order.id = %order_id, "{failure}");
    unknown(&failure.told())
}

fn unknown(detail: &str) -> api::UnknownOutcome {
    api::UnknownOutcome { detail: detail.to_owned() }
}

impl From<Payment> for api::Payment {
    fn from(payment: Payment) -> Self {
        let state = match payment.state {
            State::Unasked => PaymentState::Unspecified,
            State::Attempting => PaymentState::Attempting,
            State::Captured => PaymentState::Captured,
            State::Declined => PaymentState::Declined,
            State::UnknownCard => PaymentState::UnknownCard,
            State::Voiding => PaymentState::Voiding,
            State::Voided => PaymentState::Voided,
        };
        Self {
            order_id: payment.order_id.to_string(),
            state: state.into(),
            amount: payment.terms.map(|terms| terms.amount.into()),
        }
    }
}
