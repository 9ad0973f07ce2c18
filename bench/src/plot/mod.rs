//! Plots, as SVG. What they have in common: a white ground, so that they can be read on a dark page as well; axes with units;
//! colours that people with any kind of colour vision tell apart (after Okabe and Ito), on lines that differ in their marks as well.

pub mod answers;
pub mod kafka;
pub mod orders;
pub mod processors;

use plotters::{
    coord::Shift,
    prelude::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea, RGBColor, SVGBackend, WHITE},
    style::{FontFamily, IntoFont, TextStyle},
};

use crate::page::text;

const BLUE: RGBColor = RGBColor(0, 114, 178);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const RED: RGBColor = RGBColor(213, 94, 0);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const SKY: RGBColor = RGBColor(86, 180, 233);
const YELLOW: RGBColor = RGBColor(240, 228, 66);
const INK: RGBColor = RGBColor(34, 34, 34);
const DARK_GREY: RGBColor = RGBColor(102, 102, 102);
const GREY: RGBColor = RGBColor(187, 187, 187);
const GRID: RGBColor = RGBColor(225, 225, 225);

const SIZE: (u32, u32) = (860, 460);

/// Somewhere to draw.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Draws on white.
fn svg(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).and_then(|()| draw(&area)).and_then(|()| area.present())
    };
    // it is text in memory, and every coordinate is a number
    drawn.expect("an SVG can be drawn");
    text
}

fn font(size: u32) -> TextStyle<'static> {
    (FontFamily::SansSerif, size).into_font().color(&INK)
}

/// A number at an axis, without digits that say nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as plotters wants it")]
fn at_axis(value: &f64) -> String {
    let text = text::number(*value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
