//! Kill points have names of their own, and one page lists them all.

use std::collections::BTreeSet;

use journeys::{
    kill_points,
    repository::{root, text},
};

const PAGE: &str = "docs/tour/kill-points.md";

#[test]
fn a_name_stands_in_one_place() {
    let points = kill_points::all();
    for pair in points.windows(2) {
        let [one, other] = pair else { unreachable!("windows of two") };
        assert!(one.name != other.name, "{} is in {} and in {}", one.name, one.file, other.file);
    }
}

#[test]
fn a_name_says_whose_it_is_and_on_which_side_of_the_commit() {
    for point in kill_points::all() {
        let mut parts = point.name.split('.');
        let (owner, step, side) = (parts.next(), parts.next(), parts.next());
        let is_whole = step.is_some_and(|step| !step.is_empty()) && parts.next().is_none();
        let is_there = owner.is_some_and(|owner| point.file.split('/').nth(1) == Some(owner));
        let has_side = matches!(side, Some("before-commit" | "after-commit"));
        assert!(is_whole && is_there && has_side, "{} in {}", point.name, point.file);
    }
}

#[test]
fn the_page_lists_every_point_and_no_other() {
    let page = text(&root().join(PAGE));
    // the tables: prose may name a point as well
    let cells = page.lines().filter(|line| line.starts_with('|')).flat_map(|line| line.split('|'));
    let listed = cells.filter_map(|cell| cell.trim().strip_prefix('`')?.strip_suffix("-commit`"));
    let listed: BTreeSet<String> = listed.map(|name| format!("{name}-commit")).collect();
    let there: BTreeSet<String> = kill_points::all().into_iter().map(|point| point.name).collect();
    let missing: Vec<_> = there.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(missing.is_empty(), "put these into {PAGE}: {missing:?}");
    assert!(gone.is_empty(), "take these out of {PAGE}: {gone:?}");
}
