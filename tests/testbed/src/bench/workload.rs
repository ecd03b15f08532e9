//! What is copied: the sets of files of the benchmark, in full size and small.

use crate::cloud::Files;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What holds the containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The cloud model with its costs.
    Model,
    /// Azurite, which does as fast as it can.
    Azurite,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Azurite => "azurite",
        }
    }
}

/// One set of files.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// As the command line names it.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) groups: Vec<Files>,
}

/// The names that `--workload` takes.
pub const WORKLOADS: [&str; 5] = ["400x64KiB", "5000x256KiB", "3x300MiB", "mixed", "azurite-2000x64KiB"];

impl Workload {
    /// The set of a name in [`WORKLOADS`]; `is_small` makes it a trial of some seconds.
    pub(super) fn find(name: &str, is_small: bool) -> Option<Self> {
        let (kind, groups) = match (name, is_small) {
            ("400x64KiB", false) => (Kind::Model, vec![segments("segment-", 400, 64 * KIB)]),
            ("400x64KiB", true) => (Kind::Model, vec![segments("segment-", 40, 64 * KIB)]),
            ("5000x256KiB", false) => (Kind::Model, vec![segments("segment-", 5000, 256 * KIB)]),
            ("5000x256KiB", true) => (Kind::Model, vec![segments("segment-", 300, 256 * KIB)]),
            ("3x300MiB", false) => (Kind::Model, vec![films("film-", 3, 300)]),
            ("3x300MiB", true) => (Kind::Model, vec![films("film-", 3, 30)]),
            ("mixed", false) => (Kind::Model, mixed(&[50, 100, 200, 400, 600, 800], 500)),
            ("mixed", true) => (Kind::Model, mixed(&[5, 40], 20)),
            ("azurite-2000x64KiB", false) => (Kind::Azurite, vec![segments("segment-", 2000, 64 * KIB)]),
            ("azurite-2000x64KiB", true) => (Kind::Azurite, vec![segments("segment-", 200, 64 * KIB)]),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), kind, groups })
    }

    /// How many files.
    pub(super) fn files(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }

    /// All their bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.groups.iter().map(|group| group.count * group.size).sum()
    }

    /// The largest one's bytes.
    pub(super) fn largest(&self) -> u64 {
        self.groups.iter().map(|group| group.size).max().unwrap_or_default()
    }

    /// `model: 400x64KiB`, with what that is where it is a small trial.
    pub(super) fn title(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let mib = self.bytes() as f64 / MIB as f64;
        format!("{}: {} ({} files, {mib:.0} MiB)", self.kind.name(), self.name, self.files())
    }
}

/// So many blobs of one size, such as an encoder's segments.
pub(super) fn segments(prefix: &str, count: u64, size: u64) -> Files {
    Files::new(prefix, count, size).with_md5().of_type("video/mp4")
}

/// Large ones have no MD5, as what an encoder writes in blocks has none.
fn films(prefix: &str, count: u64, mib: u64) -> Files {
    Files::new(prefix, count, mib * MIB).of_type("video/mp4")
}

/// Films of these sizes in MiB, and so many segments of each of four sizes.
fn mixed(mib: &[u64], segments_each: u64) -> Vec<Files> {
    let films = mib.iter().map(|mib| films(&format!("film-{mib}.mp4"), 1, *mib));
    let quarters = (1..=4).map(|quarter| segments(&format!("segment-{quarter}-"), segments_each, quarter * 256 * KIB));
    films.chain(quarters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_set_in_both_sizes() {
        for name in WORKLOADS {
            let (full, small) = (Workload::find(name, false).unwrap(), Workload::find(name, true).unwrap());
            assert!(small.bytes() < full.bytes(), "{name}");
        }
        assert!(Workload::find("other", false).is_none());
    }

    #[test]
    fn the_mixed_set_is_six_films_and_two_thousand_segments() {
        let mixed = Workload::find("mixed", false).unwrap();
        assert_eq!((mixed.files(), mixed.largest()), (2006, 800 * MIB));
        assert_eq!(mixed.bytes(), (2150 + 1250) * MIB);
    }
}
