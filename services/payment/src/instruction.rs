//! Asking order how to charge an order that was placed by letter: letters carry no cards.

use std::time::Duration;

use contracts::{
    ids::OrderId,
    order::v1::{
        GetPaymentInstructionRequest, get_payment_instruction_response::Instruction as Answer,
        order_service_client::OrderServiceClient,
    },
};
use rpc::{Channel, MESSAGE_BYTES_MAX};

use crate::{error::PaymentError, payment::CardToken};

/// What order wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Charge this card.
    ChargeCard(CardToken),
    /// The order is decided or given up: charge nothing.
    NotWanted,
}

/// The telephone to order.
#[derive(Debug, Clone)]
pub struct OrderDesk {
    client: OrderServiceClient<Channel>,
}

impl OrderDesk {
    /// A telephone with its number.
    pub fn new(order: Channel) -> Self {
        Self { client: OrderServiceClient::new(order).max_decoding_message_size(MESSAGE_BYTES_MAX) }
    }

    /// What order wants of this order's charge; asks for at most `budget`.
    pub async fn instruction(&self, order_id: OrderId, budget: Duration) -> Result<Instruction, PaymentError> {
        let request = GetPaymentInstructionRequest { order_id: order_id.to_string() };
        let answer = rpc::ask(budget, request, |request| {
            let mut client = self.client.clone();
            async move { client.get_payment_instruction(request).await }
        });
        let answer = answer.await.map_err(|status| PaymentError::NoInstruction(status.message().to_owned()))?;
        match answer.instruction {
            Some(Answer::ChargeCard(charge)) => {
                let card_token = CardToken::try_from(charge.card_token);
                card_token.map(Instruction::ChargeCard).map_err(|wrong| PaymentError::NoInstruction(wrong.to_string()))
            }
            Some(Answer::NotWanted(_)) => Ok(Instruction::NotWanted),
            None => Err(PaymentError::NoInstruction("an answer that this version cannot read".to_owned())),
        }
    }
}
