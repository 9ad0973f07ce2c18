//! The cells of the matrix: combinations of a producer's settings.

use std::fmt;

use rdkafka::ClientConfig;

/// How long librdkafka waits for more letters before it sends a batch, in milliseconds.
pub const LINGERS_MS: [u16; 3] = [0, 2, 10];

/// At how many bytes a batch is full. The last is librdkafka's default.
pub const BATCHES_BYTES: [u32; 3] = [16_384, 131_072, 1_000_000];

/// Partitions of the topic; six is what every topic of the platform has.
pub const PARTITIONS: [i32; 2] = [1, contracts::topics::PARTITIONS];

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// Cheap.
    Lz4,
    /// Dense.
    Zstd,
}

impl Compression {
    /// Each kind.
    pub const ALL: [Self; 3] = [Self::None, Self::Lz4, Self::Zstd];
}

/// Whose acknowledgement is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// The leader's: what it loses with its disk is lost.
    One,
    /// That of every replica in sync; from a producer that is idempotent, as the relay's is.
    All,
}

impl Acks {
    /// Each kind.
    pub const ALL: [Self; 2] = [Self::One, Self::All];
}

/// A combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Brokers, each with a copy.
    pub brokers: u16,
    /// Whose acknowledgement is waited for.
    pub acks: Acks,
    /// Of the topic.
    pub partitions: i32,
    /// Of batches.
    pub compression: Compression,
    /// At which a batch is full.
    pub batch_bytes: u32,
    /// Before a batch is sent.
    pub linger_ms: u16,
}

impl Cell {
    /// As the relay is set (`crates/outbox/src/producer.rs`), on as many partitions as the platform's topics have.
    pub const fn relay(brokers: u16) -> Self {
        Self {
            brokers,
            acks: Acks::All,
            partitions: contracts::topics::PARTITIONS,
            compression: Compression::Lz4,
            batch_bytes: 1_000_000,
            linger_ms: 0,
        }
    }

    /// What its figures' names begin with.
    pub fn name(self) -> String {
        let Self { brokers, acks, partitions, compression, batch_bytes, linger_ms } = self;
        format!(
            "kafka, {brokers} broker(s), acks {acks}, {partitions} partition(s), {compression}, batch {batch_bytes} B, \
             linger {linger_ms} ms"
        )
    }

    /// A producer's settings. What is not in the matrix is as the relay has it.
    pub fn config(self, bootstrap: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", (self.acks == Acks::All).to_string())
            .set("acks", self.acks.to_string())
            .set("message.timeout.ms", "0")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", self.linger_ms.to_string())
            .set("batch.size", self.batch_bytes.to_string())
            .set("compression.type", self.compression.to_string());
        config
    }
}

/// All cells of so many brokers. Of three, those that copies make a difference to.
pub fn of(brokers: u16) -> Vec<Cell> {
    let batches: &[u32] = if brokers == 1 { &BATCHES_BYTES } else { &BATCHES_BYTES[2..] };
    let partitions: &[i32] = if brokers == 1 { &PARTITIONS } else { &PARTITIONS[1..] };
    let mut cells = Vec::new();
    for acks in Acks::ALL {
        for &partitions in partitions {
            for compression in Compression::ALL {
                for &batch_bytes in batches {
                    for linger_ms in LINGERS_MS {
                        cells.push(Cell { brokers, acks, partitions, compression, batch_bytes, linger_ms });
                    }
                }
            }
        }
    }
    cells
}

/// The relay's cell of one broker, and in each direction one step away from it.
pub fn few() -> Vec<Cell> {
    let relay = Cell::relay(1);
    vec![
        relay,
        Cell { linger_ms: 10, ..relay },
        Cell { batch_bytes: 16_384, ..relay },
        Cell { compression: Compression::None, ..relay },
        Cell { compression: Compression::Zstd, ..relay },
        Cell { partitions: 1, ..relay },
        Cell { acks: Acks::One, ..relay },
    ]
}

impl fmt::Display for Compression {
    /// As librdkafka calls it.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl fmt::Display for Acks {
    /// As librdkafka calls it.
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::One => "1",
            Self::All => "all",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relays_cell_is_in_the_matrix() {
        for brokers in [1, 3] {
            assert!(of(brokers).contains(&Cell::relay(brokers)));
        }
        assert_eq!(of(1).len(), 108);
        assert_eq!(of(3).len(), 18);
    }
}
