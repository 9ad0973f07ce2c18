//! Lists of orders by the status that the outside sees.

use contracts::{order::v1::OrderStatus, problem::ProblemCode};
use order::saga::Fact;

use crate::desk::{Desk, refusal};

#[tokio::test]
async fn an_order_is_listed_under_the_status_that_it_shows_and_no_other() {
    let desk = Desk::open().await;
    let unwound = |facts: &'static [Fact]| {
        let desk = &desk;
        async move {
            let order = desk.by_letter().await;
            for &fact in facts {
                desk.tell(order, fact).await;
            }
            order
        }
    };
    let (pending, expiring) = (desk.by_letter().await, unwound(&[Fact::DeadlinePassed]).await);
    let (voiding, releasing) = (unwound(&[Fact::CancelAsked]).await, unwound(&[Fact::CancelAsked, Fact::Voided]).await);
    let (completed, stopping, rejected) = (desk.completed().await, desk.stopping().await, desk.rejected().await);
    let cancelled = unwound(&[Fact::CancelAsked, Fact::Voided, Fact::Released]).await;
    let refunded = desk.stopping().await;
    for fact in [Fact::Stopped, Fact::MoneyReturned] {
        desk.tell(refunded, fact).await;
    }
    let expected = [
        (OrderStatus::Pending, vec![expiring, pending]),
        (OrderStatus::Cancelling, vec![stopping, releasing, voiding]),
        (OrderStatus::Completed, vec![completed]),
        (OrderStatus::Rejected, vec![rejected]),
        (OrderStatus::Cancelled, vec![refunded, cancelled]),
    ];
    for (status, orders) in expected {
        assert_eq!(desk.list(status.into()).await.unwrap(), orders, "{status:?}");
        for order in orders {
            assert_eq!(desk.order(order).await.status(), status);
        }
    }
    assert_eq!(desk.list(OrderStatus::Unspecified.into()).await.unwrap().len(), 9);
}

#[tokio::test]
async fn a_status_that_there_is_not_is_refused() {
    let desk = Desk::open().await;
    for status in [-1, 6, 99] {
        assert_eq!(refusal(desk.list(status).await), ProblemCode::Invalid);
    }
}
