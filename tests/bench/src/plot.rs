//! Line charts as SVG text. Pure; knows nothing of what it draws.

use std::fmt::Write as _;

/// Size of a chart and the room around its plot, in SVG units.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// In equal steps.
    Linear,
    /// In equal factors; values below the axis' lower end lie on it.
    Logarithmic,
}

/// One axis. Its ends are its first and last tick.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// How.
    pub scale: Scale,
    /// Values that are marked, in order; at least two.
    pub ticks: Vec<f64>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Colour, as SVG has it.
    pub colour: &'static str,
    /// Whether it is a bar or a limit and not a measurement.
    pub dashed: bool,
    /// Whether each point is marked.
    pub marked: bool,
    /// Points in the axes' units.
    pub points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Above the plot.
    pub title: String,
    /// From left to right.
    pub x: Axis,
    /// From below to above.
    pub y: Axis,
    /// Drawn in this order.
    pub lines: Vec<Line>,
}

impl Axis {
    /// Where a value lies between the ends, as 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.ticks.first().copied().unwrap_or(0.0), self.ticks.last().copied().unwrap_or(1.0));
        let place = match self.scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Logarithmic => (value.max(low) / low).ln() / (high / low).ln(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// Ticks from 0 in steps of 1, 2 or 5 times a power of ten, about five of them, up to at least `highest`.
pub fn ticks_to(highest: f64) -> Vec<f64> {
    let rough = (highest / 5.0).max(f64::MIN_POSITIVE);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let mut ticks = vec![0.0];
    for count in 1_u8..=20 {
        ticks.push(f64::from(count) * step);
        if f64::from(count) * step >= highest {
            break;
        }
    }
    ticks
}

/// The chart as SVG. It has a white ground, so that it reads the same on a dark page.
pub fn svg(chart: &Chart) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>{title}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" fill=\"#111\">{title}</text>\n",
        title = escaped(&chart.title)
    );
    draw_axes(&mut text, chart);
    for (number, line) in chart.lines.iter().enumerate() {
        draw_line(&mut text, chart, line);
        draw_legend(&mut text, line, number);
    }
    text.push_str("</svg>\n");
    text
}

fn x_of(chart: &Chart, value: f64) -> f64 {
    LEFT + chart.x.place(value) * (WIDTH - LEFT - RIGHT)
}

fn y_of(chart: &Chart, value: f64) -> f64 {
    HEIGHT - BOTTOM - chart.y.place(value) * (HEIGHT - TOP - BOTTOM)
}

fn draw_axes(text: &mut String, chart: &Chart) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in &chart.x.ticks {
        let x = x_of(chart, *tick);
        let _ = writeln!(text, "<path d=\"M{x:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#333\">{}</text>",
            bottom + 16.0,
            number(*tick)
        );
    }
    for tick in &chart.y.ticks {
        let y = y_of(chart, *tick);
        let _ = writeln!(text, "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#333\">{}</text>",
            LEFT - 6.0,
            y + 4.0,
            number(*tick)
        );
    }
    let _ = writeln!(text, "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>");
    let middle = f64::midpoint(LEFT, right);
    let _ = writeln!(
        text,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#111\">{}</text>",
        HEIGHT - 12.0,
        escaped(&chart.x.label)
    );
    let height = f64::midpoint(TOP, bottom);
    let _ = writeln!(
        text,
        "<text transform=\"translate(16 {height:.1}) rotate(-90)\" text-anchor=\"middle\" fill=\"#111\">{}</text>",
        escaped(&chart.y.label)
    );
}

fn draw_line(text: &mut String, chart: &Chart, line: &Line) {
    let mut places = line.points.iter().map(|(x, y)| (x_of(chart, *x), y_of(chart, *y)));
    let points: Vec<String> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dashes = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\"{dashes}/>",
        points.join(" "),
        line.colour
    );
    if line.marked {
        places.by_ref().for_each(|(x, y)| {
            let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{}\"/>", line.colour);
        });
    }
}

fn draw_legend(text: &mut String, line: &Line, number: usize) {
    let y = TOP + 14.0 + 16.0 * f64::from(u16::try_from(number).unwrap_or(0));
    let dashes = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
    let (from, to) = (LEFT + 10.0, LEFT + 34.0);
    let _ = writeln!(
        text,
        "<path d=\"M{from} {y}H{to}\" stroke=\"{}\" stroke-width=\"1.8\"{dashes}/>\
         <text x=\"{}\" y=\"{}\" fill=\"#111\">{}</text>",
        line.colour,
        to + 6.0,
        y + 4.0,
        escaped(&line.name)
    );
}

/// A tick's number without a tail of zeros, thousands set apart.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) && whole.len() > 4 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, ticks: &[f64]) -> Axis {
        Axis { label: "a & b".into(), scale, ticks: ticks.to_vec() }
    }

    #[test]
    fn places_lie_between_the_ends() {
        let linear = axis(Scale::Linear, &[0.0, 10.0]);
        assert!((linear.place(5.0) - 0.5).abs() < 1e-9);
        assert!((linear.place(20.0) - 1.0).abs() < 1e-9);
        let logarithmic = axis(Scale::Logarithmic, &[1.0, 10.0, 100.0]);
        assert!((logarithmic.place(10.0) - 0.5).abs() < 1e-9);
        assert!(logarithmic.place(-3.0).abs() < 1e-9);
    }

    #[test]
    fn ticks_are_round_and_reach_the_highest() {
        assert_eq!(ticks_to(50.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        assert_eq!(ticks_to(0.3).into_iter().map(number).collect::<Vec<_>>(), ["0", "0.1", "0.2", "0.3"]);
        assert!(ticks_to(1003.0).last().unwrap() >= &1003.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([10_000.0, 1000.0, 0.25, 0.1 + 0.2].map(number), ["10,000", "1000", "0.25", "0.3"]);
    }

    #[test]
    fn each_point_lies_where_it_belongs() {
        let line = Line {
            name: "n".into(),
            colour: "#000",
            dashed: false,
            marked: true,
            points: vec![(0.0, 0.0), (10.0, 10.0)],
        };
        let chart = Chart {
            title: "t".into(),
            x: axis(Scale::Linear, &[0.0, 10.0]),
            y: axis(Scale::Linear, &[0.0, 10.0]),
            lines: vec![line],
        };
        let text = svg(&chart);
        assert!(text.contains("<polyline points=\"64.0,312.0 616.0,40.0\""), "{text}");
        assert_eq!(text.matches("<circle").count(), 2);
        assert!(text.contains("a &amp; b") && !text.contains("a & b"));
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
    }
}
