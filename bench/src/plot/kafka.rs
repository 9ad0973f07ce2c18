//! The matrix of a producer's settings, as small heat maps.

use plotters::{
    element::{PathElement, Rectangle, Text},
    style::{
        BLACK, Color, RGBColor, WHITE,
        colors::colormaps::{ColorMap, ViridisRGB},
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{Area, Drawn, GREY, RED, font, svg};
use crate::{
    kafka::cell::{Acks, BATCHES_BYTES, Cell, Compression, LINGERS_MS, PARTITIONS},
    page::text,
    report::Report,
};

const CELL: (i32, i32) = (54, 30);
const GAP: (i32, i32) = (26, 30);
const LEFT: i32 = 142;
const TOP: i32 = 92;

/// What of the cells is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Letters a second: the more the better.
    Letters,
    /// The p99 of acknowledgements: the sooner the better.
    P99,
}

impl What {
    fn value(self, report: &Report, cell: Cell) -> Option<f64> {
        let what = match self {
            Self::Letters => "letters",
            Self::P99 => "acknowledged p99",
        };
        Some(report.figure(&format!("{}: {what}", cell.name()))?.median())
    }

    fn title(self) -> &'static str {
        match self {
            Self::Letters => "Letters a second at full speed, in thousands",
            Self::P99 => "p99 from when a letter is due to its acknowledgement, in ms, at 4,000 letters/s",
        }
    }

    fn label(self, value: f64) -> String {
        match self {
            Self::Letters => text::number(value / 1_000.0),
            Self::P99 => text::number(value),
        }
    }

    /// Where on the scale from 0, the worst, to 1.
    fn score(self, value: f64, (least, most): (f64, f64)) -> f64 {
        // a factor looks the same everywhere
        let share = (value / least).ln() / (most / least).ln().max(f64::EPSILON);
        match self {
            Self::Letters => share,
            Self::P99 => 1.0 - share,
        }
    }
}

/// A panel for each compression (downwards), and each cluster, acknowledgement and number of partitions (to the right); in each
/// panel batches (downwards) and lingers (to the right).
pub fn plot(report: &Report, what: What) -> Option<String> {
    let columns = columns(report);
    let values = columns.iter().flat_map(|&column| rows(column)).flatten().filter_map(|cell| what.value(report, cell));
    let values: Vec<f64> = values.collect();
    let range = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    let panel = (CELL.0 * count(&LINGERS_MS), CELL.1 * count(&BATCHES_BYTES));
    let width = LEFT + (panel.0 + GAP.0) * count(&columns);
    let height = TOP + (panel.1 + GAP.1) * count(&Compression::ALL) + 20;
    let size = (width.unsigned_abs(), height.unsigned_abs());
    Some(svg(size, |area| {
        let middle = font(13).pos(Pos::new(HPos::Center, VPos::Center));
        area.draw(&Text::new(what.title(), (14, 14), font(16)))?;
        let relay = "linger to the right, batch size downwards; framed: the relay's settings; yellow is better; empty: not measured";
        area.draw(&Text::new(relay, (14, 36), font(12)))?;
        for (place, column) in (0..).zip(&columns) {
            let x = LEFT + place * (panel.0 + GAP.0);
            let brokers =
                if column.brokers == 1 { "1 broker".to_owned() } else { format!("{} brokers", column.brokers) };
            let head = format!("{brokers}, acks {}, {} part.", column.acks, column.partitions);
            area.draw(&Text::new(head, (x + panel.0 / 2, TOP - 14), middle.clone()))?;
            for (row, compression) in (0..).zip(Compression::ALL) {
                let y = TOP + row * (panel.1 + GAP.1);
                if place == 0 {
                    area.draw(&Text::new(compression.to_string(), (14, y + panel.1 / 2 - 8), font(14)))?;
                    labels(area, y)?;
                }
                for (down, batch_bytes) in (0..).zip(BATCHES_BYTES) {
                    for (right, linger_ms) in (0..).zip(LINGERS_MS) {
                        let cell = Cell { compression, batch_bytes, linger_ms, ..*column };
                        let at = (x + right * CELL.0, y + down * CELL.1);
                        draw(
                            area,
                            at,
                            what.value(report, cell).map(|value| (what.label(value), what.score(value, range))),
                        )?;
                        if cell == Cell::relay(cell.brokers) {
                            frame(area, at)?;
                        }
                    }
                }
                for (right, linger_ms) in (0..).zip(LINGERS_MS) {
                    let at = (x + right * CELL.0 + CELL.0 / 2, y + panel.1 + 9);
                    area.draw(&Text::new(
                        format!("{linger_ms} ms"),
                        at,
                        font(11).pos(Pos::new(HPos::Center, VPos::Center)),
                    ))?;
                }
            }
        }
        Ok(())
    }))
}

/// What the rows of the first panel are.
fn labels(area: &Area<'_>, y: i32) -> Drawn {
    for (down, bytes) in (0..).zip(BATCHES_BYTES) {
        let at = (LEFT - 8, y + down * CELL.1 + CELL.1 / 2);
        let label = format!("batch {} kB", text::number(f64::from(bytes) / 1_000.0).trim_end_matches(".0"));
        area.draw(&Text::new(label, at, font(11).pos(Pos::new(HPos::Right, VPos::Center))))?;
    }
    Ok(())
}

/// Around a cell.
fn frame(area: &Area<'_>, (x, y): (i32, i32)) -> Drawn {
    let (right, lower) = (x + CELL.0 - 2, y + CELL.1 - 2);
    // the last side goes on for a bit, so that the corner where it began is a corner
    let corners = [(x, y), (right, y), (right, lower), (x, lower), (x, y - 1)];
    area.draw(&PathElement::new(corners, RED.stroke_width(4)))
}

fn draw(area: &Area<'_>, at: (i32, i32), value: Option<(String, f64)>) -> Drawn {
    let corners = [at, (at.0 + CELL.0 - 2, at.1 + CELL.1 - 2)];
    let Some((label, score)) = value else {
        return area.draw(&Rectangle::new(corners, GREY.stroke_width(1)));
    };
    let RGBColor(red, green, blue) = ViridisRGB.get_color_normalized(score, 0.0, 1.0);
    area.draw(&Rectangle::new(corners, RGBColor(red, green, blue).filled()))?;
    let ink = if green > 125 { &BLACK } else { &WHITE };
    let style = font(13).color(ink).pos(Pos::new(HPos::Center, VPos::Center));
    area.draw(&Text::new(label, (at.0 + CELL.0 / 2 - 1, at.1 + CELL.1 / 2), style))
}

/// What is the same in a panel, for each that has a cell.
fn columns(report: &Report) -> Vec<Cell> {
    let mut columns = Vec::new();
    for brokers in [1, 3] {
        for acks in Acks::ALL {
            for partitions in PARTITIONS {
                columns.push(Cell { acks, partitions, ..Cell::relay(brokers) });
            }
        }
    }
    columns.retain(|&column| rows(column).iter().flatten().any(|&cell| What::Letters.value(report, cell).is_some()));
    columns
}

/// The cells of a column, panel by panel.
fn rows(column: Cell) -> Vec<Vec<Cell>> {
    let panel = |compression| {
        let batches = BATCHES_BYTES.into_iter();
        batches
            .flat_map(|batch_bytes| LINGERS_MS.map(|linger_ms| Cell { compression, batch_bytes, linger_ms, ..column }))
            .collect()
    };
    Compression::ALL.map(panel).into()
}

fn count<T>(all: &[T]) -> i32 {
    i32::try_from(all.len()).expect("there are few")
}
