//! What others do to an order: cards that the network takes long for, orders that are as large as may be, and connections that
//! say nothing.
//!
//! The same customers order in every slice, two lines each, paid at once. In some slices others order as well, and nothing but the answers of
//! the first is counted.

use anyhow::Result;
use tokio::try_join;

use crate::{
    crowd::Crowd,
    figure::Figures,
    load::{Basket, Door, Load},
    platform::{self, Platform},
    settled::Lags,
    slice::{Pace, Tally},
    turns::Turns,
};

/// Those whose answers count.
const CUSTOMERS: u16 = 32;

/// Who orders beside them, and what.
const NEIGHBOURS: [(&str, u16, Basket); 3] = [
    // as many again, so that whatever they do that is no trouble shows as well
    ("with as many others", 32, Basket::All),
    // each of them is in flight for 2 s
    ("with 128 slow cards", 128, Basket::SlowCard),
    ("with 2 who order 100 lines", 2, Basket::Huge),
];

/// Slices without others and with each kind of them, in turns.
pub async fn measure(turns: Turns, figures: &mut Figures) -> Result<()> {
    platform::under_load(async |platform| measure_on(platform, turns, figures).await).await
}

async fn measure_on(platform: &Platform, turns: Turns, figures: &mut Figures) -> Result<()> {
    let mut street = Street { load: Load::prepare(platform).await?, lags: Lags::of(platform).await?, platform };
    platform.analyze().await?;
    for _ in 0..3 {
        street.slice(turns, None).await?;
    }
    for _ in turns.cycles() {
        let mut alone = street.slice(turns, None).await?;
        let alone = note("alone", &mut alone, turns, figures);
        for (name, clients, basket) in NEIGHBOURS {
            let mut beside = street.slice(turns, Some((clients, basket))).await?;
            note_against(alone, name, &mut beside, turns, figures);
        }
        let crowd = Crowd::gather(platform.url("gateway")?).await?;
        let mut beside = street.slice(turns, None).await?;
        eprintln!("{} connections say nothing", crowd.open());
        drop(crowd);
        note_against(alone, "with 10,000 who say nothing", &mut beside, turns, figures);
    }
    eprintln!("auditing what all these orders have left behind");
    platform.audit(street.load.journal()?).await
}

/// Notes what came of those whose answers count, and gives p50 and p99 in seconds.
fn note(name: &str, tally: &mut Tally, turns: Turns, figures: &mut Figures) -> [f64; 2] {
    let waits = tally.quantiles([0.5, 0.99]);
    eprintln!("{name}: {} orders, p50 {:?}, p99 {:?}", tally.orders(), waits[0], waits[1]);
    figures.per_second(format!("neighbours, {name}: orders"), tally.orders(), turns.length());
    for (quantile, wait) in ["p50", "p99"].into_iter().zip(waits) {
        figures.milliseconds(format!("neighbours, {name}: answer {quantile}"), wait);
    }
    waits.map(|wait| wait.as_secs_f64())
}

/// As [`note`], and how much longer p50 and p99 are than those alone.
fn note_against(alone: [f64; 2], name: &str, tally: &mut Tally, turns: Turns, figures: &mut Figures) {
    let beside = note(name, tally, turns, figures);
    for (quantile, (beside, alone)) in ["p50", "p99"].into_iter().zip(beside.into_iter().zip(alone)) {
        figures.times(format!("neighbours, {name}: answer {quantile} against alone"), beside / alone);
    }
}

struct Street<'a> {
    platform: &'a Platform,
    load: Load,
    lags: Lags,
}

impl Street<'_> {
    /// A slice of the customers beside these others.
    async fn slice(&mut self, turns: Turns, others: Option<(u16, Basket)>) -> Result<Tally> {
        let customers = self.load.clients(CUSTOMERS, Basket::All, Door::Telephone).await?;
        let (others, basket) = others.unwrap_or((0, Basket::All));
        let others = self.load.clients(others, basket, Door::Telephone).await?;
        let length = turns.length();
        let ((tally, _, acknowledged), (_, _, of_others)) =
            try_join!(customers.order(Pace::Closed, length), others.order(Pace::Closed, length))?;
        self.lags.settled(self.platform).await?;
        self.load.write_down(&acknowledged)?;
        self.load.write_down(&of_others)?;
        Ok(tally)
    }
}
