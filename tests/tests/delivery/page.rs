//! The tables of the page.

use crate::count::Row;

/// Panics unless the page has a table whose first column is called `first_column`, with just these rows.
pub fn assert_states(page: &str, first_column: &str, measured: &[Row]) {
    let measured: Vec<String> = measured.iter().map(line).collect();
    let stated = rows(page, first_column);
    assert!(
        stated == measured,
        "the page states:\n{}\n\nthis is what happened:\n{}\n",
        stated.join("\n"),
        measured.join("\n")
    );
}

/// The rows of that table, as they are written.
fn rows(page: &str, first_column: &str) -> Vec<String> {
    let head = format!("| {first_column} |");
    let from_head = page.lines().skip_while(|line| !line.starts_with(&head));
    let table = from_head.take_while(|line| line.starts_with('|'));
    // the head and the line below it
    table.skip(2).map(str::to_owned).collect()
}

fn line(row: &Row) -> String {
    let figures: Vec<String> = row.figures.iter().map(usize::to_string).collect();
    format!("| {} | {} | {} |", row.who, row.moment, figures.join(" | "))
}

#[test]
fn a_table_is_found_by_its_first_column() {
    let page = "| a | b |\n|---|---|\n| 1 | 2 |\n\n| consumer | moment | n |\n|---|---|---|\n| x | y | 3 |\ntext\n";
    assert_states(page, "consumer", &[Row { who: "x", moment: "y", figures: vec![3] }]);
}
