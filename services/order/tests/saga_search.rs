//! An exhaustive search of the saga: every interleaving of two processes that carry one order on, calls that arrive late,
//! twice or never, answers that are lost or come in another order, a deadline at any moment, and a crash after every step.
//!
//! The world is small enough to visit whole. Inventory, payment and the card network are modelled by the word they give
//! in their READMEs: what was answered once is answered again, a release or a void that overtakes its opposite blocks it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use order::saga::{Action, Fact, Reason, Refusal, State, Step, next};

/// What inventory keeps about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reservation {
    None,
    Held,
    Refused,
    Released,
}

/// What payment and the card network keep about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Payment {
    None,
    Captured,
    Declined,
    UnknownCard,
    Voided,
}

/// How inventory and the card network are disposed in one search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stock {
    Enough,
    TooLittle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Card {
    Captures,
    Declines,
    Unknown,
    /// The network takes the charge and never says so; only a void is answered.
    NeverReplies,
    /// The network drops the call without a charge; only a void is answered.
    NeverCharges,
}

/// A process that carries the order on: what it read from the database, and what it believes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Process {
    read: Row,
    believes: Position,
}

/// The order's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Row {
    position: Position,
    version: u8,
}

/// A state, by its place in `State::all`, so that the world can be ordered and hashed.
type Position = usize;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    row: Row,
    reservation: Reservation,
    payment: Payment,
    captures: u8,
    deadline_passed: bool,
    processes: [Option<Process>; 2],
    /// Calls that left and may still arrive, any number of times: a call outlives the process that made it.
    calls: BTreeSet<u8>,
    /// Answers that left and may still be heard, any number of times.
    answers: BTreeSet<u8>,
}

const ACTIONS: [Action; 4] = [Action::Reserve, Action::Charge, Action::Void, Action::Release];

const FACTS: [Fact; 8] = [
    Fact::StockHeld,
    Fact::StockRefused(Refusal::OutOfStock),
    Fact::Captured,
    Fact::Declined,
    Fact::CardUnknown,
    Fact::Voided,
    Fact::Released,
    Fact::DeadlinePassed,
];

fn place<T: PartialEq>(all: &[T], one: &T) -> u8 {
    u8::try_from(all.iter().position(|other| other == one).expect("one of all")).expect("few")
}

struct Search {
    states: Vec<State>,
    stock: Stock,
    card: Card,
}

impl Search {
    fn state(&self, position: Position) -> State {
        self.states[position]
    }

    fn position(&self, state: State) -> Position {
        self.states.iter().position(|&other| other == state).expect("one of all")
    }

    fn start(&self) -> World {
        World {
            row: Row { position: self.position(State::AwaitingStock), version: 1 },
            reservation: Reservation::None,
            payment: Payment::None,
            captures: 0,
            deadline_passed: false,
            processes: [None, None],
            calls: BTreeSet::new(),
            answers: BTreeSet::new(),
        }
    }

    /// Every world that can come next.
    fn successors(&self, world: &World) -> Vec<World> {
        let mut successors = Vec::new();
        if !world.deadline_passed {
            successors.push(World { deadline_passed: true, ..world.clone() });
        }
        for &call in &world.calls {
            successors.push(self.arrive(world, ACTIONS[usize::from(call)]));
        }
        for (index, process) in world.processes.iter().enumerate() {
            let with = |process| {
                let mut world = world.clone();
                world.processes[index] = process;
                world
            };
            let Some(process) = *process else {
                successors.push(with(Some(Process { read: world.row, believes: world.row.position })));
                continue;
            };
            successors.push(with(None)); // a crash, at every step
            successors.extend(self.act(world, index, process));
            if self.must_commit(process) {
                continue; // and hears nothing before it has
            }
            for &answer in &world.answers {
                successors.push(self.hear(world, index, process, FACTS[usize::from(answer)]));
            }
            if world.deadline_passed && process.read.position == process.believes {
                successors.push(self.hear(world, index, process, Fact::DeadlinePassed));
            }
        }
        successors
    }

    /// The process asks for what is due, or commits what it believes.
    fn act(&self, world: &World, index: usize, process: Process) -> Option<World> {
        let mut world = world.clone();
        if self.must_commit(process) {
            world.processes[index] = Some(Self::commit(&mut world, process));
        } else {
            world.calls.insert(place(&ACTIONS, &self.state(process.believes).action()?));
        }
        Some(world)
    }

    fn must_commit(&self, process: Process) -> bool {
        process.believes != process.read.position && self.state(process.believes).is_kept_before_its_action()
    }

    /// Compare-and-set on the version; whoever loses reads again.
    fn commit(world: &mut World, process: Process) -> Process {
        if world.row == process.read {
            world.row = Row { position: process.believes, version: world.row.version + 1 };
        }
        Process { read: world.row, believes: world.row.position }
    }

    fn hear(&self, world: &World, index: usize, process: Process, fact: Fact) -> World {
        let mut world = world.clone();
        let heard = match next(self.state(process.believes), fact) {
            Step::Advance(state) => Process { believes: self.position(state), ..process },
            Step::AlreadyApplied => Process { read: world.row, believes: world.row.position },
            Step::Contradiction => panic!("a contradiction: {fact:?} in {:?}, {world:?}", self.state(process.believes)),
        };
        world.processes[index] = Some(heard);
        world
    }

