//! The picture of the saga in `ARCHITECTURE.md` is drawn from the table, so it cannot tell another story.

use std::{collections::BTreeMap, fmt::Write};

use order::saga::{Fact, State, Step, next};

const ARCHITECTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ARCHITECTURE.md");

/// Every arrow of the table, in the order of its states: from, to, and the facts that lead there.
fn arrows() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let places: BTreeMap<&str, usize> = State::all().enumerate().map(|(place, state)| (state.name(), place)).collect();
    let mut arrows: BTreeMap<(usize, usize), (&str, &str, Vec<&str>)> = BTreeMap::new();
    for state in State::all() {
        for fact in Fact::all() {
            let Step::Advance(to) = next(state, fact) else { continue };
            let (from, to) = (state.name(), to.name());
            let arrow = arrows.entry((places[from], places[to])).or_insert((from, to, Vec::new()));
            if !arrow.2.contains(&fact.name()) {
                arrow.2.push(fact.name());
            }
        }
    }
    arrows.into_values().collect()
}

fn picture() -> String {
    let mut picture = "```mermaid\nstateDiagram-v2\n    [*] --> AWAITING_STOCK\n".to_owned();
    for (from, to, facts) in arrows() {
        writeln!(picture, "    {from} --> {to}: {}", facts.join(", ")).expect("a string takes all");
    }
    picture.push_str("```\n");
    picture
}

#[test]
fn the_picture_in_architecture_is_the_table() {
    let text = std::fs::read_to_string(ARCHITECTURE).expect("the repository has an ARCHITECTURE.md");
    let picture = picture();
    assert!(text.contains(&picture), "the picture in ARCHITECTURE.md is not the table; this is:\n\n{picture}");
}
