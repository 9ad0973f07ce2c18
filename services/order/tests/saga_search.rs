//! An exhaustive search of the saga: both doors, two processes that carry one order on, calls and letters that arrive late,
//! twice or never, answers that are lost or come in another order, a deadline and cancels at any moment, a parcel that
//! leaves at any moment, and a crash after every step.
//!
//! The world is small enough to visit whole. Inventory, payment, shipping and the card network are modelled by the word
//! that they give in their READMEs: what was answered once is answered again; a release, a void or a stop that overtakes
//! its opposite blocks it.

use std::collections::{HashMap, HashSet, VecDeque};

use order::saga::{Action, Fact, Reason, Refusal, State, Step, next};

/// What inventory keeps about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reservation {
    None,
    Held,
    Refused,
    Released,
    Settled,
    Returned,
}

/// What payment and the card network keep about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Payment {
    None,
    Captured,
    Declined,
    UnknownCard,
    Voided,
    Refunded,
}

/// What shipping keeps about the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shipment {
    None,
    Preparing,
    Dispatched,
    Stopped,
}

/// How the order came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Telephone,
    Letter,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Process {
    read: Row,
    believes: Position,
}

/// The order's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row {
    position: Position,
    version: u8,
    /// Whether it knows that the parcel has left: then a cancel is refused without a change.
    knows_dispatched: bool,
}

/// A state, by its place in `State::all`, so that the world can be hashed.
type Position = u8;

/// A set of actions, facts or answers, by their places.
type Set = u16;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    row: Row,
    reservation: Reservation,
    payment: Payment,
    shipment: Shipment,
    captures: u8,
    refunds: u8,
    deadline_passed: bool,
    cancels_left: u8,
    /// Whether `order.completed` is written: followers may read it from now on, any number of times.
    completed_is_told: bool,
    processes: [Option<Process>; 2],
    /// Calls that left and may still arrive, any number of times: a call outlives the process that made it.
    calls: Set,
    /// Answers that left and may still be heard, any number of times.
    answers: Set,
    /// Letters to order that are written and may be read, any number of times and in any order.
    letters: Set,
}

const ACTIONS: [Action; 6] =
    [Action::Reserve, Action::Charge, Action::Void, Action::Release, Action::Stop, Action::Refund];

const FACTS: [Fact; 12] = [
    Fact::StockHeld,
    Fact::StockRefused(Refusal::OutOfStock),
    Fact::Captured,
    Fact::Declined,
    Fact::CardUnknown,
    Fact::Voided,
    Fact::Released,
    Fact::DeadlinePassed,
    Fact::CancelAsked,
    Fact::Stopped,
    Fact::Dispatched,
    Fact::MoneyReturned,
];

/// What each question may be answered with.
const ANSWERS: [(Action, Fact); 12] = [
    (Action::Reserve, Fact::StockHeld),
    (Action::Reserve, Fact::StockRefused(Refusal::OutOfStock)),
    (Action::Reserve, Fact::Released),
    (Action::Charge, Fact::Captured),
    (Action::Charge, Fact::Declined),
    (Action::Charge, Fact::CardUnknown),
    (Action::Charge, Fact::Voided),
    (Action::Void, Fact::Voided),
    (Action::Release, Fact::Released),
    (Action::Stop, Fact::Stopped),
    (Action::Stop, Fact::Dispatched),
    (Action::Refund, Fact::MoneyReturned),
];

fn place<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|other| other == one).expect("one of all")
}

fn with<T: PartialEq>(set: Set, all: &[T], one: &T) -> Set {
    set | 1 << place(all, one)
}

fn members<T: Copy>(set: Set, all: &[T]) -> impl Iterator<Item = T> {
    all.iter().enumerate().filter(move |(place, _)| set & 1 << place != 0).map(|(_, one)| *one)
}

struct Search {
    states: Vec<State>,
    door: Door,
    stock: Stock,
    card: Card,
}

impl Search {
    fn state(&self, position: Position) -> State {
        self.states[usize::from(position)]
    }

    fn position(&self, state: State) -> Position {
        u8::try_from(place(&self.states, &state)).expect("few states")
    }

