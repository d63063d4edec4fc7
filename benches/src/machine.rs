//! What the figures were measured on; without it they say nothing.
use serde_json::{Value, json};

/// Processor, number of cores, kernel and how busy others keep the machine (load average).
pub fn describe() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    json!({
        "processor": processor.trim_start_matches([' ', '\t', ':']),
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "loadAverage": read("/proc/loadavg").split(' ').next(),
        "debugBuild": cfg!(debug_assertions),
    })
}

/// Cautions that belong under every table.
pub fn cautions() -> Vec<String> {
    let mut cautions = Vec::new();
    if cfg!(debug_assertions) {
        cautions.push("caution: efface-bench and the reference programs are a debug build".to_owned());
    }
    cautions
}
