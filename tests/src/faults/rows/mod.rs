//! The fault table, row by row.

mod clocks;
mod disks;
mod kills;
mod letters;
mod network;
mod pools;
mod servers;
mod steps;

use super::FaultRow;

/// Every row, in the order in which they are played: those that share a platform come first.
pub fn all() -> Vec<Box<dyn FaultRow>> {
    vec![
        Box::new(kills::KillEachService),
        Box::new(kills::RollingRestart),
        Box::new(kills::PauseEachService),
        Box::new(steps::KillAtEachStep::default()),
        Box::new(network::CutOffOrLate),
        Box::new(network::ChargedWithoutAnswer::default()),
        Box::new(clocks::WrongClock::default()),
        Box::new(pools::PoolExhausted),
        Box::new(servers::PostgresRestart),
        Box::new(servers::BrokerAway),
        Box::new(servers::BrokerRestart),
        Box::new(letters::EachLetterThrice),
        Box::new(letters::SlowFollower),
        Box::new(letters::RebalanceStorm),
        Box::new(letters::Poison),
        Box::new(disks::OutboxDiskFull::default()),
        Box::new(servers::OneBrokerOfThree),
    ]
}
