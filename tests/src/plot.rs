//! Latencies as HdrHistogram plots them: percentiles across, each nine as wide as the one before, and milliseconds up.

use std::fmt::Write;

use hdrhistogram::Histogram;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 480.0;
/// Room for the labels on each side.
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 4] = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd"];
/// 90 %, 99 % and so on to 99.999 %.
const NINES: u32 = 5;
/// Lines across.
const STEPS: u32 = 5;

/// An SVG of some latencies (µs) under their names.
pub fn percentiles(title: &str, curves: &[(&str, &Histogram<u64>)]) -> String {
    let highest = curves
        .iter()
        .map(|(_, latency)| latency.max())
        .max()
        .unwrap_or_default();
    let top = (highest as f64 / 1000.0).max(1.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{MARGIN}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    for nines in 0..=NINES {
        let share = 1.0 - 0.1_f64.powi(nines.cast_signed());
        let label = format!("{:.*} %", nines.saturating_sub(2) as usize, share * 100.0);
        let at = x(share);
        line(&mut svg, (at, y(0.0, top)), (at, y(top, top)));
        label_at(&mut svg, (at, HEIGHT - MARGIN + 18.0), "middle", &label);
    }
    for step in 0..=STEPS {
        let milliseconds = top * f64::from(step) / f64::from(STEPS);
        let at = y(milliseconds, top);
        line(&mut svg, (MARGIN, at), (WIDTH - MARGIN, at));
        label_at(
            &mut svg,
            (MARGIN - 6.0, at + 4.0),
            "end",
            &format!("{milliseconds:.1} ms"),
        );
    }
    for (number, ((name, latency), colour)) in curves.iter().zip(COLOURS).enumerate() {
        let points: String = latency
            .iter_quantiles(20)
            .map(|step| {
                let milliseconds = step.value_iterated_to() as f64 / 1000.0;
                format!("{:.1},{:.1} ", x(step.quantile_iterated_to()), y(milliseconds, top))
            })
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            MARGIN + 12.0,
            MARGIN + 18.0 * number as f64
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn x(share: f64) -> f64 {
    let nines = -(1.0 - share).max(f64::MIN_POSITIVE).log10();
    MARGIN + (WIDTH - 2.0 * MARGIN) * nines.min(NINES.into()) / f64::from(NINES)
}

fn y(milliseconds: f64, top: f64) -> f64 {
    HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * milliseconds / top
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
    );
}

fn label_at(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
