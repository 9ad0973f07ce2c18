//! The calls that shipping answers: decode, act, encode.

use contracts::{
    ids::{AccountId, OrderId},
    shipping::v1::{
        DispatchRequest, DispatchResponse, GetShipmentRequest, GetShipmentResponse, StopRequest, StopResponse,
        StopShipment, StopUnknown, shipping_service_server::ShippingService, stop_response::Outcome,
    },
};
use operator_log::Operator;
use tonic::{Request, Response, Status};

use crate::{
    Deps, ShippingError, dispatch,
    stop::{Stopped, stop},
    store::shipments,
};

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
            let found = shipments::find(&pool, order).await.map_err(ShippingError::from)?;
            Ok(found.ok_or(ShippingError::NotFound(order))?)
        });
        Ok(Response::new(GetShipmentResponse { shipment: Some((&found.await?).into()) }))
    }

    async fn dispatch(&self, request: Request<DispatchRequest>) -> Result<Response<DispatchResponse>, Status> {
        let DispatchRequest { order_id, operator_id } = request.get_ref();
        let (order, operator) =
            (parse(order_id)?, Operator::of_call(operator_id).map_err(ShippingError::InvalidOperator)?);
        let deps = self.deps.clone();
        let dispatched = rpc::uncut(&self.deps.shutdown, async move { Ok(dispatch(&deps, order, operator).await?) });
        Ok(Response::new(DispatchResponse { shipment: Some((&dispatched.await?).into()) }))
    }

    type StopStream = rpc::Outcomes<StopResponse>;

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<Self::StopStream>, Status> {
        let items = request.into_inner().items.into_iter();
        // all are decoded before any is stopped: a call with a malformed item changes nothing
        let items = items.map(|item| whose(&item)).collect::<Result<Vec<_>, _>>()?;
        rpc::outcomes(&self.deps.shutdown, items, |(order, customer)| {
            let deps = self.deps.clone();
            async move { stop_response(order, stop(&deps, order, customer).await) }
        })
    }
}

fn parse(order_id: &str) -> Result<OrderId, ShippingError> {
    order_id.parse().map_err(ShippingError::InvalidOrder)
}

fn whose(item: &StopShipment) -> Result<(OrderId, AccountId), ShippingError> {
    Ok((parse(&item.order_id)?, item.customer_id.parse().map_err(ShippingError::InvalidCustomer)?))
}

fn stop_response(order: OrderId, stopped: Result<Stopped, ShippingError>) -> StopResponse {
    let outcome = match stopped {
        Ok(Stopped::InTime(shipment)) => Outcome::Stopped((&shipment).into()),
        Ok(Stopped::TooLate(shipment)) => Outcome::Dispatched((&shipment).into()),
        Err(error) => Outcome::Unknown(StopUnknown { detail: error.detail() }),
    };
    StopResponse { order_id: order.to_string(), outcome: Some(outcome) }
}
