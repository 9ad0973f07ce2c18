//! An exhaustive search of the saga: both doors, two processes that carry one order on, calls and letters that arrive late,
//! twice or never, answers that are lost or come in another order, a deadline and cancels at any moment, a parcel that
//! leaves at any moment or is given up, and a crash after every step.
//!
//! The world is small enough to visit whole.

mod neighbours;
mod order;
mod search;
mod world;

use std::collections::HashSet;

use ::order::saga::{Fact, Reason, State, Step, next};

use crate::{
    search::Search,
    world::{Card, Door, FACTS, Stock},
};

fn search(door: Door, stock: Stock, card: Card) -> HashSet<State> {
    let (worlds, ends) = Search { states: State::all().collect(), door, stock, card }.run();
    println!("{door:?}, {stock:?} stock, card {card:?}: {worlds} worlds");
    ends
}

const DOORS: [Door; 2] = [Door::Telephone, Door::Letter];
const EXPIRED: State = State::GivenUp(Reason::Expired);
const CANCELLED: State = State::GivenUp(Reason::CustomerRequest);

#[test]
fn an_order_with_stock_and_a_good_card_completes_or_is_undone_whole() {
    for door in DOORS {
        let ends = HashSet::from([State::Completed, State::Refunded, EXPIRED, CANCELLED]);
        assert_eq!(search(door, Stock::Enough, Card::Captures), ends);
    }
}

#[test]
fn a_declined_order_gives_its_stock_back_whatever_happens() {
    for door in DOORS {
        let declined = State::GivenUp(Reason::PaymentDeclined);
        assert_eq!(search(door, Stock::Enough, Card::Declines), HashSet::from([declined, EXPIRED, CANCELLED]));
    }
}

#[test]
fn an_unknown_card_gives_its_stock_back_whatever_happens() {
    for door in DOORS {
        let unknown = State::GivenUp(Reason::UnknownCard);
        assert_eq!(search(door, Stock::Enough, Card::Unknown), HashSet::from([unknown, EXPIRED, CANCELLED]));
    }
}

#[test]
fn a_charge_that_is_never_confirmed_is_voided_never_kept() {
    for door in DOORS {
        assert_eq!(search(door, Stock::Enough, Card::NeverReplies), HashSet::from([EXPIRED, CANCELLED]));
        assert_eq!(search(door, Stock::Enough, Card::NeverCharges), HashSet::from([EXPIRED, CANCELLED]));
    }
}

#[test]
fn an_order_without_stock_is_refused_and_never_charged() {
    for door in DOORS {
        let refused = State::GivenUp(Reason::OutOfStock);
        assert_eq!(search(door, Stock::TooLittle, Card::Captures), HashSet::from([refused, EXPIRED, CANCELLED]));
    }
}

#[test]
fn nothing_but_a_cancel_and_a_parcel_that_is_given_up_moves_an_order_that_is_at_rest() {
    let movers = [(State::Completed, Fact::CancelAsked), (State::Completed, Fact::Stopped)];
    for state in State::all().filter(|state| state.is_settled()) {
        for fact in FACTS.into_iter().filter(|&fact| !movers.contains(&(state, fact))) {
            assert!(!matches!(next(state, fact), Step::Advance(_)), "{fact:?} moved {state:?}");
        }
    }
}
