//! A parcel that an operator sends has its entry in the log; one that leaves by itself, or is not sent, has none.

use contracts::{
    ids::{AccountId, OrderId},
    problem::ProblemCode,
    shipping::v1::ShipmentStatus,
};

use crate::depot::{Depot, NEVER};

/// What operators have done, oldest first: who, what, on which object, and what has changed.
async fn noted(depot: &Depot) -> Vec<(String, String, String, String)> {
    sqlx::query_as(
        "SELECT operator, action, object, detail #>> '{shipment,before}' || ' ' || (detail #>> '{shipment,after}')
         FROM operator_log ORDER BY id",
    )
    .fetch_all(&depot.database.owner)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_parcel_is_noted_once_with_who_sent_it() {
    let depot = Depot::open(NEVER).await;
    let (ann, bob) = (AccountId::new().to_string(), AccountId::new().to_string());
    let order = depot.preparing().await;
    depot.dispatch_by(order, &ann).await.unwrap();
    for operator in [&ann, &bob] {
        depot.dispatch_by(order, operator).await.unwrap();
    }
    let unnamed = depot.preparing().await;
    depot.dispatch(unnamed).await.unwrap();
    let entry = |operator: &str, order: OrderId| {
        let moved = "PREPARING DISPATCHED".to_owned();
        (operator.to_owned(), "dispatch".to_owned(), format!("order/{order}"), moved)
    };
    assert_eq!(noted(&depot).await, [entry(&ann, order), entry("unnamed", unnamed)]);
}

#[tokio::test]
async fn operators_who_send_a_parcel_at_once_are_noted_as_one_who_did_it() {
    let depot = Depot::open(NEVER).await;
    let order = depot.preparing().await;
    let operators: [String; 4] = std::array::from_fn(|_| AccountId::new().to_string());
    let [a, b, c, d] = &operators;
    let sent = tokio::join!(
        depot.dispatch_by(order, a),
        depot.dispatch_by(order, b),
        depot.dispatch_by(order, c),
        depot.dispatch_by(order, d)
    );
    assert!([sent.0, sent.1, sent.2, sent.3].into_iter().all(|sent| sent.is_ok()));
    let noted = noted(&depot).await;
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert!(operators.contains(&noted[0].0), "{noted:?}");
}

#[tokio::test]
async fn what_is_refused_or_moves_in_time_is_not_noted() {
    let depot = Depot::open(1).await;
    let operator = AccountId::new().to_string();
    let awaiting = depot.awaiting(depot.accounts.register(None).await).await;
    for (order, operator, code) in [
        (OrderId::new(), operator.as_str(), ProblemCode::NotFound),
        (awaiting, operator.as_str(), ProblemCode::NotDispatchable),
        (awaiting, "somebody", ProblemCode::Invalid),
    ] {
        let refused = depot.dispatch_by(order, operator).await.unwrap_err();
        assert_eq!(rpc::problem_of(&refused), code, "{refused:?}");
    }
    let order = OrderId::new();
    depot.complete(order, depot.customer).await;
    depot.reaches(order, ShipmentStatus::Delivered).await;
    depot.dispatch_by(order, &operator).await.unwrap();
    assert_eq!(noted(&depot).await, []);
}
