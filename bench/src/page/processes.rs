//! Whose processor time an order takes.

use crate::{
    figure::{Figure, TIMES},
    page::goals::best,
    processor::{KAFKA, LOAD, POSTGRES},
    report::Report,
};

/// The outside world: it stands for a card network.
const PSP: &str = "psp";

/// The processor time of an order, by process, with so many orders in flight, or of a ceiling.
pub fn each<'a>(report: &'a Report, side: &str) -> Vec<(&'a str, &'a Figure)> {
    let prefix = format!("{side}: processor time of an order, ");
    report
        .runs()
        .iter()
        .flat_map(|run| run.figures.iter())
        .filter_map(|figure| Some((figure.name().strip_prefix(&prefix)?, figure)))
        .collect()
}

/// The side of the platform that took the most orders a second.
pub fn best_side(report: &Report) -> Option<String> {
    let best = best(report, "stack, ", " in flight: orders")?;
    best.name().strip_suffix(": orders").map(str::to_owned)
}

/// True for the platform's own services.
pub fn is_ours(who: &str) -> bool {
    ![POSTGRES, KAFKA, LOAD, PSP].contains(&who)
}

/// Where the platform took the most orders: what its own services use for an order, for what Postgres uses.
pub fn ours_against_postgres(report: &Report) -> Option<Figure> {
    let each = each(report, &best_side(report)?);
    let (_, postgres) = each.iter().find(|(who, _)| *who == POSTGRES)?;
    let ratios = postgres.samples().iter().enumerate().filter_map(|(cycle, postgres)| {
        let ours = each.iter().filter(|(who, _)| is_ours(who)).map(|(_, figure)| figure.samples().get(cycle));
        Some(ours.sum::<Option<f64>>()? / postgres)
    });
    Figure::derived("processor time of our services, against Postgres", TIMES, ratios)
}
