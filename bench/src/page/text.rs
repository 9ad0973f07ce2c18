//! Numbers as people read them.

use crate::figure::{Figure, TIMES};

/// What the page says of what is not in the figures.
pub const NOT_MEASURED: &str = "not measured in this run";

/// The median with its unit, and between what it was.
pub fn spread(figure: &Figure) -> String {
    let median = with_unit(figure.median(), figure.unit());
    match figure.samples().len() {
        1 => median,
        _ => format!("{median} ({} – {})", number(figure.lowest()), number(figure.highest())),
    }
}

/// The median with its unit, or that there is none.
pub fn median(figure: Option<&Figure>) -> String {
    figure.map_or_else(|| NOT_MEASURED.to_owned(), |figure| with_unit(figure.median(), figure.unit()))
}

/// A value with its unit.
pub fn with_unit(value: f64, unit: &str) -> String {
    let value = number(value);
    match unit {
        "" => value,
        "1/s" => format!("{value}/s"),
        TIMES => format!("{value} {TIMES}"),
        unit => format!("{value} {unit}"),
    }
}

/// Three digits, or all before the point.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        0.1.. | 0.0 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let thousands: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).expect("digits")).collect();
    let whole = format!("{sign}{}", thousands.join(","));
    rest.map_or(whole.clone(), |rest| format!("{whole}.{rest}"))
}

/// A table, its first column to the left and the others to the right.
pub fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: [&str; N]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head);
    text.push_str("|---|");
    text.push_str(&"--:|".repeat(N - 1));
    text.push('\n');
    for row in rows {
        text.push_str(&line(row.each_ref().map(String::as_str)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_matter() {
        let read = [12_345.67, 123.4, 12.34, 1.234, 0.1234, 0.000_12, 0.0, -1_234.0].map(number);
        assert_eq!(read, ["12,346", "123", "12.3", "1.23", "0.12", "0.0001", "0.00", "-1,234"]);
    }
}
