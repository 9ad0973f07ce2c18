//! A shipment, as operators see it.

use contracts::{
    shipping::v1::{Shipment, ShipmentStatus},
    timestamp_from_proto,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::openapi::words;

/// A parcel on its way.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Shipment")]
pub struct ShipmentJson {
    shipment_id: String,
    order_id: String,
    #[schemars(extend("enum" = words(ShipmentStatus::as_str_name, "SHIPMENT_STATUS_")))]
    status: &'static str,
    tracking_number: Option<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

impl From<Shipment> for ShipmentJson {
    fn from(shipment: Shipment) -> Self {
        Self {
            status: status_word(shipment.status()),
            shipment_id: shipment.shipment_id,
            order_id: shipment.order_id,
            tracking_number: Some(shipment.tracking_number).filter(|number| !number.is_empty()),
            created_at: shipment.created_at.as_ref().and_then(timestamp_from_proto),
            updated_at: shipment.updated_at.as_ref().and_then(timestamp_from_proto),
        }
    }
}

fn status_word(status: ShipmentStatus) -> &'static str {
    let name = status.as_str_name();
    name.strip_prefix("SHIPMENT_STATUS_").unwrap_or(name)
}
