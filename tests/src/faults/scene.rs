//! What a row sees of the harness: a platform, customers who order, and strikes.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{
    Length,
    load::Load,
    report::{Line, Verdict},
    world::World,
};

/// Any fault of one part: customers are answered as before after this time.
pub const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// A platform that was just started is slow at first, and a busy machine always: no longer is waited for it to be quick.
const WARM_UP_MAX: Duration = Duration::from_secs(8);

const POLL: Duration = Duration::from_millis(200);

/// A platform under load.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The platform.
    pub world: &'a mut World,
    /// Who orders.
    pub load: Load,
    /// How long faults last.
    pub length: Length,
    usual_p99_ms: f64,
    lines: Vec<Line>,
}

/// What came of some harm, apart from what customers noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As promised; what was measured, for the report. Often nothing.
    Kept(String),
    /// Not as promised: what.
    Broken(String),
}

impl Outcome {
    /// Nothing was measured but the customers.
    pub fn nothing_else() -> Self {
        Self::Kept(String::new())
    }

    /// `figure`, when it is as promised.
    pub fn of(kept: bool, figure: String) -> Self {
        if kept { Self::Kept(figure) } else { Self::Broken(figure) }
    }
}

impl<'a> Scene<'a> {
    /// Begins when the platform has warmed up and customers were answered for `calm`: so it usually is.
    pub async fn begin(world: &'a mut World, mut load: Load, calm: Duration) -> Self {
        let began = now();
        let warm_up = Instant::now() + WARM_UP_MAX;
        while load.recovered_after(began, 0.0).is_none() && Instant::now() < warm_up {
            sleep(POLL).await;
        }
        let warm = now();
        sleep(calm).await;
        let usual_p99_ms = load.between(warm, now()).p99_ms().unwrap_or(0.0);
        let length = world.length;
        Self { world, load, length, usual_p99_ms, lines: Vec::new() }
    }

    /// Does harm, ends it, and waits until customers are served as before; [`RECOVERY_MAX`] after the end of the harm at the
    /// latest. One strike is one line of the report.
    pub async fn strike(&mut self, fault: impl Into<String>, harm: impl AsyncFnOnce(&mut World) -> Outcome) {
        self.strike_within(fault, RECOVERY_MAX, harm).await;
    }

    /// As [`Scene::strike`], with a limit of its own.
    pub async fn strike_within(
        &mut self,
        fault: impl Into<String>,
        recovery_max: Duration,
        harm: impl AsyncFnOnce(&mut World) -> Outcome,
    ) {
        let fault = fault.into();
        let began = now();
        let outcome = harm(self.world).await;
        let ended = now();
        let recovered = self.recovery(ended, recovery_max).await;
        let during = self.load.between(began, now());
        let mut verdict = Verdict::default();
        let figure = match outcome {
            Outcome::Kept(figure) => figure,
            Outcome::Broken(figure) => {
                verdict.complain(figure.clone());
                figure
            }
        };
        if recovered.is_none() {
            verdict.complain(format!("not recovered within {} s", recovery_max.as_secs()));
        }
        let line = Line {
            fault,
            recovery: recovered,
            error_share: during.error_share(),
            usual_p99_ms: self.usual_p99_ms,
            p99_ms: during.p99_ms(),
            figure,
            verdict,
            ..Line::default()
        };
        println!("  {}", line.in_short());
        self.lines.push(line);
    }

    /// The end: the load, and a line for each strike.
    pub fn end(self) -> (Load, Vec<Line>) {
        (self.load, self.lines)
    }

    async fn recovery(&mut self, ended: Timestamp, recovery_max: Duration) -> Option<Duration> {
        // a recovery at the last moment shows a window and the answers to its orders later
        let until = Instant::now() + recovery_max + Duration::from_secs(2);
        loop {
            let recovered = self.load.recovered_after(ended, self.usual_p99_ms);
            if recovered.is_some() || Instant::now() > until {
                return recovered.filter(|after| *after <= recovery_max);
            }
            sleep(POLL).await;
        }
    }
}

/// This machine's time, which the load's journal has too.
#[expect(clippy::disallowed_methods, reason = "the journal of another process is compared with it")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
