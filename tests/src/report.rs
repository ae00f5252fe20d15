//! Tables on standard output, and files under target/bench.

use std::fmt::Write;
use std::path::PathBuf;

use hdrhistogram::Histogram;

/// Where reports go.
pub fn directory() -> PathBuf {
    let program = std::env::current_exe().expect("a benchmark knows its own path");
    let target = program.ancestors().nth(3).expect("target/PROFILE/deps/BENCHMARK");
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory).expect("target can be written");
    directory
}

/// Writes a file; gives its path.
pub fn file(name: &str, text: &str) -> PathBuf {
    let path = directory().join(name);
    std::fs::write(&path, text).expect("target can be written");
    path
}

/// What a benchmark prints, kept for a file of its own.
#[derive(Debug, Default)]
pub struct Report(String);

impl Report {
    /// Prints a line.
    #[allow(clippy::print_stdout, reason = "a benchmark's output function")]
    pub fn line(&mut self, line: impl AsRef<str>) {
        println!("{}", line.as_ref());
        self.0.push_str(line.as_ref());
        self.0.push('\n');
    }

    /// Writes everything that was printed; gives the file's path.
    pub fn save(&self, name: &str) -> PathBuf {
        file(name, &self.0)
    }
}

/// Writes latencies (µs) as a percentile distribution in milliseconds, in the form that HdrHistogram's plotter reads.
pub fn percentiles(name: &str, latency: &Histogram<u64>) -> PathBuf {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    let mut count = 0;
    for step in latency.iter_quantiles(5) {
        count += step.count_since_last_iteration();
        let (milliseconds, quantile) = (step.value_iterated_to() as f64 / 1000.0, step.quantile_iterated_to());
        let _ = write!(text, "{milliseconds:12.3} {quantile:14.12} {count:10}");
        if quantile < 1.0 {
            let _ = write!(text, " {:14.2}", 1.0 / (1.0 - quantile));
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n#[Max     = {:12.3}, Total count    = {:12}]",
        latency.mean() / 1000.0,
        latency.stdev() / 1000.0,
        latency.max() as f64 / 1000.0,
        latency.len()
    );
    file(&format!("{name}.hgrm"), &text)
}