    fn start(&self) -> World {
        World {
            row: Row { position: self.position(State::AwaitingStock), version: 1, knows_dispatched: false },
            reservation: Reservation::None,
            payment: Payment::None,
            shipment: Shipment::None,
            captures: 0,
            refunds: 0,
            deadline_passed: false,
            cancels_left: 2,
            completed_is_told: false,
            processes: [None, None],
            calls: 0,
            answers: 0,
            letters: 0,
        }
    }

    /// What is asked by telephone in this state; an order by letter is decided by letters.
    fn action(&self, state: State) -> Option<Action> {
        match (self.door, state) {
            (Door::Letter, State::AwaitingStock | State::AwaitingPayment) => None,
            _ => state.action(),
        }
    }

    /// Every world that can come next.
    fn successors(&self, world: &World) -> Vec<World> {
        let mut successors = Vec::new();
        if !world.deadline_passed {
            successors.push(World { deadline_passed: true, ..world.clone() });
        }
        for call in members(world.calls, &ACTIONS) {
            successors.push(self.arrive(world, call));
        }
        successors.extend(self.cancel(world));
        successors.extend(self.followers(world));
        for letter in members(world.letters, &FACTS) {
            successors.push(self.read(world, letter));
        }
        for (index, process) in world.processes.iter().enumerate() {
            let with = |process| {
                let mut world = world.clone();
                world.processes[index] = process;
                world
            };
            let Some(process) = *process else {
                if !self.state(world.row.position).is_settled() {
                    successors.push(with(Some(Process { read: world.row, believes: world.row.position })));
                }
                continue;
            };
            successors.push(with(None)); // a crash, at every step
            successors.extend(self.act(world, index, process));
            if self.must_commit(process) {
                continue; // and hears nothing before it has
            }
            // a process hears answers to what it has just asked, to nothing else
            let asked = self.action(self.state(process.believes));
            for (action, answer) in ANSWERS {
                if asked == Some(action) && world.answers & 1 << place(&ANSWERS, &(action, answer)) != 0 {
                    successors.push(self.hear(world, index, process, answer));
                }
            }
            if world.deadline_passed && process.read.position == process.believes {
                successors.push(self.hear(world, index, process, Fact::DeadlinePassed));
            }
        }
        successors
    }

    /// The customer cancels: one change of the row as it is.
    fn cancel(&self, world: &World) -> Option<World> {
        if world.cancels_left == 0 || world.row.knows_dispatched {
            return None;
        }
        let mut world = World { cancels_left: world.cancels_left - 1, ..world.clone() };
        self.tell_row(&mut world, Fact::CancelAsked);
        Some(world)
    }

