//! Bars and lines as small SVG files. No figures are worked out here.

/// One bar.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    /// Haggle's stand out.
    pub(crate) ours: bool,
}

/// How a bar's length follows from its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Each step of the same length is ten times as much, beginning at 0.1.
    Logarithmic,
}

const WIDTH: f64 = 820.0;
const LABELS: f64 = 300.0;
/// Room for the figure behind the longest bar.
const FIGURES: f64 = 90.0;
const ROW: f64 = 26.0;
const HEAD: f64 = 44.0;
/// Where a logarithmic scale begins.
const LEAST: f64 = 0.1;

/// A chart of horizontal bars under a title that says the unit.
pub(crate) fn bars(title: &str, scale: Scale, bars: &[Bar]) -> String {
    let height = HEAD + ROW * bars.len() as f64 + 10.0;
    let longest = bars.iter().map(|bar| length(scale, bar.value)).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = head(title, height);
    for (row, bar) in bars.iter().enumerate() {
        let y = HEAD + ROW * row as f64;
        let long = (WIDTH - LABELS - FIGURES) * length(scale, bar.value) / longest;
        let fill = if bar.ours { "#d1495b" } else { "#8d99ae" };
        svg.push_str(&format!(
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#222\">{}</text>\
             <rect x=\"{LABELS}\" y=\"{y}\" width=\"{long:.1}\" height=\"{}\" fill=\"{fill}\"/>\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#222\">{}</text>\n",
            LABELS - 8.0,
            y + 15.0,
            bar.label,
            ROW - 6.0,
            LABELS + long + 6.0,
            y + 15.0,
            figure(bar.value),
        ));
    }
    svg.push_str("</svg>\n");
    svg
}

fn length(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear => value.max(0.0),
        Scale::Logarithmic => (value.max(LEAST) / LEAST).log10(),
    }
}

/// One line of a chart.
pub(crate) struct Line {
    pub(crate) label: String,
    /// By size, the smallest first.
    pub(crate) points: Vec<(f64, f64)>,
}

const CHART: f64 = 300.0;
const LEFT: f64 = 60.0;
/// Room for labels behind the last points.
const RIGHT: f64 = 190.0;
const FOOT: f64 = 50.0;
/// Apart enough to be read.
const LABEL: f64 = 16.0;
const COLOURS: [&str; 4] = ["#d1495b", "#30638e", "#edae49", "#66a182"];

/// A chart of lines over sizes, each step of the same length ten times as large; values begin at 0.
pub(crate) fn lines(title: &str, axis: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let low = points().map(|(size, _)| size.log10()).fold(f64::INFINITY, f64::min);
    let high = points().map(|(size, _)| size.log10()).fold(low + f64::MIN_POSITIVE, f64::max);
    let most = points().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let bottom = HEAD + CHART;
    let span = (high - low).max(1e-9);
    let x = |size: f64| LEFT + (WIDTH - LEFT - RIGHT) * (size.log10() - low) / span;
    let y = |value: f64| bottom - CHART * value / most;
    let mut svg = head(title, bottom + FOOT);
    for share in [0.0, 0.5, 1.0] {
        let (value, at) = (most * share, y(most * share));
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#222\">{}</text>\n",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            figure(value),
        ));
    }
    let mut sizes: Vec<f64> = points().map(|(size, _)| *size).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    for size in sizes {
        let (at, below) = (x(size), bottom + 18.0);
        let text = figure(size);
        svg.push_str(&format!(
            "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#222\">{text}</text>\n"
        ));
    }
    let (middle, below) = ((LEFT + WIDTH - RIGHT) / 2.0, bottom + 38.0);
    svg.push_str(&format!("<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\" fill=\"#222\">{axis}</text>\n"));
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (index, (line, colour)) in lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let path: Vec<String> =
            line.points.iter().map(|(size, value)| format!("{:.1},{:.1}", x(*size), y(*value))).collect();
        let path = path.join(" ");
        svg.push_str(&format!("<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n"));
        for (size, value) in &line.points {
            let (at, up) = (x(*size), y(*value));
            svg.push_str(&format!("<circle cx=\"{at:.1}\" cy=\"{up:.1}\" r=\"3\" fill=\"{colour}\"/>\n"));
        }
        ends.extend(line.points.last().map(|(_, value)| (y(*value), index)));
    }
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = 0.0_f64;
    for (at, index) in ends {
        let at = at.max(free);
        free = at + LABEL;
        let (Some(line), Some(colour)) = (lines.get(index), COLOURS.get(index % COLOURS.len())) else { continue };
        let (right, down) = (WIDTH - RIGHT + 8.0, at + 4.0);
        svg.push_str(&format!("<text x=\"{right}\" y=\"{down:.1}\" fill=\"{colour}\">{}</text>\n", line.label));
    }
    svg.push_str("</svg>\n");
    svg
}

fn head(title: &str, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" role=\"img\">\n<title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"15\" font-weight=\"bold\" fill=\"#222\">{title}</text>\n"
    )
}

/// A figure with about three digits, thousands apart.
pub(crate) fn figure(value: f64) -> String {
    let digits = match value {
        _ if value.fract() == 0.0 => 0,
        _ if value >= 100.0 => 0,
        _ if value >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if value < 1_000.0 {
        return text;
    }
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_three_digits() {
        let rows = [
            (0.377, "0.38"),
            (12.34, "12.3"),
            (20.0, "20"),
            (999.6, "1000"),
            (4_700.0, "4,700"),
            (1_180_000.0, "1,180,000"),
        ];
        for (value, text) in rows {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn sizes_stand_apart_by_their_logarithm() {
        let points = vec![(10.0, 5.0), (100.0, 10.0), (1_000.0, 0.0)];
        let svg = lines("t", "sizes", &[Line { label: "x".to_owned(), points }]);
        assert!(svg.contains("points=\"60.0,194.0 345.0,44.0 630.0,344.0\""), "{svg}");
    }

    #[test]
    fn the_longest_bar_fills_the_room() {
        let bar = |value| Bar { label: "x".to_owned(), value, ours: false };
        let svg = bars("t", Scale::Linear, &[bar(5.0), bar(10.0)]);
        assert!(svg.contains("width=\"215.0\"") && svg.contains("width=\"430.0\""), "{svg}");
    }
}
