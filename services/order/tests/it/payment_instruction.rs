//! Who is told a card.

use contracts::{
    ids::OrderId,
    order::v1::{ChargeCard, NotWanted, get_payment_instruction_response::Instruction},
    problem::ProblemCode,
};
use order::saga::Fact;

use crate::{
    desk::{Desk, refusal},
    letters::priced,
};

#[tokio::test]
async fn the_card_of_an_order_by_letter_is_told_as_long_as_it_is_wanted() {
    let desk = Desk::open().await;
    let order = desk.by_letter().await;
    let card = Instruction::ChargeCard(ChargeCard { card_token: "tok_visa".to_owned() });
    assert_eq!(desk.payment_instruction(order).await.unwrap(), card);
    desk.tell(order, priced(Fact::StockHeld)).await;
    assert_eq!(desk.payment_instruction(order).await.unwrap(), card);
}

#[tokio::test]
async fn nothing_is_to_be_charged_for_an_order_that_is_decided_or_given_up() {
    let desk = Desk::open().await;
    let nothing = Instruction::NotWanted(NotWanted {});
    for facts in [
        vec![priced(Fact::Captured)],
        vec![priced(Fact::Captured), Fact::CancelAsked.into()],
        vec![Fact::CancelAsked.into()],
        vec![Fact::DeadlinePassed.into()],
        vec![Fact::DeadlinePassed.into(), Fact::Voided.into()],
        vec![Fact::DeadlinePassed.into(), Fact::Voided.into(), Fact::Released.into()],
        vec![Fact::Declined.into()],
    ] {
        let order = desk.by_letter().await;
        for fact in facts {
            desk.tell(order, fact).await;
        }
        assert_eq!(desk.payment_instruction(order).await.unwrap(), nothing, "{:?}", desk.state(order).await);
    }
}

#[tokio::test]
async fn the_card_of_an_order_by_telephone_is_not_told_again() {
    let desk = Desk::open().await;
    let order = desk.by_telephone().await;
    assert_eq!(desk.payment_instruction(order).await.unwrap(), Instruction::NotWanted(NotWanted {}));
}

#[tokio::test]
async fn an_unknown_order_is_not_found() {
    let desk = Desk::open().await;
    assert_eq!(refusal(desk.payment_instruction(OrderId::new()).await), ProblemCode::NotFound);
}
