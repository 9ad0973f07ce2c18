//! How far back a repeated audit looks into history. What was written long ago and was found right stays right, so a watch
//! does not read all letters again each time.

/// How much earlier than the last audit its history begins again: so long a letter may be on its way without any harm. One that
/// takes longer is looked at on its own.
pub const MARGIN_SECONDS: f64 = 300.0;

/// Up to when history was found right.
#[derive(Debug, Clone, Copy, Default)]
pub struct Watermark {
    /// When that audit began, in seconds since 1970.
    found_right: Option<f64>,
}

/// From when history is read, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct History {
    /// What the services committed and made. Earlier than the letters: so that each letter finds what it comes from.
    pub rows: f64,
    /// What was put on topics.
    pub letters: f64,
}

impl Watermark {
    /// From when an audit reads history; `None`: all of it.
    pub fn history(self) -> Option<History> {
        let found_right = self.found_right?;
        Some(History { rows: found_right - 2.0 * MARGIN_SECONDS, letters: found_right - MARGIN_SECONDS })
    }

    /// An audit that began then found history right. One that did not leaves the mark where it was, so that what is wrong is
    /// seen until it is mended.
    pub fn rise_to(&mut self, began: f64) {
        self.found_right = Some(began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_audit_reads_all_and_the_next_a_little_more_than_what_is_new() {
        let mut watermark = Watermark::default();
        assert_eq!(watermark.history(), None);
        watermark.rise_to(1_000.0);
        assert_eq!(watermark.history(), Some(History { rows: 400.0, letters: 700.0 }));
    }
}
