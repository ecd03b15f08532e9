//! What the figures were taken on: date, processor, cores, memory.

use serde::Serialize;
use time::OffsetDateTime;

/// Said beside every table.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    date: String,
    processor: String,
    cores: usize,
    memory_gib: u64,
    /// Peers that take part.
    peers: Vec<String>,
}

impl Machine {
    pub(super) fn here(peers: Vec<String>) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kib = value(&memory, "MemTotal").and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Self {
            date: OffsetDateTime::now_utc().date().to_string(),
            processor: value(&cpu, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            memory_gib: kib.unwrap_or_default() / (1024 * 1024),
            peers,
        }
    }

    /// One line for people.
    pub(super) fn describe(&self) -> String {
        let Self { date, processor, cores, memory_gib, peers } = self;
        let peers = if peers.is_empty() { "no azcopy, no rclone".to_owned() } else { peers.join(", ") };
        format!("{date}; {cores} cores ({processor}), {memory_gib} GiB, shared with the storage; {peers}")
    }
}
