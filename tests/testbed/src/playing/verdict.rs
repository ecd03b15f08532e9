//! What a playback and the requests behind it must show, also where the source ends meanwhile, and when it may.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::film::{Format, PICTURES};
use super::front::Front;
use super::nginx::Answered;
use super::player::Played;

const CALM_LIMIT: Duration = Duration::from_secs(30);
/// A player asks for all sizes of a part together; between two parts it asks for nothing for longer than this.
const CALM: Duration = Duration::from_millis(200);
/// How often the front is asked what it has answered.
const LOOK: Duration = Duration::from_millis(20);

/// Who answered the requests of a viewer whose source went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedOver {
    /// How many the source answered.
    pub by_source: usize,
    /// How many the replica answered.
    pub by_replica: usize,
    /// How many of those the source was asked before, in vain: what the viewer would have seen fail.
    pub saved: usize,
}

/// Waits until so many requests are answered and, so that none is under way, no other has been for a while: no front
/// can repair an answer that breaks off in its middle.
///
/// # Errors
/// When that does not come in half a minute, or the front's log cannot be read.
pub async fn calm_after(requests: usize, front: &Front) -> Result<()> {
    let end = Instant::now() + CALM_LIMIT;
    let (mut seen, mut since) = (0, Instant::now());
    while seen < requests || since.elapsed() < CALM {
        let now = front.answered()?.len();
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        ensure!(Instant::now() < end, "the front has answered {seen} requests, and there is no calm moment");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Complete, and without a complaint: two sizes and their sounds, or one sound for both in DASH.
///
/// # Errors
/// When something is missing, or the player complained.
pub fn ensure_complete(format: Format, played: &Played) -> Result<()> {
    let sounds = if format == Format::Dash { 1 } else { 2 };
    ensure!(played.warnings.is_empty(), "{format:?}: the player complains: {}", played.warnings.join("; "));
    ensure!(played.streams.len() == 2 + sounds, "{format:?}: {} streams", played.streams.len());
    let pictures = [played.streams[0].len(), played.streams[1].len()];
    ensure!(pictures == [PICTURES; 2], "{format:?}: {pictures:?} pictures");
    ensure!(played.streams[0] != played.streams[1], "{format:?}: the sizes are alike");
    Ok(())
}

/// There were requests, and none of them failed.
///
/// # Errors
/// When one did, or there were none.
pub fn ensure_no_failure(answered: &[Answered]) -> Result<()> {
    let failed: Vec<_> = answered.iter().filter(|one| one.status >= 400 || !one.is_whole).collect();
    ensure!(!answered.is_empty(), "nothing was asked for");
    ensure!(failed.is_empty(), "{} of {} requests failed: {failed:?}", failed.len(), answered.len());
    Ok(())
}

/// The source answered the first part, the replica the rest, and no request failed.
///
/// # Errors
/// When it was not so.
pub fn ensure_failed_over(answered: &[Answered], source: &str, replica: &str) -> Result<FailedOver> {
    ensure_no_failure(answered)?;
    let sites: Vec<_> = answered.iter().filter_map(|one| one.asked.last().map(String::as_str)).collect();
    let by_source = sites.iter().position(|site| *site == replica).context("the replica was never asked")?;
    ensure!(by_source > 0 && sites[..by_source].iter().all(|site| *site == source), "{sites:?}");
    ensure!(sites[by_source..].iter().all(|site| *site == replica), "{sites:?}");
    let saved = answered.iter().filter(|one| one.asked == [source, replica]).count();
    ensure!(saved > 0, "the source was never asked in vain: {answered:?}");
    Ok(FailedOver { by_source, by_replica: sites.len() - by_source, saved })
}
