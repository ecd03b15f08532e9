//! DASH MPDs (ISO/IEC 23009-1): addresses of segments from templates, timelines, lists and base addresses.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use dash_mpd_core::{
    AdaptationSet, BaseURL, ContentProtection, MPD, Period, Representation, SegmentBase, SegmentList, SegmentTemplate,
};

use super::uri::Target;
use super::{Kind, LONGEST_ADDRESS, Named, Problem, Rendition, Role, Summary, Tell};

/// What of a template, a list or a base is said at the levels above a representation holds below too; the nearest first.
#[derive(Default, Clone)]
struct Inherited<'a> {
    templates: VecDeque<&'a SegmentTemplate>,
    lists: VecDeque<&'a SegmentList>,
    bases: VecDeque<&'a SegmentBase>,
    /// From the outermost to the innermost.
    addresses: Vec<&'a str>,
}

/// A level of an MPD that says where segments are: a period, an adaptation set or a representation.
macro_rules! below {
    ($above:expr, $level:expr) => {{
        let (mut inherited, level) = ($above.below(&$level.BaseURL), $level);
        level.SegmentTemplate.iter().for_each(|one| inherited.templates.push_front(one));
        level.SegmentList.iter().for_each(|one| inherited.lists.push_front(one));
        level.SegmentBase.iter().for_each(|one| inherited.bases.push_front(one));
        inherited
    }};
}

impl<'a> Inherited<'a> {
    /// With the first of these base addresses; the others are alternatives to it.
    fn below(&self, addresses: &'a [BaseURL]) -> Self {
        let mut inherited = self.clone();
        inherited.addresses.extend(addresses.first().map(|one| one.base.as_str()));
        inherited
    }

    fn template<T>(&self, of: impl Fn(&'a SegmentTemplate) -> Option<T>) -> Option<T> {
        self.templates.iter().find_map(|template| of(template))
    }
}

/// One representation and what it is part of.
struct Place<'a> {
    path: &'a str,
    inherited: Inherited<'a>,
    representation: &'a Representation,
    number: usize,
    /// How long its period is.
    period: Option<Duration>,
}

/// Reads an MPD.
pub fn visit(path: &str, text: &str, tell: &mut Tell<'_>) -> Result<Summary, Problem> {
    // Entities make much of little; none of the sort is in any MPD, and the reader below is not asked to expand them.
    if text.contains("<!DOCTYPE") || text.contains("<!ENTITY") {
        return Err(Problem::DocumentType);
    }
    if has_absurd_duration(text) {
        return Err(Problem::Malformed("has a length of time that no stream has".to_owned()));
    }
    let mpd = dash_mpd_core::parse(text).map_err(|error| Problem::Malformed(format!("is no MPD: {error}")))?;
    let (mut renditions, mut protection) = (Vec::new(), BTreeSet::new());
    let top = Inherited::default().below(&mpd.base_url);
    for (period, length) in periods(&mpd) {
        if period.href.is_some() {
            return Err(Problem::Malformed("has a period that is elsewhere (xlink)".to_owned()));
        }
        let in_period = below!(top, period);
        protect(&period.ContentProtection, &mut protection);
        for set in &period.adaptations {
            let in_set = below!(in_period, set);
            protect(&set.ContentProtection, &mut protection);
            for representation in &set.representations {
                protect(&representation.ContentProtection, &mut protection);
                let inherited = below!(in_set, representation);
                let place = Place { path, inherited, representation, number: renditions.len(), period: length };
                let segments = place.visit(tell)?;
                renditions.push(rendition(set, representation, segments, length));
            }
        }
    }
    let is_complete = mpd.mpdtype.as_deref().unwrap_or("static") == "static";
    Ok(Summary { kind: Kind::Dash, is_complete, renditions, protection })
}

