//! The bound T*: what no tool can be faster than, from what the model's requests cost.

use serde::Serialize;

use crate::cloud::Costs;

use super::workload::Workload;

/// Requests at once that the bound grants.
const SLOTS: u64 = 512;
/// The smallest block that the bound grants.
const BLOCK_BYTES: u64 = 8 * 1024 * 1024;
const MIB: f64 = 1024.0 * 1024.0;

/// Its four terms, in seconds; the largest one counts.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bound {
    /// All bytes through the slower of the two accounts.
    bytes: f64,
    /// All files as one request each, at the accounts' limit.
    requests: f64,
    /// As many turns of all slots as the files need, each a round trip and a copy's fixed cost.
    slots: f64,
    /// The largest file, all its blocks at once, and two round trips.
    largest: f64,
}

impl Bound {
    #[expect(clippy::cast_precision_loss, reason = "counts and bytes are far below 2^52")]
    pub(super) fn of(workload: &Workload, costs: &Costs) -> Self {
        let over = |amount: f64, rate: Option<f64>| rate.map_or(0.0, |rate| amount / rate);
        let account = [costs.account_egress_mib_per_second, costs.account_ingress_mib_per_second];
        let account = account.into_iter().flatten().reduce(f64::min);
        let round_trip = costs.round_trip_milliseconds / 1000.0;
        let blocks = workload.largest().div_ceil(BLOCK_BYTES).clamp(1, SLOTS);
        let rate = if blocks == 1 { costs.copy_mib_per_second } else { costs.block_mib_per_second };
        Self {
            bytes: over(workload.bytes() as f64 / MIB, account),
            requests: over(workload.files() as f64, costs.requests_per_second),
            slots: workload.files().div_ceil(SLOTS) as f64 * (round_trip + costs.copy_fixed_milliseconds / 1000.0),
            largest: over(workload.largest() as f64 / MIB / blocks as f64, rate) + 2.0 * round_trip,
        }
    }

    /// Seconds, and which term they are.
    pub(super) fn seconds(&self) -> (f64, &'static str) {
        let terms =
            [(self.bytes, "bytes"), (self.requests, "requests"), (self.slots, "slots"), (self.largest, "largest file")];
        terms.into_iter().fold((0.0, "nothing"), |most, term| if term.0 > most.0 { term } else { most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_bound_by_slots_and_large_ones_by_the_account() {
        let bound = |name: &str| Bound::of(&Workload::find(name, false).unwrap(), &Costs::default()).seconds();
        let near = |(seconds, term): (f64, &'static str), wanted: f64, name: &str| {
            assert!((seconds - wanted).abs() < 0.01 && term == name, "{seconds} {term}");
        };
        near(bound("400x64KiB"), 0.17, "slots");
        near(bound("5000x256KiB"), 1.70, "slots");
        near(bound("3x300MiB"), 0.30, "bytes");
        near(bound("mixed"), 3400.0 / 2980.0, "bytes");
    }

    #[test]
    fn nothing_bounds_what_costs_nothing() {
        let bound = Bound::of(&Workload::find("mixed", false).unwrap(), &Costs::none());
        assert_eq!(bound.seconds(), (0.0, "nothing"));
    }
}
