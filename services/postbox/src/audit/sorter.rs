//! Sorting more than fits into memory: runs that are sorted in memory, put into temporary files, and merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// Records of one run, which is all that is in memory.
const RUN_RECORDS: usize = 200_000;

/// Takes records of `N` bytes in any order. They are sorted as bytes, so what counts first comes first in them, and numbers
/// are big-endian.
#[derive(Debug)]
pub struct Sorter<const N: usize> {
    run: Vec<[u8; N]>,
    runs: Vec<File>,
    run_records: usize,
}

impl<const N: usize> Sorter<N> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { run: Vec::new(), runs: Vec::new(), run_records: RUN_RECORDS }
    }

    /// Takes one more record.
    pub fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        self.run.push(record);
        if self.run.len() < self.run_records {
            return Ok(());
        }
        self.run.sort_unstable();
        let mut file = BufWriter::new(tempfile::tempfile()?);
        for record in self.run.drain(..) {
            file.write_all(&record)?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// All of them, sorted.
    pub fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.run.sort_unstable();
        self.run.reverse();
        let mut sorted = Sorted {
            last: self.run,
            runs: self.runs.into_iter().map(BufReader::new).collect(),
            heads: BinaryHeap::new(),
        };
        for run in 0..=sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }
}

/// Sorted records, one after another.
#[derive(Debug)]
pub struct Sorted<const N: usize> {
    /// The run that is still in memory, backwards.
    last: Vec<[u8; N]>,
    runs: Vec<BufReader<File>>,
    /// The next record of each run, with the run's number.
    heads: BinaryHeap<Reverse<([u8; N], usize)>>,
}

impl<const N: usize> Sorted<N> {
    fn advance(&mut self, run: usize) -> io::Result<()> {
        let Some(file) = self.runs.get_mut(run) else {
            self.heads.extend(self.last.pop().map(|record| Reverse((record, run))));
            return Ok(());
        };
        let mut record = [0; N];
        match file.read_exact(&mut record) {
            Ok(()) => self.heads.push(Reverse((record, run))),
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((record, run)) = self.heads.pop()?;
        Some(self.advance(run).map(|()| record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_memory_comes_out_sorted() {
        for records in [0_u32, 1, 9, 10, 11, 1_234] {
            let mut sorter = Sorter::<4> { run_records: 10, ..Sorter::new() };
            for number in 0..records {
                // 7919 is a prime, so every number comes once
                sorter.push((number * 7_919 % records).to_be_bytes()).expect("there is room");
            }
            let numbers: Vec<u32> = sorter
                .sorted()
                .expect("the files can be read")
                .map(|record| u32::from_be_bytes(record.expect("the files can be read")))
                .collect();
            assert_eq!(numbers, (0..records).collect::<Vec<u32>>());
        }
    }
}
