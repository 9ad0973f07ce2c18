//! The calls that shipping answers: decode, act, encode.

use contracts::{
    ids::OrderId,
    shipping::v1::{
        DispatchRequest, DispatchResponse, GetShipmentRequest, GetShipmentResponse,
        shipping_service_server::ShippingService,
    },
};
use tonic::{Request, Response, Status};

use crate::{Deps, ShippingError, dispatch, store};

/// Answers calls from its database.
#[derive(Debug)]
pub(crate) struct Shipping {
    deps: Deps,
}

impl Shipping {
    pub(crate) fn new(deps: Deps) -> Self {
        Self { deps }
    }
}

#[tonic::async_trait]
impl ShippingService for Shipping {
    async fn get_shipment(
        &self,
        request: Request<GetShipmentRequest>,
    ) -> Result<Response<GetShipmentResponse>, Status> {
        let order = parse(&request.get_ref().order_id)?;
        let pool = self.deps.pool.clone();
        let found = rpc::uncut(&self.deps.shutdown, async move {
            let found = store::find(&pool, order).await.map_err(ShippingError::from)?;
            Ok(found.ok_or(ShippingError::NotFound(order))?)
        });
        Ok(Response::new(GetShipmentResponse { shipment: Some((&found.await?).into()) }))
    }

    async fn dispatch(&self, request: Request<DispatchRequest>) -> Result<Response<DispatchResponse>, Status> {
        let order = parse(&request.get_ref().order_id)?;
        let deps = self.deps.clone();
        let dispatched = rpc::uncut(&self.deps.shutdown, async move { Ok(dispatch(&deps, order).await?) });
        Ok(Response::new(DispatchResponse { shipment: Some((&dispatched.await?).into()) }))
    }
}

fn parse(order_id: &str) -> Result<OrderId, ShippingError> {
    Ok(order_id.parse()?)
}
