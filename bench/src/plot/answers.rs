//! How long an answer takes, over steady rates.

use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::combinators::IntoLogRange,
    element::{Circle, PathElement},
    series::{DashedLineSeries, LineSeries},
    style::{Color, WHITE},
};

use super::{BLUE, DARK_GREY, GRID, ORANGE, RED, SIZE, at_axis, font, svg};
use crate::{figure::Figure, report::Report};

/// The platform, and P3 at the same rates.
pub fn plot(report: &Report) -> Option<String> {
    let quantiles = [("p50", BLUE), ("p99", ORANGE), ("p99.9", RED)];
    let lines = quantiles.map(|(quantile, colour)| {
        let [stack, p3] =
            [("stack", "its"), ("P3", "the stack's")].map(|(side, whose)| line(report, side, whose, quantile));
        (quantile, colour, stack, p3)
    });
    let figures = || lines.iter().flat_map(|(_, _, stack, p3)| stack.iter().chain(p3));
    let rates = || figures().map(|(rate, _)| *rate);
    let (slowest, fastest) = (rates().reduce(f64::min)?, rates().reduce(f64::max)?);
    let least = figures().map(|(_, figure)| figure.lowest()).fold(f64::INFINITY, f64::min);
    let most = figures().map(|(_, figure)| figure.highest()).fold(0.0, f64::max);
    Some(svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(72)
            .build_cartesian_2d(slowest * 0.8..fastest * 1.1, (least * 0.7..most * 1.6).log_scale().base(2.0))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc("orders/s, steady")
            .y_desc("answer, ms (median of the slices, lowest to highest)")
            .x_label_formatter(&at_axis)
            .y_label_formatter(&at_axis)
            .label_style(font(13))
            .axis_desc_style(font(14))
            .draw()?;
        for (quantile, colour, stack, p3) in &lines {
            for (rate, figure) in stack {
                let range = [(*rate, figure.lowest()), (*rate, figure.highest())];
                chart.draw_series([PathElement::new(range, colour.stroke_width(2))])?;
            }
            let points = |line: &[(f64, &Figure)]| -> Vec<_> {
                line.iter().map(|(rate, figure)| (*rate, figure.median())).collect()
            };
            let colour = *colour;
            chart
                .draw_series(LineSeries::new(points(stack), colour.stroke_width(2)))?
                .label(format!("the platform, {quantile}"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
            chart.draw_series(points(stack).into_iter().map(|point| Circle::new(point, 5, colour.filled())))?;
            chart
                .draw_series(DashedLineSeries::new(points(p3), 5, 4, colour.stroke_width(2)))?
                .label(format!("P3, {quantile}"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 8, y)], colour.stroke_width(2)));
            chart.draw_series(points(p3).into_iter().map(|point| Circle::new(point, 4, WHITE.filled())))?;
            chart.draw_series(points(p3).into_iter().map(|point| Circle::new(point, 4, colour.stroke_width(2))))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.9))
            .border_style(DARK_GREY)
            .label_font(font(13))
            .draw()
    }))
}

/// The rates, with how long answers took.
fn line<'a>(report: &'a Report, side: &str, whose: &str, quantile: &str) -> Vec<(f64, &'a Figure)> {
    let (before, after) = (format!("{side}, at "), format!(" % of {whose} peak: answer {quantile}"));
    let figures = report.runs().iter().flat_map(|run| run.figures.iter());
    let mut line: Vec<(f64, &Figure)> = figures
        .filter_map(|figure| {
            let percent = figure.name().strip_prefix(&before)?.strip_suffix(&after)?;
            Some((report.figure(&format!("stack, at {percent} % of its peak: rate"))?.median(), figure))
        })
        .collect();
    line.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    line
}
