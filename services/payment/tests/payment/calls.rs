//! Calls that are refused as a whole.

use contracts::{
    ids::OrderId,
    payment::v1::{Charge, ChargeRequest, GetPaymentRequest, RefundCharge, RefundRequest, VoidCharge, VoidRequest},
};
use tonic::Code;

use crate::platform::{BUDGET, Platform, charge_item, refund_item, void_item};

#[tokio::test]
async fn a_list_with_a_wrong_item_is_refused_and_charges_nothing() {
    let platform = Platform::start().await;
    let right = charge_item(OrderId::new(), 1250, "tok_visa", BUDGET);
    let wrong = [
        Charge { order_id: "nonsense".to_owned(), ..right.clone() },
        Charge { amount: None, ..right.clone() },
        charge_item(OrderId::new(), -1, "tok_visa", BUDGET),
        Charge { card_token: String::new(), ..right.clone() },
        Charge { card_token: "x".repeat(65), ..right.clone() },
        Charge { budget_ms: 0, ..right.clone() },
    ];
    for wrong in wrong {
        let request = ChargeRequest { items: vec![right.clone(), wrong.clone()] };
        let refused = platform.client().charge(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{wrong:?}");
    }
    for items in [vec![], vec![right.clone(); 101]] {
        let refused = platform.client().charge(ChargeRequest { items }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    let wrong = VoidCharge { budget_ms: 0, ..void_item(OrderId::new(), BUDGET) };
    let refused = platform.client().void(VoidRequest { items: vec![wrong] }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let wrong = [
        RefundCharge { budget_ms: 0, ..refund_item(OrderId::new(), BUDGET) },
        RefundCharge { order_id: "nonsense".to_owned(), ..refund_item(OrderId::new(), BUDGET) },
    ];
    for wrong in wrong {
        let refused = platform.client().refund(RefundRequest { items: vec![wrong] }).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    assert_eq!(platform.count("SELECT COUNT(*) FROM payments").await, 0);
}

#[tokio::test]
async fn a_payment_that_nobody_asked_for_is_not_found() {
    let platform = Platform::start().await;
    let missing = platform.state(OrderId::new()).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let malformed = platform.client().get_payment(GetPaymentRequest { order_id: "nonsense".to_owned() }).await;
    assert_eq!(malformed.unwrap_err().code(), Code::InvalidArgument);
}
