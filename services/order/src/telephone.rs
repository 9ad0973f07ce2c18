//! Asking inventory and payment, and what their answers mean as facts.

use std::time::Duration;

use contracts::{
    ids::Quantity,
    inventory::v1::{
        ReleaseRequest, Reserve, ReserveLine, ReserveRequest, Reserved,
        inventory_service_client::InventoryServiceClient, release_response::Outcome as Releasing,
        reserve_response::Outcome as Reserving,
    },
    money::Money,
    payment::v1::{
        Charge, ChargeRequest, VoidCharge, VoidRequest, charge_response::Outcome as Charging,
        payment_service_client::PaymentServiceClient, void_response::Outcome as Voiding,
    },
};
use tonic::{Status, transport::Channel};
use tracing::warn;

use crate::{
    order::{Heard, Line, Order, Prices},
    saga::{Action, Fact, Refusal},
};

/// Taken off the budget that payment is told, so that its answer is back before ours runs out.
const WAY_BACK: Duration = Duration::from_millis(50);

/// The two services that an order needs an answer from.
#[derive(Debug, Clone)]
pub struct Telephone {
    inventory: InventoryServiceClient<Channel>,
    payment: PaymentServiceClient<Channel>,
}

impl Telephone {
    /// A telephone with both numbers.
    pub fn new(inventory: Channel, payment: Channel) -> Self {
        Self { inventory: InventoryServiceClient::new(inventory), payment: PaymentServiceClient::new(payment) }
    }

    /// Does `action` for `order` and tells what is known now. `None`: nothing is; it may have happened or not, and asking
    /// again is safe, because everything is asked under the order's id.
    pub async fn ask(&self, action: Action, order: &Order, budget: Duration) -> Option<Heard> {
        let answer = match action {
            Action::Reserve => self.reserve(order, budget).await,
            Action::Charge => self.charge(order, budget).await,
            Action::Void => self.void(order, budget).await,
            Action::Release => self.release(order, budget).await,
        };
        answer.unwrap_or_else(|status| {
            warn!(order.id = %order.id, ?action, code = ?status.code(), "no answer, asking again later: {}", status.message());
            None
        })
    }

    async fn reserve(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let line = |line: &Line| ReserveLine { sku: line.sku.to_string(), quantity: line.quantity.get() };
        let reserve = Reserve { order_id: order.id.to_string(), lines: order.lines.iter().map(line).collect() };
        let request = ReserveRequest { items: vec![reserve] };
        let answer = rpc::ask_one(budget, request, |request| {
            let mut inventory = self.inventory.clone();
            async move { inventory.reserve(request).await }
        });
        Ok(match answer.await?.outcome {
            Some(Reserving::Reserved(reserved)) => held(reserved),
            Some(Reserving::OutOfStock(missing)) => {
                Some(refused(Refusal::OutOfStock, format!("there is too little stock of {}", missing.skus.join(", "))))
            }
            Some(Reserving::UnknownSku(unknown)) => {
                Some(refused(Refusal::UnknownSku, format!("there is no product {}", unknown.skus.join(", "))))
            }
            Some(Reserving::MixedCurrencies(_)) => Some(Fact::StockRefused(Refusal::MixedCurrencies).into()),
            Some(Reserving::AlreadyReleased(_)) => Some(Fact::Released.into()),
            Some(Reserving::TryAgain(_)) | None => None,
        })
    }

    async fn charge(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let charge = Charge {
            order_id: order.id.to_string(),
            amount: order.total.map(Into::into),
            card_token: order.card_token.clone().unwrap_or_default(),
            budget_ms: milliseconds(budget),
        };
        let request = ChargeRequest { items: vec![charge] };
        let answer = rpc::ask_one(budget, request, |request| {
            let mut payment = self.payment.clone();
            async move { payment.charge(request).await }
        });
        Ok(match answer.await?.outcome {
            Some(Charging::Captured(_)) => Some(Fact::Captured.into()),
            Some(Charging::Declined(declined)) => Some(Heard {
                detail: Some(format!("the card was declined: {}; the stock is free again", declined.reason)),
                ..Fact::Declined.into()
            }),
            Some(Charging::UnknownCard(_)) => Some(Fact::CardUnknown.into()),
            Some(Charging::Voided(_)) => Some(Fact::Voided.into()),
            Some(Charging::Unknown(_)) | None => None,
        })
    }

    async fn void(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let void = VoidCharge { order_id: order.id.to_string(), budget_ms: milliseconds(budget) };
        let answer = rpc::ask_one(budget, VoidRequest { items: vec![void] }, |request| {
            let mut payment = self.payment.clone();
            async move { payment.void(request).await }
        });
        Ok(match answer.await?.outcome {
            Some(Voiding::Voided(_)) => Some(Fact::Voided.into()),
            Some(Voiding::Unknown(_)) | None => None,
        })
    }

    async fn release(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let request = ReleaseRequest { order_ids: vec![order.id.to_string()] };
        let answer = rpc::ask_one(budget, request, |request| {
            let mut inventory = self.inventory.clone();
            async move { inventory.release(request).await }
        });
        Ok(match answer.await?.outcome {
            Some(Releasing::Released(_)) => Some(Fact::Released.into()),
            Some(Releasing::TryAgain(_)) | None => None,
        })
    }
}

fn refused(refusal: Refusal, detail: String) -> Heard {
    Heard { detail: Some(detail), ..Fact::StockRefused(refusal).into() }
}

/// A hold with its prices; `None` when they cannot be read, which is no answer.
fn held(reserved: Reserved) -> Option<Heard> {
    let total = Money::try_from(reserved.total).ok()?;
    let lines = reserved.lines.into_iter().map(|line| {
        let unit_price = Some(Money::try_from(line.unit_price).ok()?);
        Some(Line { sku: line.sku.parse().ok()?, quantity: Quantity::try_from(line.quantity).ok()?, unit_price })
    });
    let prices = Prices { lines: lines.collect::<Option<_>>()?, total };
    Some(Heard { prices: Some(prices), ..Fact::StockHeld.into() })
}

fn milliseconds(budget: Duration) -> u32 {
    u32::try_from(budget.saturating_sub(WAY_BACK).as_millis()).unwrap_or(u32::MAX)
}
