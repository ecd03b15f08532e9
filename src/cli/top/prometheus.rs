//! Reads what `/metrics` answers (Prometheus, "Exposition formats", text-based format): samples, their sums, quantiles.

use std::collections::BTreeMap;

/// Names of labels and what they say, in the order of their names.
type Labels = BTreeMap<String, String>;

/// Samples by name and labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples(BTreeMap<(String, Labels), f64>);

impl Samples {
    /// Reads a page. Comments and lines that are no sample are passed over; times of samples are not kept.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// The sum of a metric's samples whose labels say all this.
    pub fn sum(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let fits =
            |labels: &Labels| wanted.iter().all(|(label, text)| labels.get(*label).is_some_and(|told| told == text));
        self.of(name).filter(|(labels, _)| fits(labels)).map(|(_, value)| value).fold(0.0, |sum, value| sum + value)
    }

    /// The sums of a metric's samples that say the same in this label; no samples that do not have it.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        self.by_labels(name, [label]).into_iter().map(|([text], sum)| (text, sum)).collect()
    }

    /// The same for several labels.
    pub fn by_labels<const N: usize>(&self, name: &str, wanted: [&str; N]) -> BTreeMap<[String; N], f64> {
        let mut sums = BTreeMap::new();
        for (labels, value) in self.of(name) {
            if wanted.iter().all(|label| labels.contains_key(*label)) {
                let key = wanted.map(|label| labels.get(label).cloned().unwrap_or_default());
                *sums.entry(key).or_insert(0.0) += value;
            }
        }
        sums
    }

    /// Below which value this part (0 to 1) of a histogram's observations lies, as Prometheus' `histogram_quantile` has
    /// it: evenly spread within a bucket, and never above the end of the last one. `None` without observations.
    pub fn quantile(&self, name: &str, part: f64) -> Option<f64> {
        let ends = self.by(&format!("{name}_bucket"), "le");
        let mut ends: Vec<(f64, f64)> =
            ends.into_iter().filter_map(|(end, count)| Some((end.parse().ok()?, count))).collect();
        ends.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let (_, all) = *ends.last()?;
        let rank = part * all;
        let (mut from, mut below) = (0.0, 0.0);
        for (end, count) in ends {
            if count >= rank && count > below {
                return Some(if end.is_finite() {
                    from + (end - from) * (rank - below) / (count - below)
                } else {
                    from
                });
            }
            (from, below) = (end, count);
        }
        None
    }

    /// Adds those of another process.
    pub fn add(&mut self, other: &Self) {
        for (key, value) in &other.0 {
            *self.0.entry(key.clone()).or_insert(0.0) += value;
        }
    }

    /// By how much each has grown. What is less than before was counted by a process that is no more.
    pub fn since(&self, earlier: &Self) -> Self {
        let grown = |(key, now): (&(String, Labels), &f64)| {
            let before = earlier.0.get(key).copied().unwrap_or(0.0);
            (key.clone(), if *now < before { *now } else { now - before })
        };
        Self(self.0.iter().map(grown).collect())
    }

    fn of(&self, name: &str) -> impl Iterator<Item = (&Labels, f64)> {
        let from = (name.to_owned(), Labels::new());
        let name = name.to_owned();
        self.0
            .range(from..)
            .take_while(move |((other, _), _)| *other == name)
            .map(|((_, labels), value)| (labels, *value))
    }
}

fn sample(line: &str) -> Option<((String, Labels), f64)> {
    let line = line.trim();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return None; // a comment among others
    }
    let (labels, rest) = match rest.trim_start().strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(((name.to_owned(), labels), value))
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once('=')?;
        let (text, after) = quoted(after.trim_start().strip_prefix('"')?)?;
        labels.insert(name.trim().to_owned(), text);
        let after = after.trim_start();
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// A label's text up to the closing quote, and what follows it; `\\`, `\"` and `\n` stand for a letter.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let (mut text, mut letters) = (String::new(), rest.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &rest[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => text.push('\n'),
                other => text.push(other),
            },
            letter => text.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
# HELP jobs_total Jobs, by "what" and {why}.
# TYPE jobs_total counter
jobs_total{class="a b",code="x=\"1\",\\}\n"} 3
jobs_total { class = "c" , code = "y", } 2.5 1700000000000
jobs_total_more 9
up 1
wide +Inf
this is no sample
broken{class="a 1
lag_bucket{route="1",le="1"} 2
lag_bucket{route="1",le="10"} 6
lag_bucket{route="1",le="+Inf"} 7
lag_bucket{route="2",le="1"} 0
lag_bucket{route="2",le="10"} 2
lag_bucket{route="2",le="+Inf"} 3
none_bucket{le="1"} 0
none_bucket{le="+Inf"} 0
"#;

    #[test]
    fn samples_are_read_as_the_format_has_them() {
        let samples = Samples::parse(PAGE);
        assert_eq!(samples.0.len(), 13, "{samples:?}");
        assert_eq!((samples.sum("jobs_total", &[]), samples.sum("jobs_total", &[("class", "c")])), (5.5, 2.5));
        assert_eq!(
            (samples.sum("up", &[]), samples.sum("wide", &[]), samples.sum("nothing", &[])),
            (1.0, f64::INFINITY, 0.0)
        );
        let codes: Vec<_> = samples.by_labels("jobs_total", ["class", "code"]).into_iter().collect();
        let labels = |class: &str, code: &str| [class.to_owned(), code.to_owned()];
        assert_eq!(codes, [(labels("a b", "x=\"1\",\\}\n"), 3.0), (labels("c", "y"), 2.5)]);
        assert!(samples.by("up", "class").is_empty());
    }

    #[test]
    fn quantiles_lie_where_prometheus_has_them() {
        let samples = Samples::parse(PAGE);
        // ten observations: two up to 1, six more up to 10, two beyond
        assert_eq!(samples.quantile("lag", 0.1), Some(0.5));
        assert_eq!(samples.quantile("lag", 0.5), Some(5.5));
        assert_eq!(samples.quantile("lag", 0.95), Some(10.0));
        assert_eq!((samples.quantile("none", 0.5), samples.quantile("nothing", 0.5)), (None, None));
    }

    #[test]
    fn what_has_grown_is_known_across_a_restart_and_adds_up() {
        let (before, now) = (Samples::parse("a 5\nb 5\n"), Samples::parse("a 7\nb 2\nc 1\n"));
        let mut grown = now.since(&before);
        assert_eq!(grown, Samples::parse("a 2\nb 2\nc 1\n"));
        grown.add(&Samples::parse("a 1\nd 4\n"));
        assert_eq!(grown, Samples::parse("a 3\nb 2\nc 1\nd 4\n"));
    }
}
