//! Whose processor time an order takes.

use crate::{
    figure::{Figure, TIMES},
    functions::{IN_KERNEL, OTHERS, SAMPLED},
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

/// A process, as samples were taken of it; microseconds of an order.
pub struct Sampled<'a> {
    pub name: &'a str,
    pub all: f64,
    pub in_kernel: f64,
    /// The functions that take the most, with the most first.
    pub most: Vec<(&'a str, &'a Figure)>,
}

/// How many functions of a process the page shows by themselves.
const MOST: usize = 6;

/// Every process of which samples were taken, the one that takes the most first.
pub fn sampled(report: &Report) -> Vec<Sampled<'_>> {
    let mut processes: Vec<Sampled<'_>> = Vec::new();
    for (name, figure) in report.between(SAMPLED, "") {
        let Some((process, function)) = name.split_once(", ") else { continue };
        if processes.last().is_none_or(|last| last.name != process) {
            processes.push(Sampled { name: process, all: 0.0, in_kernel: 0.0, most: Vec::new() });
        }
        let sampled = processes.last_mut().expect("one was pushed");
        match function {
            IN_KERNEL => sampled.in_kernel = figure.median(),
            OTHERS => sampled.all += figure.median(),
            _ => {
                sampled.all += figure.median();
                sampled.most.push((function, figure));
            }
        }
    }
    for process in &mut processes {
        process.most.sort_by(|(_, one), (_, other)| other.median().total_cmp(&one.median()));
        process.most.truncate(MOST);
    }
    processes.sort_by(|one, other| other.all.total_cmp(&one.all));
    processes
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
