//! What inventory, payment, the card network and shipping do, by the word that they give in their READMEs: what was answered once
//! is answered again; a release, a void or a stop that overtakes its opposite blocks it.

use ::order::saga::{Action, Fact, Refusal, State};

use crate::{
    search::Search,
    world::{ACTIONS, ANSWERS, Card, Door, FACTS, Payment, Reservation, Shipment, Stock, World, members, with},
};

impl Search {
    /// Inventory, payment and shipping read letters of order and of each other.
    pub fn followers(&self, world: &World) -> Vec<World> {
        let mut next = Vec::new();
        let state = self.state(world.row.position);
        if self.door == Door::Letter {
            if world.reservation == Reservation::None {
                next.push(self.arrive(world, Action::Reserve));
            }
            // payment has read that stock is held, and asks order whether to charge
            let is_wanted = matches!(state, State::AwaitingStock | State::AwaitingPayment);
            if is_wanted && members(world.letters, &FACTS).any(|fact| fact == Fact::StockHeld) {
                next.push(World { calls: with(world.calls, &ACTIONS, &Action::Charge), ..world.clone() });
            }
        }
        if world.completed_is_told && world.shipment == Shipment::None {
            next.push(World { shipment: Shipment::Preparing, ..world.clone() });
            // or there is nobody any more to send it to
            let letters = with(world.letters, &FACTS, &Fact::Stopped);
            next.push(World { shipment: Shipment::Stopped, letters, ..world.clone() });
        }
        if world.shipment == Shipment::Preparing {
            let letters = with(world.letters, &FACTS, &Fact::Dispatched);
            next.push(World { shipment: Shipment::Dispatched, letters, ..world.clone() });
        }
        if world.completed_is_told && world.reservation == Reservation::Held {
            next.push(World { reservation: Reservation::Settled, ..world.clone() });
        }
        // the same key: order.cancelled is read after order.completed
        if state == State::Refunded && world.reservation == Reservation::Settled {
            next.push(World { reservation: Reservation::Returned, ..world.clone() });
        }
        next
    }

    /// A call takes effect and its answer leaves: to the caller, or by letter to order.
    pub fn arrive(&self, world: &World, action: Action) -> World {
        let mut world = world.clone();
        let mut by_letter = false;
        let answer = match action {
            Action::Reserve => {
                by_letter = self.door == Door::Letter;
                if world.reservation == Reservation::None {
                    world.reservation = match self.stock {
                        Stock::Enough => Reservation::Held,
                        Stock::TooLittle => Reservation::Refused,
                    };
                }
                match world.reservation {
                    Reservation::Held | Reservation::Settled => Fact::StockHeld,
                    Reservation::Refused => Fact::StockRefused(Refusal::OutOfStock),
                    Reservation::Released | Reservation::Returned => Fact::Released,
                    Reservation::None => unreachable!("decided above"),
                }
            }
            Action::Release => {
                match world.reservation {
                    Reservation::None | Reservation::Held => world.reservation = Reservation::Released,
                    Reservation::Refused | Reservation::Released => {}
                    Reservation::Settled | Reservation::Returned => panic!("sold and released: {world:?}"),
                }
                Fact::Released
            }
            Action::Charge => {
                by_letter = self.door == Door::Letter;
                if world.payment == Payment::None {
                    world.payment = match self.card {
                        Card::Captures | Card::NeverReplies => Payment::Captured,
                        Card::Declines => Payment::Declined,
                        Card::Unknown => Payment::UnknownCard,
                        Card::NeverCharges => Payment::None,
                    };
                    world.captures += u8::from(world.payment == Payment::Captured);
                }
                match world.payment {
                    Payment::Captured if self.card == Card::NeverReplies => return world,
                    Payment::Captured => Fact::Captured,
                    Payment::Declined => Fact::Declined,
                    Payment::UnknownCard => Fact::CardUnknown,
                    // payment tells whoever asks that nothing is captured any more, but writes no letter about it
                    Payment::Voided | Payment::Refunded if by_letter => return world,
                    Payment::Voided | Payment::Refunded => Fact::Voided,
                    Payment::None => return world,
                }
            }
            Action::Void => {
                assert_ne!(world.payment, Payment::Refunded, "voided what was refunded: {world:?}");
                world.payment = Payment::Voided;
                Fact::Voided
            }
            Action::Stop => {
                if world.shipment == Shipment::Dispatched {
                    Fact::Dispatched
                } else {
                    world.shipment = Shipment::Stopped;
                    world.letters = with(world.letters, &FACTS, &Fact::Stopped);
                    Fact::Stopped
                }
            }
            Action::Refund => {
                if world.payment == Payment::Captured {
                    world.payment = Payment::Refunded;
                    world.refunds += 1;
                }
                assert_eq!(world.payment, Payment::Refunded, "a refund of nothing: {world:?}");
                Fact::MoneyReturned
            }
        };
        if by_letter {
            world.letters = with(world.letters, &FACTS, &answer);
        } else {
            world.answers = with(world.answers, &ANSWERS, &(action, answer));
        }
        world
    }
}
