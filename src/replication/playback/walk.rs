//! Goes through all that players would be given, at both sites side by side.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures::future::try_join;
use futures::stream;
use sha2::{Digest, Sha256};

use super::endpoint::{Delivery, Endpoint, HINT, Served};
use super::facts::Facts;
use super::pieces::{Choice, Pieces};
use crate::failure::Failure;
use crate::model::{CheckedSegments, Compared, Content, ManifestProof, Protocol, StreamingUrl, encode_path};
use crate::replication::budget::Budget;
use crate::replication::progress::Progress;

/// Playlists that are looked at, and segments of each that are asked for, at once.
const SOME_AT_ONCE: (usize, usize) = (8, 8);
/// The same where all segments are: one after the other, so that the next slice can go on where this one stops.
const ALL_AT_ONCE: (usize, usize) = (1, 64);

/// What was found to be equal.
#[derive(Debug, Default)]
pub struct Found {
    /// The manifests that players begin with.
    pub manifests: Vec<ManifestProof>,
    /// Playlists and segments that both sites have answered with.
    pub checked: u64,
    /// How many of them are segments.
    segments: u64,
    /// Ids of keys, or of key systems.
    pub protection: BTreeSet<String>,
    /// What pages of other hosts are allowed is the same at both sites; `None`: nothing was asked for.
    pub same_cors: Option<bool>,
}

/// Both endpoints.
#[derive(Debug)]
pub struct Walk<'a> {
    source: Endpoint<'a>,
    replica: Endpoint<'a>,
    which: CheckedSegments,
    budget: Budget,
    progress: &'a Progress,
    /// Stands for what is played.
    state: u64,
    /// Segments that an earlier slice has checked, which this one has not come to yet.
    to_skip: AtomicU64,
    found: Mutex<Found>,
}

impl<'a> Walk<'a> {
    pub fn new(
        source: Endpoint<'a>,
        replica: Endpoint<'a>,
        which: CheckedSegments,
        content: &Content,
        budget: Budget,
        progress: &'a Progress,
    ) -> Self {
        let digest = Sha256::digest(format!("{}\n{:?}", content.digest, content.generation));
        let state = digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        let earlier = progress.checked().filter(|checked| checked.state == state && which == CheckedSegments::All);
        let to_skip = AtomicU64::new(earlier.map_or(0, |checked| checked.ranges));
        let budget = budget.with_time_to_work();
        Self { source, replica, which, budget, progress, state, to_skip, found: Mutex::default() }
    }

