//! Every world that can be, what must hold in each of them, and that none is a dead end.

use std::collections::{HashMap, HashSet, VecDeque};

use ::order::saga::{Action, Fact, State};

use crate::world::{
    ACTIONS, ANSWERS, Card, Door, FACTS, Payment, Position, Process, Reservation, Row, Shipment, Stock, World, members,
    place,
};

/// One search: through which door the order came, and how the others are disposed.
pub struct Search {
    pub states: Vec<State>,
    pub door: Door,
    pub stock: Stock,
    pub card: Card,
}

impl Search {
    pub fn state(&self, position: Position) -> State {
        self.states[usize::from(position)]
    }

    pub fn position(&self, state: State) -> Position {
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
    pub fn action(&self, state: State) -> Option<Action> {
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
    pub fn run(&self) -> (usize, HashSet<State>) {
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
