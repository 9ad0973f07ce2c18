//! The calls that inventory answers: decode and validate, act, encode.

use std::collections::BTreeMap;

use contracts::{
    ids::{OrderId, Sku},
    inventory::v1::{
        AlreadyReleased, GetProductRequest, GetProductResponse, ListProductsRequest, ListProductsResponse,
        MixedCurrencies, PutProductRequest, PutProductResponse, ReleaseRequest, ReleaseResponse, Released,
        ReserveRequest, ReserveResponse, RestockRequest, RestockResponse, TryAgain,
        inventory_service_server::InventoryService, release_response, reserve_response,
    },
};
use operator_log::Operator;
use rpc::{Outcomes, Traced};
use service_runtime::{Shutdown, config::BatchConfig};
use sqlx::PgPool;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    InventoryError, encode,
    product::ProductDetails,
    put_product::put_product,
    release::release,
    reservation::{Answer, Refusal, Reserve},
    reserve::Reservations,
    restock::{Delivery, Restocked, restock},
    store,
};

/// The most products on one page.
const PAGE_LIMIT_MAX: u32 = 100;

/// The most deliveries in one call.
const DELIVERIES_MAX: usize = 1_000;

/// Answers calls from its database.
#[derive(Debug)]
pub(crate) struct Inventory {
    pool: PgPool,
    reservations: Reservations,
    shutdown: Shutdown,
}

impl Inventory {
    pub(crate) fn new(pool: PgPool, batches: BatchConfig, shutdown: Shutdown) -> Self {
        Self { reservations: Reservations::start(pool.clone(), batches), pool, shutdown }
    }
}

#[tonic::async_trait]
impl InventoryService for Inventory {
    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let ListProductsRequest { limit, cursor } = request.into_inner();
        if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
            let detail = format!("a page has 1 to {PAGE_LIMIT_MAX} products");
            return Err(InventoryError::invalid("limit", detail).into());
        }
        let after = after(&cursor)?;
        let pool = self.pool.clone();
        let page =
            rpc::uncut(&self.shutdown, async move { Ok(store::list_products(&pool, after.as_ref(), limit).await?) });
        let (products, next_cursor) = page.await?;
        Ok(Response::new(ListProductsResponse {
            items: products.into_iter().map(Into::into).collect(),
            next_cursor: next_cursor.map(|sku| sku.to_string()).unwrap_or_default(),
        }))
    }

    async fn get_product(&self, request: Request<GetProductRequest>) -> Result<Response<GetProductResponse>, Status> {
        let sku: Sku = request.into_inner().sku.parse().map_err(InventoryError::in_field("sku"))?;
        let pool = self.pool.clone();
        let found = rpc::uncut(&self.shutdown, async move {
            Ok(store::find_product(&pool, &sku).await?.ok_or(InventoryError::UnknownProduct(sku))?)
        });
        Ok(Response::new(GetProductResponse { product: Some(found.await?.into()) }))
    }

    async fn put_product(&self, request: Request<PutProductRequest>) -> Result<Response<PutProductResponse>, Status> {
        let request = request.into_inner();
        let operator = operator(&request.operator_id)?;
        let details = ProductDetails::try_from(request)?;
        let pool = self.pool.clone();
        let put = rpc::uncut(&self.shutdown, async move { Ok(put_product(&pool, &details, operator).await?) });
        Ok(Response::new(PutProductResponse { product: Some(put.await?.into()) }))
    }

    type ReserveStream = Outcomes<ReserveResponse>;

    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<Self::ReserveStream>, Status> {
        // all are decoded before any is reserved: a call with a malformed item changes nothing
        let mut wishes = Vec::new();
        for mut item in request.into_inner().items {
            let traceparent = std::mem::take(&mut item.traceparent);
            wishes.push(Traced { item: Reserve::try_from(item)?, traceparent });
        }
        rpc::traced_outcomes(&self.shutdown, "inventory.v1.InventoryService/Reserve", wishes, |wish: Reserve| {
            let reservations = self.reservations.clone();
            async move { reserve_response(wish.order, reservations.reserve(wish).await) }
        })
    }

    type ReleaseStream = Outcomes<ReleaseResponse>;

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<Self::ReleaseStream>, Status> {
        let ids = request.into_inner().order_ids.into_iter();
        let orders = ids
            .map(|id| id.parse::<OrderId>().map_err(InventoryError::in_field("order_ids")))
            .collect::<Result<Vec<_>, _>>()?;
        rpc::outcomes(&self.shutdown, orders, |order| {
            let pool = self.pool.clone();
            async move { release_response(order, release(&pool, order).await) }
        })
    }

    async fn restock(&self, request: Request<Streaming<RestockRequest>>) -> Result<Response<RestockResponse>, Status> {
        let mut requests = request.into_inner();
        let mut restocked = BTreeMap::new();
        let mut replayed = true;
        let mut count = 0;
        // each delivery counts on its own: after a failure the caller sends all of them again
        while let Some(request) = requests.message().await? {
            count += 1;
            if count > DELIVERIES_MAX {
                let detail = format!("a call has 1 to {DELIVERIES_MAX} deliveries");
                return Err(InventoryError::invalid("deliveries", detail).into());
            }
            let operator = operator(&request.operator_id)?;
            let delivery = Delivery::try_from(request)?;
            let sku = delivery.sku().clone();
            let pool = self.pool.clone();
            let (outcome, product) = rpc::uncut(&self.shutdown, async move {
                let outcome = restock(&pool, &delivery, operator).await?;
                let product = store::find_product(&pool, delivery.sku()).await?;
                Ok((outcome, product.ok_or(InventoryError::UnknownProduct(delivery.sku().clone()))?))
            })
            .await?;
            replayed &= outcome == Restocked::Before;
            restocked.insert(sku, product);
        }
        if count == 0 {
            return Err(InventoryError::invalid("deliveries", "a call has at least one delivery").into());
        }
        Ok(Response::new(RestockResponse { items: restocked.into_values().map(Into::into).collect(), replayed }))
    }
}