/// The periods with their lengths: as they say, or until the next one begins, or until the end.
fn periods(mpd: &MPD) -> Vec<(&Period, Option<Duration>)> {
    let mut begin = Duration::ZERO;
    let mut found = Vec::new();
    for (number, period) in mpd.periods.iter().enumerate() {
        begin = period.start.unwrap_or(begin);
        let next = mpd.periods.get(number + 1).and_then(|next| next.start).or(mpd.mediaPresentationDuration);
        let length = period.duration.or_else(|| next.map(|next| next.saturating_sub(begin)));
        found.push((period, length));
        begin = begin.saturating_add(length.unwrap_or_default());
    }
    found
}

/// Lengths of time are read by a library that does not look whether a number fits: no stream's has so many digits.
fn has_absurd_duration(text: &str) -> bool {
    const MOST_DIGITS: usize = 10;
    let values = text.split(['"', '\'']).filter(|value| value.starts_with('P') || value.starts_with("-P"));
    let runs = values.flat_map(|value| value.split(|letter: char| !letter.is_ascii_digit()));
    runs.map(str::len).any(|digits| digits > MOST_DIGITS)
}

fn protect(protections: &[ContentProtection], found: &mut BTreeSet<String>) {
    for protection in protections {
        let id = protection.default_KID.as_ref().map_or(&protection.schemeIdUri, |id| id);
        found.insert(id.to_ascii_lowercase());
    }
}

fn rendition(set: &AdaptationSet, one: &Representation, segments: u64, length: Option<Duration>) -> Rendition {
    let either = |own: &Option<String>, all: &Option<String>| own.clone().or_else(|| all.clone());
    Rendition {
        name: one.id.clone().unwrap_or_default(),
        bandwidth: one.bandwidth,
        codecs: either(&one.codecs, &set.codecs),
        resolution: one.width.or(set.width).zip(one.height.or(set.height)),
        segments,
        seconds: length.unwrap_or_default().as_secs_f64(),
    }
}

