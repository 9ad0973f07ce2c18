//! Asking inventory, payment and shipping, and what their answers mean as facts.

use std::time::Duration;

use contracts::{
    ids::Quantity,
    inventory::v1::{
        ReleaseRequest, Reserve, ReserveLine, ReserveRequest, ReserveResponse, Reserved,
        inventory_service_client::InventoryServiceClient, release_response::Outcome as Releasing,
        reserve_response::Outcome as Reserving,
    },
    money::Money,
    order::v1::ShipmentStatus,
    payment::v1::{
        Charge, ChargeRequest, ChargeResponse, RefundCharge, RefundRequest, VoidCharge, VoidRequest,
        charge_response::Outcome as Charging, payment_service_client::PaymentServiceClient,
        refund_response::Outcome as Refunding, void_response::Outcome as Voiding,
    },
    shipping::v1::{
        StopRequest, StopShipment, shipping_service_client::ShippingServiceClient, stop_response::Outcome as Stopping,
    },
};
use rpc::{Channel, Lists, MESSAGE_BYTES_MAX};
use tonic::Status;
use tracing::{error, warn};

use crate::{
    order::{Heard, Line, Order, Prices, Shipment},
    saga::{Action, Fact, Refusal},
};

/// Taken off the budget that payment is told, so that its answer is back before ours runs out.
const WAY_BACK: Duration = Duration::from_millis(50);

/// The services that an order needs an answer from.
#[derive(Debug, Clone)]
pub struct Telephone {
    inventory: InventoryServiceClient<Channel>,
    payment: PaymentServiceClient<Channel>,
    shipping: ShippingServiceClient<Channel>,
    /// What every order asks goes in lists.
    reserving: Lists<Reserve, ReserveResponse>,
    charging: Lists<Charge, ChargeResponse>,
}

impl Telephone {
    /// A telephone with all numbers. Must be called where tasks can be spawned.
    pub fn new(inventory: Channel, payment: Channel, shipping: Channel) -> Self {
        let inventory = InventoryServiceClient::new(inventory).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let payment = PaymentServiceClient::new(payment).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Self {
            reserving: Lists::start("inventory.v1.InventoryService/Reserve", |outcome| &outcome.order_id, {
                let inventory = inventory.clone();
                move |request| {
                    let mut inventory = inventory.clone();
                    async move { inventory.reserve(request.map(|items| ReserveRequest { items })).await }
                }
            }),
            charging: Lists::start("payment.v1.PaymentService/Charge", |outcome| &outcome.order_id, {
                let payment = payment.clone();
                move |request| {
                    let mut payment = payment.clone();
                    async move { payment.charge(request.map(|items| ChargeRequest { items })).await }
                }
            }),
            inventory,
            payment,
            shipping: ShippingServiceClient::new(shipping).max_decoding_message_size(MESSAGE_BYTES_MAX),
        }
    }

    /// Does `action` for `order` and tells what is known now. If nothing is, the error says why; it may have happened or not,
    /// and asking again is safe, because everything is asked under the order's id.
    pub async fn ask(&self, action: Action, order: &Order, budget: Duration) -> Result<Heard, String> {
        let answer = match action {
            Action::Reserve => self.reserve(order, budget).await,
            Action::Charge => self.charge(order, budget).await,
            Action::Void => self.void(order, budget).await,
            Action::Release => self.release(order, budget).await,
            Action::Stop => self.stop(order, budget).await,
            Action::Refund => self.refund(order, budget).await,
        };
        match answer {
            Ok(heard) => heard.ok_or_else(|| format!("{action:?}: it is not decided yet")),
            Err(status) => {
                // what was not sent has not happened, but who knows of the tries before, or of another process?
                let was_sent = !rpc::was_not_sent(&status);
                warn!(order.id = %order.id, ?action, was_sent, code = ?status.code(), "no answer, asking again later: {}", status.message());
                Err(format!("{action:?}: {:?}: {}", status.code(), status.message()))
            }
        }
    }

