//! Searches everything that can happen to one payment: calls overtake each other, answers are lost or late.

use std::collections::{HashSet, VecDeque};

use super::{
    Fact::{
        ChargeAsked, NetworkCaptured, NetworkDeclined, NetworkRefusedVoided, NetworkUnknownCard, NetworkVoidedCapture,
        NetworkVoidedNothing, NoAnswer, VoidAsked,
    },
    *,
};

/// Calls, and answers, of each kind that are under way at once.
const UNDER_WAY_MAX: usize = 2;

/// The payment, the network, and what is between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    state: State,
    ledger_captures: u8,
    ledger_reversals: u8,
    network_outcome: Option<Fact>,
    network_voided: bool,
    charges_sent: usize,
    voids_sent: usize,
    answers: Vec<Fact>,
}

impl World {
    fn new() -> Self {
        Self {
            state: State::Unasked,
            ledger_captures: 0,
            ledger_reversals: 0,
            network_outcome: None,
            network_voided: false,
            charges_sent: 0,
            voids_sent: 0,
            answers: Vec::new(),
        }
    }

    /// The payment learns a fact, and calls the network as the use cases do.
    fn learns(mut self, fact: Fact) -> Self {
        match next(self.state, fact) {
            Step::Stay => {}
            Step::Contradiction => panic!("{fact:?} contradicts {self:?}"),
            Step::Advance(state, posting) => {
                assert_ne!(self.state, State::Voided, "voided is final: {self:?}, {fact:?}");
                self.state = state;
                match posting {
                    Posting::Nothing => {}
                    Posting::Capture => self.ledger_captures += 1,
                    Posting::CaptureAndReversal => {
                        self.ledger_captures = self.ledger_captures.max(1);
                        self.ledger_reversals += 1;
                    }
                }
            }
        }
        match (fact, self.state) {
            (ChargeAsked, State::Attempting) => self.charges_sent += 1,
            (VoidAsked, State::Voiding) => self.voids_sent += 1,
            _ => {}
        }
        self
    }

    /// A charge reaches the network, whose card behaves as `card` says.
    fn charge_arrives(mut self, card: Fact) -> Self {
        self.charges_sent -= 1;
        if self.network_voided {
            return self.answered(NetworkRefusedVoided);
        }
        self.network_outcome = Some(card);
        self.answered(card)
    }

    /// A void reaches the network.
    fn void_arrives(mut self) -> Self {
        self.voids_sent -= 1;
        self.network_voided = true;
        let captured = self.network_outcome == Some(NetworkCaptured);
        self.answered(if captured { NetworkVoidedCapture } else { NetworkVoidedNothing })
    }

    fn answered(mut self, answer: Fact) -> Self {
        self.answers.push(answer);
        // the order in which they were sent means nothing
        self.answers.sort_by_key(|answer| format!("{answer:?}"));
        self
    }

    /// Every world that can follow.
    fn successors(&self, card: Fact) -> Vec<Self> {
        let mut successors = vec![self.clone().learns(NoAnswer)];
        if self.charges_sent < UNDER_WAY_MAX {
            successors.push(self.clone().learns(ChargeAsked));
        }
        if self.voids_sent < UNDER_WAY_MAX {
            successors.push(self.clone().learns(VoidAsked));
        }
        if self.charges_sent > 0 && self.answers.len() < UNDER_WAY_MAX {
            successors.push(self.clone().charge_arrives(card));
        }
        if self.voids_sent > 0 && self.answers.len() < UNDER_WAY_MAX {
            successors.push(self.clone().void_arrives());
        }
        for index in 0..self.answers.len() {
            let mut lost = self.clone();
            let answer = lost.answers.remove(index);
            successors.push(lost.clone().learns(answer));
            successors.push(lost);
        }
        successors
    }

    fn check(&self) {
        let network_holds_money = self.network_outcome == Some(NetworkCaptured) && !self.network_voided;
        assert!(self.ledger_captures <= 1, "captured twice: {self:?}");
        assert!(self.ledger_reversals <= self.ledger_captures, "more given back than taken: {self:?}");
        match self.state {
            State::Unasked => assert_eq!((self.network_outcome, self.network_voided), (None, false), "{self:?}"),
            State::Captured => assert!(network_holds_money && self.ledger_captures == 1, "{self:?}"),
            State::Declined | State::UnknownCard => assert!(!network_holds_money, "{self:?}"),
            State::Attempting | State::Voiding => {}
            State::Voided => {
                assert!(self.network_voided, "voided, and the network does not know: {self:?}");
                assert_eq!(self.ledger_captures, self.ledger_reversals, "the ledger is not zero: {self:?}");
            }
        }
    }
}

#[test]
fn nothing_is_captured_twice_and_voided_is_final_whatever_overtakes_what() {
    for card in [NetworkCaptured, NetworkDeclined, NetworkUnknownCard] {
        let mut seen = HashSet::from([World::new()]);
        let mut queue = VecDeque::from([World::new()]);
        while let Some(world) = queue.pop_front() {
            world.check();
            for successor in world.successors(card) {
                if seen.insert(successor.clone()) {
                    queue.push_back(successor);
                }
            }
        }
        assert!(seen.iter().any(|world| world.state == State::Voided), "the search reached the end");
        assert!(seen.iter().any(|world| world.ledger_reversals == 1) == (card == NetworkCaptured));
    }
}

#[test]
fn no_answer_moves_nothing() {
    use State::{Attempting, Captured, Declined, Unasked, UnknownCard, Voided, Voiding};
    for state in [Unasked, Attempting, Captured, Declined, UnknownCard, Voiding, Voided] {
        assert_eq!(next(state, NoAnswer), Step::Stay, "{state:?}");
    }
}

#[test]
fn a_fingerprint_tells_cards_apart_within_one_order_only() {
    let token = |text: &str| CardToken::try_from(text.to_owned()).unwrap();
    let (order, other_order) = (OrderId::new(), OrderId::new());
    let visa = CardFingerprint::new(order, &token("tok_visa"));
    assert_eq!(visa, CardFingerprint::new(order, &token("tok_visa")));
    assert_ne!(visa, CardFingerprint::new(order, &token("tok_flaky")));
    assert_ne!(visa, CardFingerprint::new(other_order, &token("tok_visa")));
}

#[test]
fn a_card_token_is_not_shown() {
    let token = CardToken::try_from("tok_visa".to_owned()).unwrap();
    assert!(!format!("{token:?}").contains("visa"));
}
