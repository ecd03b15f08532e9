//! Which pieces of a stream both sites are asked for.

use std::collections::BTreeSet;

use crate::manifests::{Manifest, Named, Role, Summary, Target};

/// Where all segments are checked, so many are known at once: of a longer manifest, the next ones are found by reading it
/// again.
const AT_ONCE: u64 = 20_000;

/// What a manifest names, by the names of their paths.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Playlists.
    pub playlists: BTreeSet<String>,
    /// Media: segments, or what comes before them.
    pub media: BTreeSet<String>,
    /// Where the ones after these begin.
    pub next: u64,
}

/// Which segments are to be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The first, the middle and the last one of each rendition.
    OfEach,
    /// Of the first rendition alone: the others are made of files that are checked elsewhere.
    OfFirst,
    /// All.
    All,
}

impl Pieces {
    /// The next ones that are to be checked, from the `first`-th name on; `None` after the last one.
    pub fn find(manifest: &Manifest, summary: &Summary, which: Choice, first: u64) -> Option<Self> {
        let next = if which == Choice::All { first + AT_ONCE } else { u64::MAX };
        let mut chosen = Self { next, ..Self::default() };
        let mut seen = vec![0; summary.renditions.len()];
        let mut number = 0;
        let visited = manifest.visit(&mut |named| {
            let at = number;
            number += 1;
            let is_wanted = wanted(&named, summary, which, &mut seen);
            if !(first..next).contains(&at) || !is_wanted {
                return;
            }
            // what lies elsewhere is not ours to check; who may name what is looked at before anything is copied
            if let Target::Inside(name) = named.target {
                let names = if named.role == Role::Playlist { &mut chosen.playlists } else { &mut chosen.media };
                names.insert(name);
            }
        });
        // it has been visited before, and to its end
        visited.ok().filter(|_| first < number).map(|_| chosen)
    }
}

/// `seen`: segments of each rendition before this one.
fn wanted(named: &Named, summary: &Summary, which: Choice, seen: &mut [u64]) -> bool {
    if which == Choice::OfFirst && named.rendition.is_some_and(|rendition| rendition > 0) {
        return false;
    }
    match named.role {
        Role::Playlist | Role::Initialization => true,
        Role::Key | Role::Other => false,
        Role::Segment => {
            let Some(rendition) = named.rendition else { return true };
            let (Some(at), Some(rendition)) = (seen.get_mut(rendition), summary.renditions.get(rendition)) else {
                return true;
            };
            let (place, all) = (*at, rendition.segments);
            *at += 1;
            which == Choice::All || place == 0 || place == all / 2 || place + 1 == all
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(segments: usize, which: Choice) -> Vec<String> {
        let body = (0..segments)
            .fold("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"i.mp4\"\n".to_owned(), |text, n| {
                text + &format!("#EXTINF:2,\n{n}.m4s\n")
            });
        let manifest = Manifest::read("a/b.m3u8", None, None, body.into_bytes()).unwrap();
        let summary = manifest.visit(&mut |_| ()).unwrap();
        let (mut first, mut found) = (0, Vec::new());
        while let Some(pieces) = Pieces::find(&manifest, &summary, which, first) {
            found.extend(pieces.media);
            first = pieces.next;
        }
        found
    }

    #[test]
    fn a_sample_is_the_first_the_middle_and_the_last() {
        let sample = |segments| media(segments, Choice::OfEach);
        assert_eq!(sample(9), ["a/0.m4s", "a/4.m4s", "a/8.m4s", "a/i.mp4"]);
        assert_eq!(sample(2), ["a/0.m4s", "a/1.m4s", "a/i.mp4"]);
        assert_eq!(sample(1), ["a/0.m4s", "a/i.mp4"]);
    }

    #[test]
    fn all_are_all_however_many_there_are() {
        for segments in [3, 2 * AT_ONCE as usize, 2 * AT_ONCE as usize + 7] {
            let mut found = media(segments, Choice::All);
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), segments + 1);
        }
    }
}
