//! An order in the words of the outside: the message that calls are answered with and that letters carry.

use contracts::{
    order::v1::{
        Order as OrderMessage, OrderReason, PlacedBy as PlacedByMessage, PricedLine, Shipment as ShipmentMessage,
    },
    timestamp_to_proto,
};

use crate::{
    order::{Line, Order, PlacedBy, Shipment},
    saga::Reason,
};

/// The order as a message. It has no card and no personal data.
pub fn order(order: &Order) -> OrderMessage {
    OrderMessage {
        order_id: order.id.to_string(),
        customer_id: order.customer_id.to_string(),
        status: order.state.status().into(),
        reason: order.state.reason().map_or(OrderReason::Unspecified, Reason::to_proto).into(),
        lines: order.lines.iter().map(line).collect(),
        total: order.total.map(Into::into),
        placed_by: match order.placed_by {
            PlacedBy::Telephone => PlacedByMessage::Telephone,
            PlacedBy::Letter => PlacedByMessage::Letter,
        }
        .into(),
        payment_status: order.state.payment_status().into(),
        shipment: order.shipment.as_ref().map(shipment),
        version: order.version,
        created_at: Some(timestamp_to_proto(order.created_at)),
        updated_at: Some(timestamp_to_proto(order.updated_at)),
    }
}

fn line(line: &Line) -> PricedLine {
    PricedLine {
        sku: line.sku.to_string(),
        quantity: line.quantity.get(),
        unit_price: line.unit_price.map(Into::into),
        line_total: line.total().expect("inventory summed the line up when it named the price").map(Into::into),
    }
}

fn shipment(shipment: &Shipment) -> ShipmentMessage {
    ShipmentMessage { status: shipment.status.into(), tracking_number: shipment.tracking_number.clone() }
}
