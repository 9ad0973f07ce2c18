//! Orders a second over orders in flight.

use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    coord::combinators::IntoLogRange,
    element::{Circle, PathElement, Rectangle},
    series::LineSeries,
    style::{Color, WHITE},
};

use super::{BLUE, DARK_GREY, GREEN, GRID, ORANGE, RED, SIZE, at_axis, font, svg};
use crate::{figure::Figure, report::Report};

/// The platform, with all products and with one that everybody wants, beside the ceilings.
pub fn plot(report: &Report) -> Option<String> {
    let stack = by_in_flight(report, " in flight: orders");
    let one_sku = by_in_flight(report, " in flight, one SKU: orders");
    let ceilings = [("P1", GREEN), ("P3", ORANGE)];
    let ceilings = ceilings.map(|(way, colour)| (way, colour, report.figure(&format!("{way}, 32 clients: orders"))));
    let most = stack.iter().map(|(_, figure)| figure.highest());
    let most = most.chain(ceilings.iter().filter_map(|(_, _, figure)| Some((*figure)?.highest()))).fold(0.0, f64::max);
    let (first, last) = (stack.first()?.0 / 1.25, stack.last()?.0 * 1.25);
    Some(svg(SIZE, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(14)
            .x_label_area_size(46)
            .y_label_area_size(72)
            .build_cartesian_2d((first..last).log_scale().base(2.0), 0.0..most * 1.08)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_desc("orders in flight")
            .y_desc("orders/s, sustained (median, lowest to highest)")
            .x_label_formatter(&|count| format!("{count:.0}"))
            .y_label_formatter(&at_axis)
            .label_style(font(13))
            .axis_desc_style(font(14))
            .draw()?;
        for (way, colour, figure) in ceilings {
            let Some(figure) = figure else { continue };
            let band = [(first, figure.lowest()), (last, figure.highest())];
            chart.draw_series([Rectangle::new(band, colour.mix(0.18).filled())])?;
            chart
                .draw_series(LineSeries::new(
                    [(first, figure.median()), (last, figure.median())],
                    colour.stroke_width(2),
                ))?
                .label(format!("{way}: only its SQL, 32 clients"))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(2)));
        }
        let lines = [
            ("the platform, 2,000 products", BLUE, &stack),
            ("the platform, one product in every order", RED, &one_sku),
        ];
        for (name, colour, line) in lines {
            if line.is_empty() {
                continue;
            }
            for (in_flight, figure) in line {
                let range = [(*in_flight, figure.lowest()), (*in_flight, figure.highest())];
                chart.draw_series([PathElement::new(range, colour.stroke_width(2))])?;
            }
            let points: Vec<_> = line.iter().map(|(in_flight, figure)| (*in_flight, figure.median())).collect();
            chart
                .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(3)));
            // one is full and one is hollow: they can be told apart without colour
            let ground = if name.contains("2,000") { colour.filled() } else { WHITE.filled() };
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 5, ground)))?;
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 5, colour.stroke_width(2))))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE.mix(0.9))
            .border_style(DARK_GREY)
            .label_font(font(13))
            .draw()
    }))
}

/// Figures that differ in the number of orders in flight, in its order.
fn by_in_flight<'a>(report: &'a Report, after: &'a str) -> Vec<(f64, &'a Figure)> {
    let mut figures: Vec<(f64, &Figure)> =
        report.between("stack, ", after).filter_map(|(number, figure)| Some((number.parse().ok()?, figure))).collect();
    figures.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    figures
}