impl Place<'_> {
    /// Names all of the representation's files, and tells how many segments there are.
    fn visit(&self, tell: &mut Tell<'_>) -> Result<u64, Problem> {
        let inherited = &self.inherited;
        if inherited.template(|template| template.media.as_deref()).is_some() {
            return self.by_template(tell);
        }
        if let Some(list) = inherited.lists.front() {
            return self.by_list(list, tell);
        }
        if let Some(address) =
            inherited.bases.iter().find_map(|base| base.Initialization.as_ref()?.sourceURL.as_deref())
        {
            self.name(Role::Initialization, address, tell)?;
        }
        // One file: the base address itself, which must say one.
        if self.representation.BaseURL.is_empty() && inherited.addresses.is_empty() {
            return Err(Problem::NamesNothing);
        }
        self.name(Role::Segment, "", tell)?;
        Ok(1)
    }

    fn by_template(&self, tell: &mut Tell<'_>) -> Result<u64, Problem> {
        let inherited = &self.inherited;
        let initialization = inherited.template(|template| {
            template.initialization.as_deref().or_else(|| template.Initialization.as_ref()?.sourceURL.as_deref())
        });
        if let Some(pattern) = initialization {
            self.name(Role::Initialization, &self.fill(pattern, 0, 0)?, tell)?;
        }
        let Some(media) = inherited.template(|template| template.media.as_deref()) else { return Ok(0) };
        let first = inherited.template(|template| template.startNumber).unwrap_or(1);
        let timescale = inherited.template(|template| template.timescale).unwrap_or(1).max(1);
        let mut count = 0;
        let mut segment = |time: u64| {
            let address = self.fill(media, first.saturating_add(count), time)?;
            count += 1;
            self.name(Role::Segment, &address, tell)
        };
        if let Some(timeline) = inherited.template(|template| template.SegmentTimeline.as_ref()) {
            let mut time = 0_u64;
            for (number, entry) in timeline.segments.iter().enumerate() {
                time = entry.t.unwrap_or(time);
                let repeats = match entry.r.unwrap_or(0) {
                    repeats @ 0.. => repeats.unsigned_abs(),
                    // until the next entry, or the end of the period
                    _ => {
                        let period = self.period.map(|length| (length.as_secs_f64() * timescale as f64) as u64);
                        let end = timeline.segments.get(number + 1).and_then(|next| next.t).or(period).unwrap_or(time);
                        end.saturating_sub(time).div_ceil(entry.d.max(1)).saturating_sub(1)
                    }
                };
                for _ in 0..=repeats {
                    segment(time)?;
                    time = time.saturating_add(entry.d);
                }
            }
            return Ok(count);
        }
        let Some(length) = inherited.template(|template| template.duration).filter(|length| *length > 0.0) else {
            segment(0)?;
            return Ok(count);
        };
        let seconds = length / timescale as f64;
        let by_length = self.period.map(|period| (period.as_secs_f64() / seconds - 1e-9).ceil().max(1.0) as u64);
        let by_number =
            inherited.template(|template| template.endNumber).map(|end| end.saturating_sub(first).saturating_add(1));
        let Some(segments) = by_number.or(by_length) else {
            return Err(Problem::Malformed("says nowhere how long it is".to_owned()));
        };
        for number in 0..segments {
            segment((number as f64 * length) as u64)?;
        }
        Ok(count)
    }

    fn by_list(&self, list: &SegmentList, tell: &mut Tell<'_>) -> Result<u64, Problem> {
        if let Some(address) = list.Initialization.as_ref().and_then(|one| one.sourceURL.as_deref()) {
            self.name(Role::Initialization, address, tell)?;
        }
        for segment in &list.segment_urls {
            // without an address of its own it is a part of the base address
            self.name(Role::Segment, segment.media.as_deref().unwrap_or_default(), tell)?;
        }
        Ok(list.segment_urls.len() as u64)
    }

    fn name(&self, role: Role, address: &str, tell: &mut Tell<'_>) -> Result<(), Problem> {
        let target = resolve(self.path, &self.inherited.addresses, address);
        tell(Named { role, target, rendition: Some(self.number) })
    }

    /// Fills in `$Number%05d$` and its like (ISO/IEC 23009-1, section 5.3.9.4.4).
    fn fill(&self, pattern: &str, number: u64, time: u64) -> Result<String, Problem> {
        if pattern.len() > LONGEST_ADDRESS {
            return Err(Problem::AddressTooLong);
        }
        let wrong = || Problem::Malformed(format!("has a wrong template '{pattern}'"));
        let (mut filled, mut rest) = (String::new(), pattern);
        while let Some((before, after)) = rest.split_once('$') {
            let (word, after) = after.split_once('$').ok_or_else(wrong)?;
            filled.push_str(before);
            rest = after;
            let (word, width) = match word.split_once('%') {
                None => (word, 1),
                Some((word, width)) => {
                    let width = width.strip_prefix('0').and_then(|width| width.strip_suffix('d'));
                    (word, width.and_then(|width| width.parse().ok()).filter(|width| *width <= 32).ok_or_else(wrong)?)
                }
            };
            match word {
                "" => filled.push('$'),
                "RepresentationID" => filled.push_str(self.representation.id.as_deref().unwrap_or_default()),
                "Number" => filled.push_str(&format!("{number:0width$}")),
                "Time" => filled.push_str(&format!("{time:0width$}")),
                "Bandwidth" => {
                    filled.push_str(&format!("{:0width$}", self.representation.bandwidth.unwrap_or_default()));
                }
                _ => return Err(wrong()),
            }
            if filled.len() > LONGEST_ADDRESS {
                return Err(Problem::AddressTooLong);
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// Follows the base addresses from the outermost to the innermost, then the address itself.
fn resolve(path: &str, bases: &[&str], address: &str) -> Target {
    let mut at = path.to_owned();
    for step in bases.iter().copied().chain((!address.is_empty()).then_some(address)) {
        match Target::resolve(&at, step) {
            // a base address that ends with a slash is a folder, which the next step is followed from
            Target::Inside(name) => at = name,
            Target::Absolute(base) if step != address => return join(&base, address),
            elsewhere => return elsewhere,
        }
    }
    Target::Inside(at)
}

fn join(base: &str, address: &str) -> Target {
    let joined = url::Url::parse(base).and_then(|base| base.join(address));
    Target::Absolute(joined.map_or_else(|_| format!("{base}{address}"), String::from))
}
