//! What is to be copied: found while both sites are listed.

use futures::Stream;
use futures::stream::try_unfold;

use crate::failure::Failure;
use crate::model::{Blob, CopyStatus, Pair};
use crate::replication::join::Join;
use crate::replication::progress::Progress;

/// So many manifests are kept in mind for when all media are there; with more of them both sites are listed again then.
const MANIFESTS: usize = 1024;

/// One blob to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// As the source has it.
    pub blob: Blob,
    /// What is there at the replica.
    pub target: Target,
}

/// What a blob's name stands for at the replica, as its listing tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// For nothing: not even a block of it is staged.
    Nothing,
    /// For a blob that is not what it should be, or for blocks that nobody has committed.
    Something,
    /// For a blob onto which a copy is under way.
    PendingCopy,
}

impl Task {
    /// `None` where nothing is to be done, as the copy is complete, or the source has no such blob.
    fn of(pair: Pair) -> Option<Self> {
        match pair {
            Pair::Source(blob) => Some(Self { blob, target: Target::Nothing }),
            Pair::Replica(_) => None,
            Pair::Both(blob, copy) if blob.is_complete_in(&copy) => None,
            Pair::Both(blob, copy) => {
                let is_pending = copy.copy_status == Some(CopyStatus::Pending);
                Some(Self { blob, target: if is_pending { Target::PendingCopy } else { Target::Something } })
            }
        }
    }
}

/// When a blob is copied: a player that sees it must find what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// First: what names nothing.
    Media,
    /// Then: manifests that name media only.
    Playlist,
    /// Last: manifests that players begin with.
    Master,
}

/// Says of the blobs of an asset when they are copied, by their names.
pub trait Order: Sync {
    /// When the blob of this name is copied.
    fn turn(&self, name: &str) -> Turn;
}

/// The order of an asset whose manifests nobody has read: by the endings of their names.
#[derive(Debug)]
pub struct ByName;

impl Order for ByName {
    fn turn(&self, name: &str) -> Turn {
        const MANIFESTS: [&str; 4] = [".ism", ".ismc", ".mpd", ".m3u8"];
        let name = name.to_ascii_lowercase();
        if MANIFESTS.iter().any(|ending| name.ends_with(ending)) { Turn::Master } else { Turn::Media }
    }
}

/// The manifests that are to be copied after all media are there, so that no player ever sees one whose media are missing.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The first of them.
    pub tasks: Vec<Task>,
    /// Whether there are more.
    pub are_more: bool,
}

impl Manifests {
    fn remember(&mut self, task: Task) {
        if self.tasks.len() < MANIFESTS {
            self.tasks.push(task);
        } else {
            self.are_more = true;
        }
    }
}

/// The media that are to be copied, in the order of their names. What is complete is counted, manifests are remembered.
pub fn media<'a>(
    join: Join,
    order: &'a dyn Order,
    manifests: &'a mut Manifests,
    progress: &'a Progress,
) -> impl Stream<Item = Result<Task, Failure>> + use<'a> {
    try_unfold((join, manifests), move |(mut join, manifests)| async move {
        while let Some(pair) = join.next().await? {
            let size_bytes = pair.source().map(|blob| blob.size_bytes);
            match (Task::of(pair), size_bytes) {
                (Some(task), _) if order.turn(&task.blob.name) > Turn::Media => manifests.remember(task),
                (Some(task), _) => return Ok(Some((task, (join, manifests)))),
                (None, Some(size_bytes)) => progress.skipped(size_bytes),
                (None, None) => {}
            }
        }
        Ok(None)
    })
}

/// The manifests of one turn that are to be copied.
pub fn manifests(join: Join, order: &dyn Order, turn: Turn) -> impl Stream<Item = Result<Task, Failure>> + use<'_> {
    try_unfold(join, move |mut join| async move {
        while let Some(pair) = join.next().await? {
            if let Some(task) = Task::of(pair).filter(|task| order.turn(&task.blob.name) == turn) {
                return Ok(Some((task, join)));
            }
        }
        Ok(None)
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::Target::{Nothing, PendingCopy, Something};
    use super::*;
    use crate::replication::join::Reading;

    fn blob(name: &str, size_bytes: u64) -> Blob {
        Blob { content_md5: Some([7; 16]), ..Blob::sample(name, size_bytes) }
    }

    fn join(source: &[Blob], replica: &[Blob]) -> Join {
        let kept = |blobs: &[Blob]| Reading::Kept(Vec::from(blobs).into_iter());
        Join::new(kept(source), kept(replica))
    }

    fn names(tasks: &[Task]) -> Vec<(&str, Target)> {
        tasks.iter().map(|task| (task.blob.name.as_str(), task.target)).collect()
    }

    #[tokio::test]
    async fn media_first_manifests_later_complete_ones_not_at_all() {
        let source = [blob("a.mp4", 1), blob("b.mp4", 9), blob("m.ISM", 99), blob("t.jpg", 0), blob("x.mp4", 5)];
        let pending = Blob { copy_status: Some(CopyStatus::Pending), ..blob("a.mp4", 1) };
        let replica = [pending, blob("b.mp4", 2), blob("stray.mp4", 1), blob("x.mp4", 5)];
        let (mut later, progress) = (Manifests::default(), Progress::default());
        let tasks: Vec<_> = media(join(&source, &replica), &ByName, &mut later, &progress).try_collect().await.unwrap();
        assert_eq!(names(&tasks), [("a.mp4", PendingCopy), ("b.mp4", Something), ("t.jpg", Nothing)]);
        assert_eq!((names(&later.tasks), later.are_more), (vec![("m.ISM", Nothing)], false));
        assert_eq!((progress.snapshot().files_done, progress.snapshot().bytes_done), (1, 5));
    }

    #[tokio::test]
    async fn more_manifests_than_are_kept_in_mind_are_found_again() {
        let names: Vec<_> = (0..MANIFESTS + 2).map(|number| format!("{number:05}.m3u8")).collect();
        let source: Vec<_> = names.iter().map(|name| blob(name, 1)).collect();
        let (mut later, progress) = (Manifests::default(), Progress::default());
        let tasks: Vec<_> = media(join(&source, &[]), &ByName, &mut later, &progress).try_collect().await.unwrap();
        assert_eq!((tasks.len(), later.tasks.len(), later.are_more), (0, MANIFESTS, true));
        let rest: Vec<_> =
            manifests(join(&source, &source[..MANIFESTS]), &ByName, Turn::Master).try_collect().await.unwrap();
        assert_eq!(rest.len(), 2);
    }
}