    async fn reserve(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let line = |line: &Line| ReserveLine { sku: line.sku.to_string(), quantity: line.quantity.get() };
        let id = order.id.to_string();
        let answer = self.reserving.ask(budget, &id, |traceparent| Reserve {
            order_id: id.clone(),
            lines: order.lines.iter().map(line).collect(),
            traceparent,
        });
        Ok(match answer.await?.outcome {
            Some(Reserving::Reserved(reserved)) => match prices(order, reserved) {
                Ok(prices) => Some(Heard { prices: Some(prices), ..Fact::StockHeld.into() }),
                Err(detail) => {
                    error!(order.id = %order.id, detail, "inventory's answer is no answer to this order");
                    None
                }
            },
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
        let id = order.id.to_string();
        let answer = self.charging.ask(budget, &id, |traceparent| Charge {
            order_id: id.clone(),
            amount: order.total.map(Into::into),
            card_token: order.card_token.clone().unwrap_or_default(),
            budget_ms: milliseconds(budget),
            traceparent,
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

    async fn stop(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let stop = StopShipment { order_id: order.id.to_string(), customer_id: order.customer_id.to_string() };
        let answer = rpc::ask_one(budget, StopRequest { items: vec![stop] }, |request| {
            let mut shipping = self.shipping.clone();
            async move { shipping.stop(request).await }
        });
        Ok(match answer.await?.outcome {
            Some(Stopping::Stopped(shipment)) => Some(told(Fact::Stopped, shipment)),
            Some(Stopping::Dispatched(shipment)) => Some(told(Fact::Dispatched, shipment)),
            Some(Stopping::Unknown(_)) | None => None,
        })
    }

    async fn refund(&self, order: &Order, budget: Duration) -> Result<Option<Heard>, Status> {
        let refund = RefundCharge { order_id: order.id.to_string(), budget_ms: milliseconds(budget) };
        let answer = rpc::ask_one(budget, RefundRequest { items: vec![refund] }, |request| {
            let mut payment = self.payment.clone();
            async move { payment.refund(request).await }
        });
        Ok(match answer.await?.outcome {
            Some(Refunding::Refunded(_)) => Some(Fact::MoneyReturned.into()),
            Some(Refunding::NothingCaptured(_)) => {
                error!(order.id = %order.id, "payment knows no capture of a completed order: its money cannot be given back");
                None
            }
            Some(Refunding::Unknown(_)) | None => None,
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

/// A fact of shipping, with the parcel.
fn told(fact: Fact, told: contracts::shipping::v1::Shipment) -> Heard {
    Heard { shipment: shipment(told), ..fact.into() }
}

fn refused(refusal: Refusal, detail: String) -> Heard {
    Heard { detail: Some(detail), ..Fact::StockRefused(refusal).into() }
}

/// The prices that inventory named for this order's lines. An answer about other lines, or one that does not add up, says
/// nothing about this order.
pub fn prices(order: &Order, reserved: Reserved) -> Result<Prices, &'static str> {
    let total = Money::try_from(reserved.total).map_err(|_| "the total cannot be read")?;
    let mut sum = 0_i64;
    let mut lines = Vec::with_capacity(reserved.lines.len());
    for line in reserved.lines {
        let line = Line {
            sku: line.sku.parse().map_err(|_| "a SKU cannot be read")?,
            quantity: Quantity::try_from(line.quantity).map_err(|_| "a quantity cannot be read")?,
            unit_price: Some(Money::try_from(line.unit_price).map_err(|_| "a price cannot be read")?),
        };
        let line_total = line.total().ok().flatten().filter(|money| money.currency_code() == total.currency_code());
        sum = line_total.and_then(|money| sum.checked_add(money.minor_units())).ok_or("a line has no total")?;
        lines.push(line);
    }
    if !lines
        .iter()
        .map(|line| (&line.sku, line.quantity))
        .eq(order.lines.iter().map(|line| (&line.sku, line.quantity)))
    {
        return Err("it is about other lines");
    }
    if sum != total.minor_units() {
        return Err("the lines do not add up to the total");
    }
    Ok(Prices { lines, total })
}

/// The parcel as shipping tells it; `None` when it cannot be read.
pub fn shipment(told: contracts::shipping::v1::Shipment) -> Option<Shipment> {
    // the two services name the same statuses, each in its own package
    let status = ShipmentStatus::try_from(told.status).unwrap_or_default();
    let is_known = status != ShipmentStatus::Unspecified;
    is_known.then_some(Shipment { status, tracking_number: told.tracking_number, version: told.version })
}

fn milliseconds(budget: Duration) -> u32 {
    // payment refuses a budget of 0
    u32::try_from(budget.saturating_sub(WAY_BACK).as_millis()).unwrap_or(u32::MAX).max(1)
}