    /// Inventory, payment and shipping read letters of order and of each other.
    fn followers(&self, world: &World) -> Vec<World> {
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

    /// Order reads a letter: one change of the row as it is. Of shipping's letters only a cancel takes notice.
    fn read(&self, world: &World, fact: Fact) -> World {
        let mut world = world.clone();
        let is_of_shipping = matches!(fact, Fact::Stopped | Fact::Dispatched);
        world.row.knows_dispatched |= fact == Fact::Dispatched;
        if !is_of_shipping || self.state(world.row.position) == State::Stopping {
            self.tell_row(&mut world, fact);
        }
        world
    }

    fn tell_row(&self, world: &mut World, fact: Fact) {
        let state = self.state(world.row.position);
        match next(state, fact) {
            Step::Advance(to) => self.write(world, self.position(to), fact == Fact::Dispatched),
            Step::AlreadyApplied => {}
            Step::Contradiction => panic!("a contradiction: {fact:?} in {state:?}, {world:?}"),
        }
    }

    fn write(&self, world: &mut World, position: Position, dispatched: bool) {
        world.row = Row {
            position,
            version: world.row.version + 1,
            knows_dispatched: world.row.knows_dispatched || dispatched,
        };
        world.completed_is_told |= self.state(position) == State::Completed;
    }

    /// The process asks for what is due, or commits what it believes.
    fn act(&self, world: &World, index: usize, process: Process) -> Option<World> {
        let mut world = world.clone();
        if self.must_commit(process) {
            world.processes[index] = self.commit(&mut world, process);
        } else {
            let action = self.action(self.state(process.believes))?;
            world.calls = with(world.calls, &ACTIONS, &action);
        }
        Some(world)
    }

    fn must_commit(&self, process: Process) -> bool {
        process.believes != process.read.position && self.state(process.believes).is_kept_before_its_action()
    }

    /// Compare-and-set on the version; whoever loses reads again. Ends when nothing is left to do.
    fn commit(&self, world: &mut World, process: Process) -> Option<Process> {
        if world.row == process.read {
            let was_stopping = self.state(process.read.position) == State::Stopping;
            let dispatched = was_stopping && self.state(process.believes) == State::Completed;
            self.write(world, process.believes, dispatched);
        }
        self.fresh(world)
    }

    /// A process that has just read the row.
    fn fresh(&self, world: &World) -> Option<Process> {
        let is_settled = self.state(world.row.position).is_settled();
        (!is_settled).then_some(Process { read: world.row, believes: world.row.position })
    }

    fn hear(&self, world: &World, index: usize, process: Process, fact: Fact) -> World {
        let mut world = world.clone();
        world.processes[index] = match next(self.state(process.believes), fact) {
            Step::Advance(state) => Some(Process { believes: self.position(state), ..process }),
            Step::AlreadyApplied => self.fresh(&world),
            Step::Contradiction => panic!("a contradiction: {fact:?} in {:?}, {world:?}", self.state(process.believes)),
        };
        world
    }

    /// A call takes effect and its answer leaves: to the caller, or by letter to order.
    fn arrive(&self, world: &World, action: Action) -> World {
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

    /// What must hold in every world that can be.
    fn check(&self, world: &World) {
        assert!(world.captures <= 1, "captured twice: {world:?}");
        assert!(world.refunds <= world.captures, "refunded more than captured: {world:?}");
        let is_held = matches!(world.reservation, Reservation::Held | Reservation::Settled);
        let has_left = world.shipment == Shipment::Dispatched;
        match self.state(world.row.position) {
            State::Completed | State::Stopping => {
                assert_eq!(world.payment, Payment::Captured, "completed without a capture: {world:?}");
                assert!(is_held, "completed without stock: {world:?}");
            }
            State::Refunding => assert!(is_held && !has_left, "refunding what has left: {world:?}"),
            State::Refunded => {
                assert_eq!(world.payment, Payment::Refunded, "cancelled with money kept: {world:?}");
                assert!(!has_left, "cancelled and sent: {world:?}");
                assert!(is_held || world.reservation == Reservation::Returned, "stock returned twice: {world:?}");
            }
            State::GivenUp(_) => {
                assert!(!matches!(world.payment, Payment::Captured), "given up with money kept: {world:?}");
                assert!(!is_held, "given up with stock held: {world:?}");
                assert_eq!(world.shipment, Shipment::None, "given up and sent: {world:?}");
            }
            State::AwaitingStock | State::AwaitingPayment | State::Voiding(_) | State::Releasing(_) => {}
        }
    }

    /// Whether the order is where it may stay for ever.
    fn is_at_rest(&self, world: &World) -> bool {
        let state = self.state(world.row.position);
        state.is_settled() && (state != State::Refunded || world.reservation == Reservation::Returned)
    }

    /// Visits every world; then sees that from each of them the order can still come to rest. Gives the number of worlds and
    /// the states that the order may rest in.
    fn run(&self) -> (usize, HashSet<State>) {
        let mut numbers = HashMap::from([(self.start(), 0)]);
        let mut predecessors: Vec<Vec<usize>> = vec![Vec::new()];
        let mut at_rest = Vec::new();
        let mut ends = HashSet::new();
        let mut unvisited = VecDeque::from([self.start()]);
        while let Some(world) = unvisited.pop_front() {
            self.check(&world);
            let number = numbers[&world];
            if self.is_at_rest(&world) {
                at_rest.push(number);
                ends.insert(self.state(world.row.position));
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
        while let Some(number) = at_rest.pop() {
            if !std::mem::replace(&mut can_end[number], true) {
                at_rest.extend(&predecessors[number]);
            }
        }
        if let Some((stuck, _)) = numbers.iter().find(|&(_, &number)| !can_end[number]) {
            panic!("stuck for ever: {stuck:?}");
        }
        (numbers.len(), ends)
    }
}

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
fn nothing_but_a_cancel_moves_an_order_that_is_at_rest() {
    for state in State::all().filter(|state| state.is_settled()) {
        for fact in FACTS.into_iter().filter(|&fact| (state, fact) != (State::Completed, Fact::CancelAsked)) {
            assert!(!matches!(next(state, fact), Step::Advance(_)), "{fact:?} moved {state:?}");
        }
    }
}
