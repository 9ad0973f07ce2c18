//! `orders.order.v1`: an order that was placed by letter wants stock; a completed order's stock is sold; a cancelled
//! order's stock comes back.

use consumer::{Delivered, EventHandler, HandlerError, Kind};
use contracts::{
    event::{Event, Payload},
    events::v1::{OrderCancelled, OrderCompleted, OrderCreated},
    ids::OrderId,
    order::v1::{Order, PlacedBy},
    topics::RESERVATIONS,
};
use service_runtime::{clock::Clock, kill_point};
use sqlx::PgConnection;
use tracing::{Span, info};

use crate::{
    InventoryError, events,
    reservation::{Line, Reserve},
    reserve::reserve_in_tx,
    settle::{settle_all_in_tx, settle_in_tx},
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
        match told(event)? {
            Told::Wanted(wish) => self.answer_in_tx(conn, vec![(wish, Span::current())]).await?,
            Told::NotForUs => {}
            Told::Completed(order) => {
                settle_in_tx(conn, order).await?;
            }
            Told::Cancelled(order) => {
                take_back_in_tx(conn, order).await?;
            }
        }
        Ok(store::wait_shortly_in_tx(conn).await?)
    }

    /// All that is wanted, then all that is sold, then what comes back: an order goes through them in this sequence.
    async fn handle_all(&self, conn: &mut PgConnection, letters: &[Delivered]) -> Result<(), HandlerError> {
        let (mut wanted, mut completed, mut cancelled) = (Vec::new(), Vec::new(), Vec::new());
        for letter in letters {
            match told(&letter.event)? {
                Told::Wanted(wish) => wanted.push((wish, letter.span().clone())),
                Told::NotForUs => {}
                Told::Completed(order) => completed.push(order),
                Told::Cancelled(order) => cancelled.push(order),
            }
        }
        if !wanted.is_empty() {
            self.answer_in_tx(conn, wanted).await?;
            store::wait_shortly_in_tx(conn).await?;
        }
        if !completed.is_empty() {
            settle_all_in_tx(conn, &completed).await?;
            store::wait_shortly_in_tx(conn).await?;
        }
        for order in cancelled {
            take_back_in_tx(conn, order).await?;
            store::wait_shortly_in_tx(conn).await?;
        }
        Ok(())
    }
}

impl FollowOrders {
    /// Reserves, and tells the answers by letter, each in its own trace. An order that had its answer before had its letter with it;
    /// one whose release came first gets none: nobody waits for it any more.
    async fn answer_in_tx(&self, conn: &mut PgConnection, wanted: Vec<(Reserve, Span)>) -> Result<(), InventoryError> {
        let (wishes, spans): (Vec<Reserve>, Vec<Span>) = wanted.into_iter().unzip();
        let decisions = reserve_in_tx(conn, &wishes).await?;
        let mut letters = Vec::with_capacity(wishes.len());
        for ((wish, span), decision) in wishes.iter().zip(spans).zip(decisions) {
            let Some(decision) = decision else { continue };
            let _entered = span.enter();
            info!(order.id = %wish.order, held = decision.is_ok(), "answered a reservation by letter");
            letters.push(match decision {
                Ok(lines) => events::held(wish.order, lines, self.clock),
                Err(refusal) => events::refused(wish.order, &refusal, self.clock),
            });
        }
        outbox::append_many_in_tx(conn, RESERVATIONS, &letters).await?;
        if !letters.is_empty() {
            kill_point!("inventory.answered.before-commit");
        }
        Ok(())
    }
}

/// What a letter has inventory do.
enum Told {
    /// The order is to have its stock.
    Wanted(Reserve),
    /// It asks by telephone.
    NotForUs,
    Completed(OrderId),
    Cancelled(OrderId),
}

fn told(event: &Event) -> Result<Told, HandlerError> {
    Ok(match event.event_type.as_str() {
        OrderCreated::TYPE => {
            let (id, order) = subject(event, event.decode::<OrderCreated>()?.order)?;
            if order.placed_by() == PlacedBy::Letter { Told::Wanted(wish(id, order)?) } else { Told::NotForUs }
        }
        OrderCompleted::TYPE => Told::Completed(subject(event, event.decode::<OrderCompleted>()?.order)?.0),
        OrderCancelled::TYPE => Told::Cancelled(subject(event, event.decode::<OrderCancelled>()?.order)?.0),
        other => return Err(HandlerError::reject(format!("{other} is none of the letters that this handler wants"))),
    })
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
