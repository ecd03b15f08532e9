//! Reads all manifests of an asset at the source: what they name must be there, and they tell in which order files appear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream;
use tokio::sync::Semaphore;
use url::Url;

use super::findings::{Findings, Rules, authority_of};
use super::place::Place;
use super::source::Packaged;
use crate::failure::Failure;
use crate::manifests::{Kind, Manifest, Problem, Summary};
use crate::model::{Blob, Protocol, ReplicationJob};
use crate::replication::engine::plan::{Order, Turn};
use crate::replication::names::Names;
use crate::replication::sites::Sites;
use crate::replication::source::incomplete;

/// No manifest has more bytes in storage.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// All that are read at once have no more, in MiB, decompressed.
const MIB_AT_ONCE: u32 = 64;
/// So many are read at once.
const AT_ONCE: usize = 16;
/// So many can be what players begin with.
const MOST_ENTRIES: usize = 1000;

/// What the manifests tell.
#[derive(Debug)]
pub struct Presentation {
    /// What players begin with, by protocol and name.
    pub entries: Vec<(Protocol, String)>,
    /// In which order files appear at the replica.
    pub order: ByContent,
    /// Hosts that keys come from.
    pub license_hosts: BTreeSet<String>,
}

/// The order of files whose manifests have been read.
#[derive(Debug)]
pub struct ByContent(BTreeMap<String, Turn>);

impl Order for ByContent {
    fn turn(&self, name: &str) -> Turn {
        self.0.get(name).copied().unwrap_or(Turn::Media)
    }
}

/// What is known of one manifest.
struct Read {
    name: String,
    kind: Kind,
    findings: Findings,
}

/// Does: reads every HLS playlist and MPD of the source; what they name must be part of the asset, by addresses that lead
/// there at any site.
/// Safe to repeat because: it only reads.
/// Fails as: `NeedsMoreTime` while files are not there yet, `Permanent` when a manifest is no manifest, sends players to the
/// source, or names what is not part of the asset.
pub async fn read_manifests(
    job: &ReplicationJob,
    asset: &Packaged,
    place: &Place,
    sites: &Sites,
) -> Result<Presentation, Failure> {
    let rules = Arc::new(rules(place, sites));
    let mut tree = Tree::default();
    tree.read(asset.manifests.clone(), job, asset, place, &rules).await.map_err(|it| it.at_site(&sites.source.name))?;
    // Playlists that neither their names nor their types tell, but those who name them.
    let mut looked_for = BTreeSet::new();
    loop {
        let unread: BTreeSet<_> = tree.named.iter().filter(|name| !tree.order.contains_key(*name)).cloned().collect();
        if unread.is_subset(&looked_for) {
            break;
        }
        let found = find(&unread, place).await?;
        tree.read(found, job, asset, place, &rules).await.map_err(|it| it.at_site(&sites.source.name))?;
        looked_for.extend(unread);
    }
    let Tree { order, named, license_hosts, all } = tree;
    let protocol = |kind| if kind == Kind::Dash { Protocol::Dash } else { Protocol::Hls };
    // A media playlist that no other one names is played by itself.
    let begins = all.into_iter().filter(|(name, kind)| *kind != Kind::HlsMedia || !named.contains(name));
    let mut entries: Vec<_> = begins.map(|(name, kind)| (protocol(kind), name)).collect();
    if entries.is_empty() {
        entries = asset.progressive.iter().map(|name| (Protocol::Progressive, name.clone())).collect();
    }
    // HLS before DASH, as the first one is the event's `relativePath`.
    entries.sort_by_key(|(protocol, _)| *protocol == Protocol::Dash);
    verify_entries(&entries, place).map_err(|failure| failure.at_site(&sites.source.name))?;
    Ok(Presentation { entries, order: ByContent(order), license_hosts })
}

/// All that has been read.
#[derive(Debug, Default)]
struct Tree {
    order: BTreeMap<String, Turn>,
    /// Playlists that others name.
    named: BTreeSet<String>,
    license_hosts: BTreeSet<String>,
    all: Vec<(String, Kind)>,
}

impl Tree {
    async fn read(
        &mut self,
        manifests: Vec<Blob>,
        job: &ReplicationJob,
        asset: &Packaged,
        place: &Place,
        rules: &Arc<Rules>,
    ) -> Result<(), Failure> {
        let room = Semaphore::new(MIB_AT_ONCE as usize);
        let reading = stream::iter(0..manifests.len());
        let reading = reading.map(|at| read_one(job, &manifests[at], place, rules, &asset.names, &room));
        let mut reading = reading.buffered(AT_ONCE);
        while let Some(read) = reading.next().await {
            let Read { name, kind, findings } = read?;
            self.order.insert(name.clone(), if kind == Kind::HlsMedia { Turn::Playlist } else { Turn::Master });
            self.named.extend(findings.playlists);
            self.license_hosts.extend(findings.key_hosts);
            self.all.push((name, kind));
        }
        Ok(())
    }
}

