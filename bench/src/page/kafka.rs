//! What the matrix of settings says about those that were chosen.

use crate::{
    figure::Figure,
    kafka::{
        cell::{self, Acks, Cell, Compression},
        reading::Patience,
    },
    page::text::{self, NOT_MEASURED, median},
    report::Report,
};

/// A setting that gives so many times as many letters, or an acknowledgement in so small a part of the time, is a better one; less
/// is noise.
const BETTER: f64 = 1.15;

/// Why the relay and the consumers are set as they are, in the figures' words.
pub fn words(report: &Report) -> String {
    let relay = Cell::relay(1);
    if report.figure(&name(relay, LETTERS)).is_none() {
        return format!("What the settings of Kafka do is {NOT_MEASURED}.\n");
    }
    let mut text = format!(
        "Letters are those of completed orders with two lines, in rounds: the next leaves when the one before is acknowledged, as the relay \
         does it. Once as fast as it goes, in rounds of 2,000; once as they become due at 4,000 a second. The relay (framed) writes \
         {}, and there a letter is acknowledged after {} at the median and {} at p99. Against it, one setting changed at a time:\n\n",
        of(report, relay, LETTERS),
        of(report, relay, P50),
        of(report, relay, P99),
    );
    text += &text::table(
        ["setting", "letters", "acknowledged p50", "acknowledged p99"],
        steps().into_iter().map(|(says, cell)| {
            [says.to_owned(), of(report, cell, LETTERS), of(report, cell, P50), of(report, cell, P99)]
        }),
    );
    text.push('\n');
    text += REASONS;
    text += &others(report);
    text += &copies(report);
    text += &patience(report);
    text
}

const LETTERS: &str = "letters";
const P50: &str = "acknowledged p50";
const P99: &str = "acknowledged p99";

const REASONS: &str = "\
- **Linger 0.** A round is handed over as a whole, so there is nothing to wait for; whatever librdkafka waits is added to every round.
- **Batches as large as librdkafka takes them** (1 MB): a round of 2,000 letters is less than that for each partition, so it leaves in as few \
  requests as it can.
- **lz4.** The letters of a round are alike, and stay on the brokers' disks for a month. It costs the relay processor time and saves the broker some.
- **All acknowledgements, idempotent.** Not a matter of speed: with less, a letter that was marked as published could be lost, or come twice and \
  out of order.
- **Six partitions**, so that up to six processes of a group share the work. One partition makes larger batches; order would allow it no less.

";

/// The relay's settings, and those one step away.
fn steps() -> Vec<(&'static str, Cell)> {
    let relay = Cell::relay(1);
    vec![
        ("as the relay is set", relay),
        ("linger 2 ms", Cell { linger_ms: 2, ..relay }),
        ("linger 10 ms", Cell { linger_ms: 10, ..relay }),
        ("batches of 16 kB", Cell { batch_bytes: 16_384, ..relay }),
        ("batches of 131 kB", Cell { batch_bytes: 131_072, ..relay }),
        ("not compressed", Cell { compression: Compression::None, ..relay }),
        ("zstd", Cell { compression: Compression::Zstd, ..relay }),
        ("one partition", Cell { partitions: 1, ..relay }),
        ("acks 1, not idempotent", Cell { acks: Acks::One, ..relay }),
    ]
}

/// Whether other settings, that keep what the platform promises, do better.
fn others(report: &Report) -> String {
    let relay = Cell::relay(1);
    let free: Vec<Cell> = cell::of(1)
        .into_iter()
        .filter(|cell| (cell.acks, cell.partitions) == (relay.acks, relay.partitions) && *cell != relay)
        .collect();
    let measured = |cell: &Cell, what| Some(report.figure(&name(*cell, what))?.median());
    let gain = |cell: &Cell| {
        let more = measured(cell, LETTERS)? / measured(&relay, LETTERS)?;
        let sooner = measured(&relay, P99)? / measured(cell, P99)?;
        Some((more, sooner))
    };
    let gains = free.iter().filter_map(|cell| Some((cell, gain(cell)?)));
    // better in one and not clearly worse in the other
    let better = gains.filter(|(_, (more, sooner))| more.max(*sooner) > BETTER && more.min(*sooner) > 1.0 / BETTER);
    let best = better.max_by(|(_, (more, sooner)), (_, (other_more, other_sooner))| {
        (more * sooner).total_cmp(&(other_more * other_sooner))
    });
    match best {
        None => format!(
            "No other linger, batch size or compression with the same acknowledgements and partitions gives {BETTER} times as many letters, or as soon an \
             acknowledgement, without being as much worse in the other.\n\n"
        ),
        Some((cell, (more, sooner))) => format!(
            "**The matrix suggests another setting**: {}, batches of {} B, linger {} ms gives {} as many letters, and its p99 is {} as soon. \
             The relay stays as it is until that is seen in orders as well.\n\n",
            cell.compression,
            text::number(cell.batch_bytes.into()),
            cell.linger_ms,
            text::with_unit(more, crate::figure::TIMES),
            text::with_unit(sooner, crate::figure::TIMES),
        ),
    }
}

/// What copies on other brokers cost.
fn copies(report: &Report) -> String {
    let (one, three) = (Cell::relay(1), Cell::relay(3));
    let unsafely = Cell { acks: Acks::One, ..three };
    format!(
        "With three brokers on the same two processors, each letter on all three and acknowledged by two at the least, the relay's settings give {} \
         (with one broker {}) and a p99 of {}; with the leader's acknowledgement alone, {} and {}.\n\n",
        of(report, three, LETTERS),
        of(report, one, LETTERS),
        of(report, three, P99),
        of(report, unsafely, LETTERS),
        of(report, unsafely, P99),
    )
}

/// What the consumers' patience costs and saves.
fn patience(report: &Report) -> String {
    let chosen = Patience::CONSUMER;
    let figure = |patience: Patience, what: &str| report.figure(&format!("{}: {what}", patience.name()));
    let text = format!(
        "The platform's consumers let the broker keep letters back until there are {} B of them, {} ms at the most: nobody waits for a follower, \
         and each of its answers is work for the broker and for whoever reads, with every group of a topic. At 1,000 letters a second:\n\n",
        text::number(chosen.bytes.into()),
        chosen.wait_ms,
    );
    let table = text::table(
        ["the broker answers", "letter there p50", "letter there p99", "processor time of the broker for a letter"],
        Patience::all().into_iter().map(|patience| {
            let says = match patience.bytes {
                1 => "at the first letter".to_owned(),
                _ if patience == chosen => format!("after {} ms (chosen)", patience.wait_ms),
                _ => format!("after {} ms", patience.wait_ms),
            };
            let of = |what| spread(figure(patience, what));
            [says, of("letter there p50"), of("letter there p99"), of("processor time of the broker for a letter")]
        }),
    );
    let eager = Patience::all()[0];
    let saved = "processor time of the broker for a letter";
    format!(
        "{text}{table}\nOne reader at the first letter takes {} of the broker's processor time for a letter, with the chosen patience {}; there are about \
         ten groups.\n",
        median(figure(eager, saved)),
        median(figure(chosen, saved)),
    )
}

fn name(cell: Cell, what: &str) -> String {
    format!("{}: {what}", cell.name())
}

fn of(report: &Report, cell: Cell, what: &str) -> String {
    spread(report.figure(&name(cell, what)))
}

fn spread(figure: Option<&Figure>) -> String {
    figure.map_or_else(|| NOT_MEASURED.to_owned(), text::spread)
}