/// The product after which a page begins, if it is not the first.
fn after(cursor: &str) -> Result<Option<Sku>, InventoryError> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let sku = cursor.parse().map_err(|_| InventoryError::invalid("cursor", "this is no cursor of ours"))?;
    Ok(Some(sku))
}

fn operator(id: &str) -> Result<Operator, InventoryError> {
    Operator::of_call(id).map_err(InventoryError::in_field("operator_id"))
}

fn reserve_response(order: OrderId, answer: Result<Answer, InventoryError>) -> ReserveResponse {
    use reserve_response::Outcome;
    let outcome = match answer {
        Ok(Answer::Held(lines)) => Outcome::Reserved(encode::reserved(lines)),
        Ok(Answer::Refused(Refusal::OutOfStock(skus))) => Outcome::OutOfStock(encode::out_of_stock(&skus)),
        Ok(Answer::Refused(Refusal::UnknownSku(skus))) => Outcome::UnknownSku(encode::unknown_sku(&skus)),
        Ok(Answer::Refused(Refusal::MixedCurrencies)) => Outcome::MixedCurrencies(MixedCurrencies {}),
        Ok(Answer::Released) => Outcome::AlreadyReleased(AlreadyReleased {}),
        Err(error) => Outcome::TryAgain(TryAgain { detail: error.detail() }),
    };
    ReserveResponse { order_id: order.to_string(), outcome: Some(outcome) }
}

fn release_response(order: OrderId, released: Result<(), InventoryError>) -> ReleaseResponse {
    use release_response::Outcome;
    let outcome = match released {
        Ok(()) => Outcome::Released(Released {}),
        Err(error) => Outcome::TryAgain(TryAgain { detail: error.detail() }),
    };
    ReleaseResponse { order_id: order.to_string(), outcome: Some(outcome) }
}

#[cfg(test)]
mod fuzz;
