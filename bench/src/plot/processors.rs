//! Processor time of an order, stacked by process.

use plotters::{
    chart::{ChartBuilder, SeriesLabelPosition},
    element::{Rectangle, Text},
    style::{
        Color, RGBColor, WHITE,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{BLUE, DARK_GREY, GREEN, GREY, GRID, INK, ORANGE, PURPLE, RED, SIZE, SKY, YELLOW, at_axis, font, svg};
use crate::{
    page::{processes, text},
    report::Report,
};

/// What is stacked, from below: a name, its processes and a colour.
const LAYERS: [(&str, &[&str], RGBColor); 9] = [
    ("Postgres", &["postgres"], BLUE),
    ("order", &["order"], RED),
    ("inventory", &["inventory"], ORANGE),
    ("payment", &["payment"], YELLOW),
    ("gateway", &["gateway"], GREEN),
    ("followers and accounts", &["accounts", "shipping", "notification", "analytics"], SKY),
    ("Kafka", &["kafka"], PURPLE),
    ("psp: the card network, outside", &["psp"], GREY),
    ("load generator, outside", &["load generator"], DARK_GREY),
];

/// A bar for each number of orders in flight, and one for each ceiling.
pub fn plot(report: &Report) -> Option<String> {
    let bars = bars(report);
    let most = bars.iter().map(|(_, layers)| layers.iter().sum()).fold(0.0, f64::max);
    (most > 0.0).then(|| {
        svg(SIZE, |area| {
            #[expect(clippy::cast_precision_loss, reason = "there are few bars")]
            // to the right of the bars there is room for what the colours mean
            let width = bars.len() as f64 * 1.62;
            let mut chart = ChartBuilder::on(area)
                .margin(14)
                .x_label_area_size(46)
                .y_label_area_size(72)
                .build_cartesian_2d(-0.5..width, 0.0..most * 1.1)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .disable_x_axis()
                .light_line_style(WHITE)
                .bold_line_style(GRID)
                .y_desc("processor time of an order, µs (medians)")
                .y_label_formatter(&at_axis)
                .label_style(font(13))
                .axis_desc_style(font(14))
                .draw()?;
            let mut lower = vec![0.0; bars.len()];
            for (layer, (name, _, colour)) in LAYERS.iter().enumerate() {
                let boxes: Vec<_> = (0_u8..)
                    .zip(&bars)
                    .zip(&mut lower)
                    .map(|((place, (_, layers)), lower)| {
                        let (from, to) = (*lower, *lower + layers[layer]);
                        *lower = to;
                        (f64::from(place), from, to)
                    })
                    .collect();
                let body = |&(x, from, to): &(f64, f64, f64)| {
                    Rectangle::new([(x - 0.36, from), (x + 0.36, to)], colour.filled())
                };
                chart
                    .draw_series(boxes.iter().map(body))?
                    .label(*name)
                    .legend(move |(x, y)| Rectangle::new([(x + 4, y - 6), (x + 18, y + 6)], colour.filled()));
                let edge = |&(x, from, to): &(f64, f64, f64)| {
                    Rectangle::new([(x - 0.36, from), (x + 0.36, to)], WHITE.stroke_width(1))
                };
                chart.draw_series(boxes.iter().map(edge))?;
            }
            let above = font(13).pos(Pos::new(HPos::Center, VPos::Bottom));
            let below = font(13).pos(Pos::new(HPos::Center, VPos::Top));
            for (place, ((name, _), height)) in (0_u8..).zip(bars.iter().zip(&lower)) {
                let x = f64::from(place);
                chart.draw_series([Text::new(text::number(*height), (x, *height + most * 0.012), above.clone())])?;
                let (pixel_x, pixel_y) = chart.backend_coord(&(x, 0.0));
                area.draw(&Text::new(name.clone(), (pixel_x, pixel_y + 8), below.clone()))?;
            }
            let (pixel_x, pixel_y) =
                chart.backend_coord(&((f64::from(u8::try_from(bars.len()).unwrap_or(u8::MAX)) - 1.0) / 2.0, 0.0));
            area.draw(&Text::new(
                "orders in flight; P1 and P3: only the SQL",
                (pixel_x, pixel_y + 30),
                font(14).pos(Pos::new(HPos::Center, VPos::Top)),
            ))?;
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperRight)
                .background_style(WHITE.mix(0.9))
                .border_style(INK.mix(0.0))
                .label_font(font(13))
                .draw()
        })
    })
}

/// The bars' names, and how high each of their layers is.
fn bars(report: &Report) -> Vec<(String, [f64; LAYERS.len()])> {
    let mut in_flight: Vec<u16> =
        report.between("stack, ", " in flight: orders").filter_map(|(number, _)| number.parse().ok()).collect();
    in_flight.sort_unstable();
    let stack = in_flight.iter().map(|number| (number.to_string(), format!("stack, {number} in flight")));
    let ceilings = ["P1", "P3"].map(|way| (way.to_owned(), format!("{way}, 32 clients")));
    let sides = stack.chain(ceilings).map(|(name, side)| {
        let each = processes::each(report, &side);
        let layer = |processes: &[&str]| {
            each.iter().filter(|(who, _)| processes.contains(who)).map(|(_, figure)| figure.median()).sum()
        };
        (name, LAYERS.map(|(_, processes, _)| layer(processes)))
    });
    sides.filter(|(_, layers)| layers.iter().any(|layer| *layer > 0.0)).collect()
}