    /// A call takes effect and its answer leaves.
    fn arrive(&self, world: &World, action: Action) -> World {
        let mut world = world.clone();
        let answer = match action {
            Action::Reserve => {
                if world.reservation == Reservation::None {
                    world.reservation = match self.stock {
                        Stock::Enough => Reservation::Held,
                        Stock::TooLittle => Reservation::Refused,
                    };
                }
                match world.reservation {
                    Reservation::Held => Fact::StockHeld,
                    Reservation::Refused => Fact::StockRefused(Refusal::OutOfStock),
                    Reservation::Released => Fact::Released,
                    Reservation::None => unreachable!("decided above"),
                }
            }
            Action::Release => {
                if world.reservation != Reservation::Refused {
                    world.reservation = Reservation::Released;
                }
                Fact::Released
            }
            Action::Charge => {
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
                    Payment::Voided => Fact::Voided,
                    Payment::None => return world,
                }
            }
            Action::Void => {
                world.payment = Payment::Voided;
                Fact::Voided
            }
        };
        world.answers.insert(place(&FACTS, &answer));
        world
    }

    /// What must hold in every world that can be.
    fn check(&self, world: &World) {
        assert!(world.captures <= 1, "captured twice: {world:?}");
        match self.state(world.row.position) {
            State::Completed => {
                assert_eq!(world.payment, Payment::Captured, "completed without a capture: {world:?}");
                assert_eq!(world.reservation, Reservation::Held, "completed without stock: {world:?}");
            }
            State::Rejected(_) => {
                assert_ne!(world.payment, Payment::Captured, "rejected with money kept: {world:?}");
                assert_ne!(world.reservation, Reservation::Held, "rejected with stock held: {world:?}");
            }
            State::AwaitingStock | State::AwaitingPayment | State::Voiding(_) | State::Releasing(_) => {}
        }
    }

    /// Visits every world; then sees that from each of them the order can still be decided. Gives the number of worlds and the
    /// states that the order ended in.
    fn run(&self) -> (usize, HashSet<State>) {
        let mut numbers = HashMap::from([(self.start(), 0)]);
        let mut predecessors: Vec<Vec<usize>> = vec![Vec::new()];
        let mut decided = Vec::new();
        let mut ends = HashSet::new();
        let mut unvisited = VecDeque::from([self.start()]);
        while let Some(world) = unvisited.pop_front() {
            self.check(&world);
            let number = numbers[&world];
            let state = self.state(world.row.position);
            if state.is_decided() {
                decided.push(number);
                ends.insert(state);
            }
            for successor in self.successors(&world) {
                let unseen = numbers.len();
                let successor_number = *numbers.entry(successor.clone()).or_insert(unseen);
                if successor_number == unseen {
                    predecessors.push(Vec::new());
                    unvisited.push_back(successor);
                }
                predecessors[successor_number].push(number);
            }
        }
        let mut can_end = vec![false; numbers.len()];
        while let Some(number) = decided.pop() {
            if !std::mem::replace(&mut can_end[number], true) {
                decided.extend(&predecessors[number]);
            }
        }
        if let Some((stuck, _)) = numbers.iter().find(|&(_, &number)| !can_end[number]) {
            panic!("stuck for ever: {stuck:?}");
        }
        (numbers.len(), ends)
    }
}

fn search(stock: Stock, card: Card) -> HashSet<State> {
    let (worlds, ends) = Search { states: State::all().collect(), stock, card }.run();
    println!("{stock:?} stock, card {card:?}: {worlds} worlds");
    ends
}

const EXPIRED: State = State::Rejected(Reason::Expired);

#[test]
fn an_order_with_stock_and_a_good_card_completes_or_expires_and_never_hangs() {
    assert_eq!(search(Stock::Enough, Card::Captures), HashSet::from([State::Completed, EXPIRED]));
}

#[test]
fn a_declined_order_gives_its_stock_back_whatever_happens() {
    let declined = State::Rejected(Reason::PaymentDeclined);
    assert_eq!(search(Stock::Enough, Card::Declines), HashSet::from([declined, EXPIRED]));
}

#[test]
fn an_unknown_card_gives_its_stock_back_whatever_happens() {
    let unknown = State::Rejected(Reason::UnknownCard);
    assert_eq!(search(Stock::Enough, Card::Unknown), HashSet::from([unknown, EXPIRED]));
}

#[test]
fn a_charge_that_is_never_confirmed_is_voided_never_kept() {
    assert_eq!(search(Stock::Enough, Card::NeverReplies), HashSet::from([EXPIRED]));
    assert_eq!(search(Stock::Enough, Card::NeverCharges), HashSet::from([EXPIRED]));
}

#[test]
fn an_order_without_stock_is_refused_and_never_charged() {
    let refused = State::Rejected(Reason::OutOfStock);
    assert_eq!(search(Stock::TooLittle, Card::Captures), HashSet::from([refused, EXPIRED]));
}

#[test]
fn a_decided_order_stays_as_it_is_whatever_is_told_late() {
    for state in State::all().filter(|state| state.is_decided()) {
        for fact in FACTS {
            assert!(!matches!(next(state, fact), Step::Advance(_)), "{fact:?} moved {state:?}");
        }
    }
}