    /// Plays these addresses.
    pub async fn play(self, urls: &[StreamingUrl]) -> Result<Found, Failure> {
        for url in urls {
            if url.protocol == Protocol::Progressive {
                // there is no manifest that would show that it is served
                self.piece(&url.path).await?;
                continue;
            }
            let (facts, proofs) = self.both(url.protocol, &url.path).await?;
            self.add(|found| found.manifests.extend(proofs));
            let Some(pieces) = self.follow(url.protocol, &facts).await? else { continue };
            let playlists = stream::iter(pieces.playlists.into_iter().map(Ok));
            let at_once = self.at_once().0;
            let played = self.budget.each(playlists, at_once, |name| self.playlist(url.protocol, name));
            if played.await?.is_some() {
                return Err(self.spent());
            }
        }
        Ok(self.found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same manifest of both sites: what they tell, which is equal.
    async fn both(&self, protocol: Protocol, path: &str) -> Result<(Facts, [ManifestProof; 2]), Failure> {
        let both = try_join(self.source.manifest(protocol, path), self.replica.manifest(protocol, path));
        let (ours, theirs) = both.await?;
        let facts = ours.facts().await?;
        if !theirs.is(&ours) {
            same_streams(protocol, &facts, &theirs.facts().await?)
                .map_err(|failure| failure.at_site(&self.replica.site.name))?;
        }
        self.stays_there(&theirs)?;
        Ok((facts, [ours.proof, theirs.proof]))
    }

    /// Asks for the media that a manifest names. What it names besides is given back.
    async fn follow(&self, protocol: Protocol, facts: &Facts) -> Result<Option<Pieces>, Failure> {
        let Facts { manifest, summary, .. } = facts;
        self.add(|found| found.protection.extend(summary.protection.iter().cloned()));
        if !summary.is_complete {
            let message = format!("{} manifest says that more will be added", protocol.name());
            return Err(Failure::transient("manifest-not-complete", message).with_hint(HINT));
        }
        if self.which == CheckedSegments::None {
            return Ok(None);
        }
        let (mut first, mut named) = (0, Pieces::default());
        let choice = self.choice(protocol);
        while let Some(pieces) = Pieces::find(manifest, summary, choice, first) {
            named.playlists.extend(pieces.playlists);
            first = pieces.next;
            let skipped = self.skip(pieces.media.len());
            let media = stream::iter(pieces.media.into_iter().skip(skipped).map(Ok));
            let checked = self.budget.each(media, self.at_once().1, |name| self.piece_of(name));
            if checked.await?.is_some() {
                return Err(self.spent());
            }
        }
        Ok(Some(named))
    }

    async fn playlist(&self, protocol: Protocol, name: String) -> Result<(), Failure> {
        let (facts, _) = self.both(protocol, &address(&name)).await?;
        self.add(|found| found.checked += 1);
        self.follow(protocol, &facts).await.map(drop)
    }

    async fn piece_of(&self, name: String) -> Result<(), Failure> {
        self.piece(&address(&name)).await
    }

    /// Asks both sites for one piece of media, which must be equally long.
    async fn piece(&self, path: &str) -> Result<(), Failure> {
        let (ours, theirs) = try_join(self.source.length(path), self.replica.length(path)).await?;
        if ours != theirs {
            let told = |length: Option<u64>| length.map_or_else(|| "an unknown number of".into(), |n| n.to_string());
            let message = format!("'{path}' has {} bytes instead of {}", told(theirs), told(ours));
            return Err(Failure::transient("segments-differ", message)
                .with_hint(HINT)
                .at_site(&self.replica.site.name));
        }
        self.add(|found| {
            found.checked += 1;
            found.segments += 1;
        });
        let is_first = self.add(|found| found.same_cors.is_none() && found.same_cors.replace(true).is_none());
        if is_first { self.compare_delivery(path).await } else { Ok(()) }
    }

    /// Once for an asset: what is said beside the bytes is a matter of the endpoint.
    async fn compare_delivery(&self, path: &str) -> Result<(), Failure> {
        let (ours, theirs) = try_join(self.source.delivery(path), self.replica.delivery(path)).await?;
        let Delivery { has_ranges, cors } = theirs;
        if ours.has_ranges && !has_ranges {
            let message = format!("'{path}' cannot be had in ranges of bytes, as it can at the source");
            return Err(Failure::permanent("ranges-unsupported", message)
                .with_hint("players seek by ranges: let the replica's web server answer them, then replay")
                .at_site(&self.replica.site.name));
        }
        if ours.cors != cors {
            tracing::warn!(site = %self.replica.site.name, source = ?ours.cors, replica = ?cors,
                "CORS headers differ: a player in a browser may not be able to play from both sites");
        }
        self.add(|found| found.same_cors = Some(ours.cors == cors));
        Ok(())
    }

    /// The replica's manifest must not send players back to the source.
    fn stays_there(&self, replica: &Served) -> Result<(), Failure> {
        let authority = self.source.base.authority();
        if !replica.says(&format!("//{authority}/")) {
            return Ok(());
        }
        let name = replica.protocol.name();
        let message = format!("the replica's {name} manifest names the source's host {authority}");
        Err(Failure::permanent("manifest-points-at-source", message)
            .with_hint("players would go back to the source: manifests must use relative addresses")
            .at_site(&self.replica.site.name))
    }

    /// A packager makes all protocols of the same files: each rendition is checked in one of them, HLS.
    fn choice(&self, protocol: Protocol) -> Choice {
        let is_packager = self.replica.site.media.is_some();
        match self.which {
            CheckedSegments::All => Choice::All,
            _ if is_packager && protocol != Protocol::Hls => Choice::OfFirst,
            _ => Choice::OfEach,
        }
    }

    fn at_once(&self) -> (usize, usize) {
        if self.which == CheckedSegments::All { ALL_AT_ONCE } else { SOME_AT_ONCE }
    }

    /// How many of the next segments an earlier slice has checked.
    fn skip(&self, segments: usize) -> usize {
        let left = self.to_skip.load(Ordering::Relaxed);
        let skipped = left.min(segments as u64);
        self.to_skip.store(left - skipped, Ordering::Relaxed);
        self.add(|found| {
            found.checked += skipped;
            found.segments += skipped;
        });
        usize::try_from(skipped).unwrap_or(usize::MAX)
    }

    /// The slice is over; what has begun has ended, as nothing has failed.
    fn spent(&self) -> Failure {
        let ranges = self.add(|found| found.segments);
        self.progress.has_checked(Some(Compared { state: self.state, ranges }));
        self.budget.spent(&format!("{ranges} segments are equally long at both sites so far"))
    }

    fn add<T>(&self, change: impl FnOnce(&mut Found) -> T) -> T {
        change(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn same_streams(protocol: Protocol, ours: &Facts, theirs: &Facts) -> Result<(), Failure> {
    let (ours, theirs) = (&ours.lines, &theirs.lines);
    if ours == theirs {
        return Ok(());
    }
    let differs = ours.iter().zip(theirs).find(|(ours, theirs)| ours != theirs);
    let example = differs.map_or_else(
        || format!("{} facts against {}", ours.len(), theirs.len()),
        |(ours, theirs)| format!("'{ours}' against '{theirs}'"),
    );
    let message = format!("{} manifests of both sites name different streams: {example}", protocol.name());
    Err(Failure::transient("manifests-differ", message))
}

/// A name as the path of an address.
fn address(name: &str) -> String {
    format!("/{}", encode_path(name))
}
