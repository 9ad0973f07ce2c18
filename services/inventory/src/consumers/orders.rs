//! `orders.order.v1`: an order that was placed by letter wants stock; a completed order's stock is sold; a cancelled
//! order's stock comes back.

use consumer::{EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCompleted, OrderCreated},
    ids::OrderId,
    order::v1::{Order, PlacedBy},
    topics::RESERVATIONS,
};
use service_runtime::{clock::Clock, kill_point};
use sqlx::PgConnection;
use tracing::info;

use crate::{
    InventoryError, events,
    reservation::{Line, Reserve},
    reserve::reserve_in_tx,
    settle::settle_in_tx,
    store,
    take_back::take_back_in_tx,
};

/// Keeps the stock in step with the orders. The order's reservation is the natural key of all it does: a letter that
/// comes again finds it as it left it.
#[derive(Debug)]
pub struct FollowOrders {
    /// What letters are stamped with.
    pub clock: Clock,
}

impl EventHandler for FollowOrders {
    const GROUP: &'static str = "inventory.follow-orders";
    const KIND: Kind = Kind::Effect;

    fn wants(&self, event_type: &str) -> bool {
        [OrderCreated::TYPE, OrderCompleted::TYPE, OrderCancelled::TYPE].contains(&event_type)
    }

    async fn handle(&self, conn: &mut PgConnection, event: &Event) -> Result<(), HandlerError> {
        match event.event_type.as_str() {
            OrderCreated::TYPE => {
                let (id, order) = subject(event, event.decode::<OrderCreated>()?.order)?;
                if order.placed_by() == PlacedBy::Letter {
                    self.answer_in_tx(conn, &wish(id, order)?).await?;
                }
            }
            OrderCompleted::TYPE => {
                let (id, _) = subject(event, event.decode::<OrderCompleted>()?.order)?;
                settle_in_tx(conn, id).await?;
            }
            OrderCancelled::TYPE => {
                let (id, _) = subject(event, event.decode::<OrderCancelled>()?.order)?;
                take_back_in_tx(conn, id).await?;
            }
            other => {
                return Err(HandlerError::reject(format!("{other} is none of the letters that this handler wants")));
            }
        }
        Ok(store::wait_shortly_in_tx(conn).await?)
    }
}

impl FollowOrders {
    /// Reserves, and tells the answer by letter. An order that had its answer before had its letter with it; one whose
    /// release came first gets none: nobody waits for it any more.
    async fn answer_in_tx(&self, conn: &mut PgConnection, wish: &Reserve) -> Result<(), InventoryError> {
        let Some(decision) = reserve_in_tx(conn, wish).await? else { return Ok(()) };
        info!(order.id = %wish.order, held = decision.is_ok(), "answered a reservation by letter");
        let letter = match decision {
            Ok(lines) => events::held(wish.order, lines, self.clock),
            Err(refusal) => events::refused(wish.order, &refusal, self.clock),
        };
        outbox::append_in_tx(conn, RESERVATIONS, &letter).await?;
        kill_point!("inventory.answered.before-commit");
        Ok(())
    }
}

/// The order that the letter is about. What the letter carries must be that order, else something is wrong with it.
fn subject(event: &Event, order: Option<Order>) -> Result<(OrderId, Order), HandlerError> {
    let order = order.ok_or_else(|| HandlerError::reject("the letter has no order"))?;
    if order.order_id != event.subject {
        return Err(HandlerError::reject(format!("the letter of {} has order {:?}", event.subject, order.order_id)));
    }
    let id = event.subject.parse().map_err(InventoryError::in_field("order_id"))?;
    Ok((id, order))
}

fn wish(order: OrderId, message: Order) -> Result<Reserve, InventoryError> {
    let lines = message.lines.into_iter().map(|line| Line::new(line.sku, line.quantity)).collect::<Result<_, _>>()?;
    Reserve::new(order, lines)
}
