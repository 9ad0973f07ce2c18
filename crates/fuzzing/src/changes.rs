//! Inputs made of inputs: each is one that was known, changed in a few places. What is almost right gets further than noise.

use rand::{RngExt, SeedableRng, rngs::SmallRng};

/// The longest input that is made, in bytes.
const BYTES_MAX: usize = 4096;

/// The most changes of one input.
const CHANGES_MAX: usize = 4;

/// What has been somebody's mistake before.
const ODD: [&[u8]; 28] = [
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\"",
    b"\\",
    b",",
    b";",
    b"=",
    b"/",
    b"%00",
    b"\xff",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"-1",
    b"+1",
    b"00",
    b"1e309",
    b"0.0",
    b"9223372036854775807",
    b"9223372036854775808",
    b"null",
    b"[",
    b"{}",
    b"\\ud800",
    "\u{202e}ä\u{1f600}".as_bytes(),
];

/// An endless row of inputs, the same ones for the same known inputs.
#[derive(Debug)]
pub struct Changes {
    known: Vec<Vec<u8>>,
    /// Pieces that may stand elsewhere as well.
    words: Vec<Vec<u8>>,
    random: SmallRng,
}

impl Changes {
    /// Of these; of nothing, when there are none.
    pub fn of(mut known: Vec<Vec<u8>>) -> Self {
        let mut words: Vec<Vec<u8>> = ODD.iter().map(|odd| odd.to_vec()).collect();
        for input in &known {
            words.extend(
                input.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(<[u8]>::to_vec),
            );
        }
        if known.is_empty() {
            known.push(Vec::new());
        }
        Self { known, words, random: SmallRng::seed_from_u64(1) }
    }

    /// One of `0..end`; 0 when there is none.
    fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.random.random_range(0..end) }
    }

    /// A range of `0..end`, most often a short one.
    fn range(&mut self, end: usize) -> std::ops::Range<usize> {
        let (first, longest) = (self.below(end), self.below(end.min(64)) + 1);
        first..(first + longest).min(end)
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let (at, range) = (self.below(input.len() + 1), self.range(input.len()));
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.random.random(),
            0..=2 => {
                let word = self.below(self.words.len());
                input.splice(at..at, self.words[word].iter().copied());
            }
            3 => {
                let word = self.below(self.words.len());
                input.splice(range, self.words[word].iter().copied());
            }
            4 => drop(input.drain(range)),
            5 => {
                let piece = input[range].to_vec();
                input.splice(at..at, piece);
            }
            6 => input.truncate(at),
            _ => {
                let other = self.below(self.known.len());
                let from = self.below(self.known[other].len());
                input.truncate(at);
                input.extend_from_slice(&self.known[other][from..]);
            }
        }
        input.truncate(BYTES_MAX);
    }
}

impl Iterator for Changes {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let begin = self.below(self.known.len());
        let mut input = self.known[begin].clone();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn inputs_are_many_and_none_is_too_long() {
        let known = vec![b"{\"sku\":\"mug\",\"quantity\":2}".to_vec(), vec![b'x'; 2 * BYTES_MAX]];
        let made: BTreeSet<_> = Changes::of(known).take(1_000).collect();
        assert!(made.len() > 500, "{} different inputs of 1,000", made.len());
        assert!(made.iter().all(|input| input.len() <= BYTES_MAX));
    }

    #[test]
    fn something_is_made_of_nothing() {
        assert!(Changes::of(Vec::new()).take(100).any(|input| !input.is_empty()));
    }
}
