//! Playing rows, one after another, and adding up what came of them.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use futures::FutureExt;
use tokio::time::Instant;

use super::{FaultRow, Length, Wishes, audit::audit, load::Load, report::Line, rest, scene::Scene, world::World};

/// How many findings are told one by one.
const TOLD_MAX: usize = 5;

/// Plays rows on platforms that it starts as they wish.
#[derive(Debug)]
pub struct Run {
    length: Length,
    programs: PathBuf,
    /// What the row before has left, when that went well and the next row may have it.
    world: Option<World>,
}

impl Run {
    /// With the services' programs in this folder.
    pub fn new(length: Length, programs: PathBuf) -> Self {
        Self { length, programs, world: None }
    }

    /// Plays one row. A row that cannot go on is a line with a complaint.
    pub async fn play(&mut self, row: &dyn FaultRow) -> Vec<Line> {
        let began = Instant::now();
        println!("{}", row.name());
        if let Some(why) = row.cannot_be_played() {
            println!("  skipped: {why}");
            return vec![Line::skipped(row.name(), &why)];
        }
        let wishes = row.wishes(self.length);
        let (length, programs) = (self.length, self.programs.clone());
        let left = self.world.take().filter(|_| !wishes.is_particular());
        let playing = AssertUnwindSafe(play(row, &wishes, left, length, &programs)).catch_unwind().await;
        let lines = match playing {
            Ok((lines, world)) => {
                let is_good = lines.iter().all(|line| line.verdict.is_good());
                self.world = Some(world).filter(|_| is_good && !wishes.is_particular());
                lines
            }
            Err(panic) => {
                let why = panic.downcast_ref::<String>().cloned();
                let why = why.or_else(|| panic.downcast_ref::<&str>().map(|&why| why.to_owned()));
                let why = why.unwrap_or_else(|| "it panicked".to_owned());
                println!("  {why}");
                vec![Line::failed(row.name(), why.lines().next().unwrap_or_default().to_owned())]
            }
        };
        println!("  {:.1} s", began.elapsed().as_secs_f64());
        lines
    }
}

impl Wishes {
    /// Whether the platform is for this row alone.
    fn is_particular(&self) -> bool {
        self.fresh || self.brokers != 1 || !self.settings.is_empty() || self.kill_points
    }
}

async fn play(
    row: &dyn FaultRow,
    wishes: &Wishes,
    left: Option<World>,
    length: Length,
    programs: &Path,
) -> (Vec<Line>, World) {
    let mut world = match left {
        Some(world) => world,
        None => World::start(wishes, length, programs).await,
    };
    row.prepare(&mut world).await;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let load = Load::start(&world.command_line, wishes.load, &folder.path().join("journal")).await;
    let mut scene = Scene::begin(&mut world, load, wishes.load.calm).await;
    row.play(&mut scene).await;
    let (mut load, mut lines) = scene.end();
    let report = load.end().await;
    let (rest, rested) = timed(rest::at_rest(&world)).await;
    let (findings, audited) = timed(audit(&world, load.journal())).await;
    let mut complaints: Vec<String> = findings.told.iter().take(TOLD_MAX).cloned().collect();
    complaints.extend(rest.err());
    if report.failed > 0 {
        complaints.push(format!("{} orders were not acknowledged: {:?}", report.failed, report.attempts));
    }
    println!(
        "  {} orders: {} lost, {} doubled, {} promises broken; at rest after {rested:.1} s, audited in {audited:.1} s",
        report.orders, findings.lost, findings.doubled, findings.broken
    );
    for line in &mut lines {
        (line.lost, line.doubled, line.broken) = (findings.lost, findings.doubled, findings.broken);
        for complaint in &complaints {
            line.verdict.complain(complaint.clone());
        }
    }
    for complaint in complaints {
        println!("  {complaint}");
    }
    row.tidy(&mut world).await;
    (lines, world)
}

/// What comes of it, and how long it takes, in seconds.
async fn timed<T>(doing: impl Future<Output = T>) -> (T, f64) {
    let began = Instant::now();
    let done = doing.await;
    (done, began.elapsed().as_secs_f64())
}
