//! What a process takes of the machine, from /proc.

use std::time::Duration;

/// Linux counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process so far.
pub fn cpu(process: u32) -> Duration {
    let stat = read(process, "stat");
    let after_name = stat.rsplit(") ").next().expect("a name in brackets");
    let ticks: u32 = after_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u32>().expect("utime and stime"))
        .sum();
    TICK * ticks
}

/// Resident memory of a process, MiB.
pub fn resident_mib(process: u32) -> f64 {
    status_mib(process, "VmRSS:")
}

/// The most resident memory that a process has had, MiB.
pub fn peak_resident_mib(process: u32) -> f64 {
    status_mib(process, "VmHWM:")
}

fn status_mib(process: u32, field: &str) -> f64 {
    let status = read(process, "status");
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        .expect("memory in kB");
    kib / 1024.0
}

fn read(process: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{process}/{file}")).expect("a running process on Linux")
}
