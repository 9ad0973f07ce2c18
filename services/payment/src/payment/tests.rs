//! Searches everything that can happen to one payment: calls overtake each other, answers are lost or late.

use std::collections::{HashSet, VecDeque};

use super::{
    Fact::{
        ChargeAsked, NetworkCaptured, NetworkDeclined, NetworkRefunded, NetworkRefusedRefund, NetworkRefusedVoided,
        NetworkUnknownCard, NetworkVoidedCapture, NetworkVoidedNothing, NoAnswer, RefundAsked, VoidAsked,
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
    ledger_refunds: u8,
    network_outcome: Option<Fact>,
    network_voided: bool,
    network_refunded: bool,
    charges_sent: usize,
    voids_sent: usize,
    refunds_sent: usize,
    answers: Vec<Fact>,
}

impl World {
    fn new() -> Self {
        Self {
            state: State::Unasked,
            ledger_captures: 0,
            ledger_reversals: 0,
            ledger_refunds: 0,
            network_outcome: None,
            network_voided: false,
            network_refunded: false,
            charges_sent: 0,
            voids_sent: 0,
            refunds_sent: 0,
            answers: Vec::new(),
        }
    }

    /// The payment learns a fact, and calls the network as the use cases do.
    fn learns(mut self, fact: Fact) -> Self {
        match next(self.state, fact) {
            Step::Stay => {}
            Step::Contradiction => panic!("{fact:?} contradicts {self:?}"),
            Step::Advance(state, posting) => {
                let is_final = matches!(self.state, State::Voided | State::Refunded);
                assert!(!is_final, "final, and moved: {self:?}, {fact:?}");
                self.state = state;
                match posting {
                    Posting::Nothing => {}
                    Posting::Capture => self.ledger_captures += 1,
                    Posting::CaptureAndReversal => {
                        self.ledger_captures = self.ledger_captures.max(1);
                        self.ledger_reversals += 1;
                    }
                    Posting::Refund => self.ledger_refunds += 1,
                }
            }
        }
        match (fact, self.state) {
            (ChargeAsked, State::Attempting) => self.charges_sent += 1,
            (VoidAsked, State::Voiding) => self.voids_sent += 1,
            (RefundAsked, State::Refunding) => self.refunds_sent += 1,
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

    /// A refund reaches the network.
    fn refund_arrives(mut self) -> Self {
        self.refunds_sent -= 1;
        let holds_it = self.network_outcome == Some(NetworkCaptured) && !self.network_voided;
        self.network_refunded |= holds_it;
        self.answered(if holds_it { NetworkRefunded } else { NetworkRefusedRefund })
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
        if self.refunds_sent < UNDER_WAY_MAX {
            successors.push(self.clone().learns(RefundAsked));
        }
        if self.charges_sent > 0 && self.answers.len() < UNDER_WAY_MAX {
            successors.push(self.clone().charge_arrives(card));
        }
        if self.voids_sent > 0 && self.answers.len() < UNDER_WAY_MAX {
            successors.push(self.clone().void_arrives());
        }
        if self.refunds_sent > 0 && self.answers.len() < UNDER_WAY_MAX {
            successors.push(self.clone().refund_arrives());
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
        let captured = self.network_outcome == Some(NetworkCaptured);
        let network_holds_money = captured && !self.network_voided && !self.network_refunded;
        let given_back = self.ledger_reversals + self.ledger_refunds;
        assert!(self.ledger_captures <= 1, "captured twice: {self:?}");
        assert!(given_back <= self.ledger_captures, "more given back than taken: {self:?}");
        assert!(!(self.network_voided && self.network_refunded), "given back in two ways: {self:?}");
        match self.state {
            State::Unasked => assert_eq!((self.network_outcome, self.network_voided), (None, false), "{self:?}"),
            State::Captured => {
                assert!(network_holds_money && self.ledger_captures == 1 && given_back == 0, "{self:?}");
            }
            State::Declined | State::UnknownCard => assert!(!network_holds_money, "{self:?}"),
            State::Attempting | State::Voiding => assert_eq!(given_back, 0, "{self:?}"),
            State::Refunding => assert!(captured && self.ledger_captures == 1 && given_back == 0, "{self:?}"),
            State::Voided => {
                assert!(self.network_voided, "voided, and the network does not know: {self:?}");
                assert_eq!(self.ledger_captures, self.ledger_reversals, "the ledger is not zero: {self:?}");
            }
            State::Refunded => {
                assert!(self.network_refunded, "refunded, and the network does not know: {self:?}");
                assert_eq!((self.ledger_captures, self.ledger_refunds), (1, 1), "the ledger is not zero: {self:?}");
            }
        }
    }
}

#[test]
fn nothing_is_captured_or_given_back_twice_whatever_overtakes_what() {
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
        let captures = card == NetworkCaptured;
        assert!(seen.iter().any(|world| world.state == State::Voided), "the search reached a void's end");
        assert_eq!(seen.iter().any(|world| world.state == State::Refunded), captures, "and that of a refund");
        assert_eq!(seen.iter().any(|world| world.ledger_reversals == 1), captures);
        assert_eq!(seen.iter().any(|world| world.ledger_refunds == 1), captures);
    }
}

const STATES: [State; 9] = [
    State::Unasked,
    State::Attempting,
    State::Captured,
    State::Declined,
    State::UnknownCard,
    State::Voiding,
    State::Voided,
    State::Refunding,
    State::Refunded,
];

#[test]
fn no_answer_moves_nothing() {
    for state in STATES {
        assert_eq!(next(state, NoAnswer), Step::Stay, "{state:?}");
    }
}

#[test]
fn only_a_capture_is_refunded() {
    for state in STATES.into_iter().filter(|&state| state != State::Captured) {
        assert_eq!(next(state, RefundAsked), Step::Stay, "{state:?}");
    }
    assert_eq!(next(State::Captured, RefundAsked), Step::Advance(State::Refunding, Posting::Nothing));
}

#[test]
fn what_is_being_refunded_is_neither_voided_nor_charged() {
    for state in [State::Refunding, State::Refunded] {
        for asked in [ChargeAsked, VoidAsked, RefundAsked] {
            assert_eq!(next(state, asked), Step::Stay, "{state:?}, {asked:?}");
        }
    }
}

#[test]
fn a_refund_that_the_network_refuses_is_never_taken_for_one() {
    for state in STATES {
        assert_eq!(next(state, NetworkRefusedRefund), Step::Contradiction, "{state:?}");
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
