//! Bars as small SVG files. No figures are worked out here.

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
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" role=\"img\">\n<title>{title}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"15\" font-weight=\"bold\" fill=\"#222\">{title}</text>\n"
    );
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
    fn the_longest_bar_fills_the_room() {
        let bar = |value| Bar { label: "x".to_owned(), value, ours: false };
        let svg = bars("t", Scale::Linear, &[bar(5.0), bar(10.0)]);
        assert!(svg.contains("width=\"215.0\"") && svg.contains("width=\"430.0\""), "{svg}");
    }
}