/// The blobs of these names.
async fn find(names: &BTreeSet<String>, place: &Place) -> Result<Vec<Blob>, Failure> {
    let (mut blobs, mut found) = (place.from.blobs(), Vec::new());
    while let Some(blob) = blobs.next().await? {
        if names.contains(&blob.name) {
            found.push(blob);
        }
    }
    Ok(found)
}

fn verify_entries(entries: &[(Protocol, String)], place: &Place) -> Result<(), Failure> {
    let location = &place.location;
    if entries.is_empty() {
        let message = format!("'{location}' holds nothing that can be played: no HLS, no DASH, no MP4");
        let hint = "check the encoder's output, and that the message names the right container and prefix";
        return Err(Failure::permanent("nothing-to-play", message).with_hint(hint));
    }
    if entries.len() > MOST_ENTRIES {
        let message = format!("'{location}' holds {} streams; one event can tell of {MOST_ENTRIES}", entries.len());
        let hint = "announce each film on its own, with the folder that it is in as `prefix`";
        return Err(Failure::permanent("too-many-manifests", message).with_hint(hint));
    }
    Ok(())
}

async fn read_one(
    job: &ReplicationJob,
    blob: &Blob,
    place: &Place,
    rules: &Arc<Rules>,
    names: &Arc<Names>,
    room: &Semaphore,
) -> Result<Read, Failure> {
    let name = &blob.name;
    if blob.size_bytes > MOST_BYTES {
        let message = format!("'{name}' has {} bytes; manifests of up to {MOST_BYTES} are read", blob.size_bytes);
        return Err(Failure::permanent("manifest-too-large", message).with_hint(HINT));
    }
    // What is compressed may be as large as may be.
    let mib = u32::try_from(blob.size_bytes / 1024 / 1024).unwrap_or(MIB_AT_ONCE) * 2 + 1;
    let mib = if blob.properties.content_encoding.is_some() { MIB_AT_ONCE } else { mib.min(MIB_AT_ONCE) };
    let _turn = room.acquire_many(mib).await;
    let bytes = place.from.read(blob).await?;
    let (rules_there, names, blob_there) = (Arc::clone(rules), Arc::clone(names), blob.clone());
    // It may take a while, and others are waiting for this thread.
    let parsed = tokio::task::spawn_blocking(move || parse(&blob_there, bytes, &rules_there, &names)).await;
    let parsed = parsed.map_err(|error| Failure::transient("panicked", format!("reading '{name}': {error}")))?;
    let (summary, findings) = parsed.map_err(|problem| {
        Failure::permanent(problem.code(), format!("manifest '{name}' {problem}")).with_hint(HINT)
    })?;
    findings.verify(job.received_at, name, rules)?;
    if !summary.is_complete {
        let message =
            format!("'{name}' says that more will be added (no #EXT-X-ENDLIST, or an MPD that is not static)");
        let hint = "announce a stream when it is complete: package it as video on demand";
        return Err(incomplete(job.received_at, ["manifest-not-complete-yet", "manifest-not-complete"], message)
            .with_hint(hint));
    }
    Ok(Read { name: name.clone(), kind: summary.kind, findings })
}

const HINT: &str = "players cannot use it: package the stream again, or remove the file, then replay";

fn parse(blob: &Blob, bytes: Vec<u8>, rules: &Rules, names: &Names) -> Result<(Summary, Findings), Problem> {
    let (content_type, encoding) = (&blob.properties.content_type, &blob.properties.content_encoding);
    let content_type = content_type.as_deref().filter(|told| Manifest::is_one(&blob.name, Some(told)));
    // without a name or a type that says more it is read because a playlist names it
    let content_type =
        content_type.or((!Manifest::is_one(&blob.name, None)).then_some("application/vnd.apple.mpegurl"));
    let manifest = Manifest::read(&blob.name, content_type, encoding.as_deref(), bytes)?;
    let mut findings = Findings::default();
    let summary = manifest.visit(&mut |named| findings.see(named, rules, names))?;
    Ok((summary, findings))
}

fn rules(place: &Place, sites: &Sites) -> Rules {
    let [source, replica] = &place.bases;
    let hosts = [source.as_str(), place.from.endpoint()];
    let path = |url: &Url| format!("{}/{}/", url.path().trim_end_matches('/'), place.location.container());
    Rules {
        location: place.location.clone(),
        source_hosts: hosts.into_iter().filter_map(authority_of).collect(),
        root: (path(source) == path(replica)).then(|| path(source)),
        source: sites.source.name.clone(),
    }
}
