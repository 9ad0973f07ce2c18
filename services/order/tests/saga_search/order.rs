//! What order does: its processes, which ask, hear and commit, and its row, which customers and letters change.

use ::order::saga::{Fact, State, Step, next};

use crate::{
    search::Search,
    world::{ACTIONS, Position, Process, Row, World, with},
};

impl Search {
    /// The customer cancels: one change of the row as it is.
    pub fn cancel(&self, world: &World) -> Option<World> {
        if world.cancels_left == 0 || world.row.knows_dispatched {
            return None;
        }
        let mut world = World { cancels_left: world.cancels_left - 1, ..world.clone() };
        self.tell_row(&mut world, Fact::CancelAsked);
        Some(world)
    }

    /// Order reads a letter: one change of the row as it is.
    pub fn read(&self, world: &World, fact: Fact) -> World {
        let mut world = world.clone();
        world.row.knows_dispatched |= fact == Fact::Dispatched;
        self.tell_row(&mut world, fact);
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
    pub fn act(&self, world: &World, index: usize, process: Process) -> Option<World> {
        let mut world = world.clone();
        if self.must_commit(process) {
            world.processes[index] = self.commit(&mut world, process);
        } else {
            let action = self.action(self.state(process.believes))?;
            world.calls = with(world.calls, &ACTIONS, &action);
        }
        Some(world)
    }

    pub fn must_commit(&self, process: Process) -> bool {
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

    pub fn hear(&self, world: &World, index: usize, process: Process, fact: Fact) -> World {
        let mut world = world.clone();
        world.processes[index] = match next(self.state(process.believes), fact) {
            Step::Advance(state) => Some(Process { believes: self.position(state), ..process }),
            Step::AlreadyApplied => self.fresh(&world),
            Step::Contradiction => panic!("a contradiction: {fact:?} in {:?}, {world:?}", self.state(process.believes)),
        };
        world
    }
}
