//! Tries a storage call again in process, after a wait with full jitter or as long as the service asks for.

use std::time::{Duration, Instant};

use backon::Retryable;

use crate::failure::Failure;
use crate::http::{FullJitter, TRY_WITHIN};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Runs `call` up to `tries` times, as long as its failure may pass by itself.
pub async fn run<T, Call, Answer>(tries: usize, call: Call) -> Result<T, Failure>
where
    Call: FnMut() -> Answer,
    Answer: Future<Output = Result<T, Failure>>,
{
    run_until(tries, None, call).await
}

/// The same, with no further try after `until`: each may be silent for minutes.
pub async fn run_until<T, Call, Answer>(tries: usize, until: Option<Instant>, call: Call) -> Result<T, Failure>
where
    Call: FnMut() -> Answer,
    Answer: Future<Output = Result<T, Failure>>,
{
    let (mut looked_again, begun) = (false, Instant::now());
    call.retry(FullJitter { base: FIRST_WAIT, cap: LONGEST_WAIT, delays: tries.saturating_sub(1) })
        .when(move |failure: &Failure| match failure.code {
            _ if begun.elapsed() >= TRY_WITHIN || until.is_some_and(|until| Instant::now() >= until) => false,
            // the listing that named this version is out of date: only a new listing helps
            "source-changed" => false,
            // somebody had a reason: at least they get a pause
            "copy-aborted" => false,
            // a fresh signature, or a second look, once: what stays gone or denied is reported at once
            "source-denied" | "source-gone" => !std::mem::replace(&mut looked_again, true),
            _ => failure.is_transient(),
        })
        // a wait that the service wants longer than ours is for the retry queues
        .adjust(|failure, wait| match failure.retry_after() {
            Some(asked) if asked > LONGEST_WAIT => None,
            asked => wait.map(|wait| wait.max(asked.unwrap_or_default())),
        })
        .notify(|failure, wait| tracing::debug!(code = failure.code, ?wait, "storage call is tried again: {failure}"))
        .await
}
