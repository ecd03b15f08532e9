//! The outage brake: where one dependency fails job after job, one probe at a time is tried until one gets on, and the rest
//! of the backlog waits without using up its attempts. Each worker process has its own.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::{Dependency, Failure};
use crate::replication::Progress;
use crate::telemetry::Health;

/// Pause between a probe that failed and the next one.
const PROBE_PAUSE: Duration = Duration::from_secs(5);

/// For so long after a probe was due, only a message that has failed there may be it: others, such as large assets far from
/// the step that fails, may run for long and show nothing.
const KNOWN_FIRST: Duration = Duration::from_secs(15);

/// So many of them are remembered.
const KNOWN_MOST: usize = 64;

/// Messages are put off no faster than one in so long: a long backlog goes round slowly, and what is in between for
/// other dependencies is met soon enough.
const PUT_OFF_EVERY: Duration = Duration::from_millis(20);

/// The brakes of all dependencies.
#[derive(Debug, Clone)]
pub struct Brakes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Messages that fail in a row before a brake is put on; 0: none ever is.
    after: usize,
    health: Health,
    lines: Mutex<BTreeMap<Dependency, Line>>,
    next_put_off: Mutex<Instant>,
}

/// What is known of one dependency.
#[derive(Debug, Default)]
struct Line {
    /// Messages that failed there since a job last got on: so one message alone, whose asset may be at fault, is no outage.
    failed: BTreeSet<String>,
    /// Where the last of them failed: getting on there is what shows that it is over.
    step: Option<&'static str>,
    brake: Option<Brake>,
}

#[derive(Debug)]
struct Brake {
    since: Instant,
    is_probing: bool,
    next_probe: Instant,
}

impl Line {
    /// Whether a message has to wait: no probe is due, or another is the better one.
    fn is_shut_to(&self, id: &str) -> bool {
        self.brake.as_ref().is_some_and(|brake| {
            let wait = if self.failed.contains(id) { Duration::ZERO } else { KNOWN_FIRST };
            brake.is_probing || Instant::now() < brake.next_probe + wait
        })
    }
}

impl Brakes {
    /// Brakes that are put on when `after` messages in a row have failed; 0: never.
    pub fn new(after: u32, health: Health) -> Self {
        let next_put_off = Mutex::new(Instant::now());
        Self(Arc::new(Shared { after: after as usize, health, lines: Mutex::default(), next_put_off }))
    }

    /// The right to run the job of message `id`, which needs these. What one of them is behind a brake for, may run as its probe; otherwise the
    /// failure says what is down.
    ///
    /// # Errors
    /// `NeedsMoreTime`: the message is to be put off.
    pub fn enter(&self, id: &str, needed: Vec<Dependency>) -> Result<Passage, Failure> {
        let mut passage = self.pass(id);
        passage.add(needed).map(|()| passage)
    }

    /// The right to run whatever is down, such as for a message's last time.
    pub fn pass(&self, id: &str) -> Passage {
        Passage { brakes: self.clone(), id: id.to_owned(), needed: Vec::new(), probing: Vec::new() }
    }

    /// Waits for this message's turn to be put off.
    pub async fn pace(&self) {
        let turn = {
            let mut next = self.0.next_put_off.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + PUT_OFF_EVERY;
            turn
        };
        tokio::time::sleep_until(turn.into()).await;
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Dependency, Line>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to run one job. Dropped without a verdict (a job that was stopped, or failed by itself), it lets the next probe
/// run.
#[derive(Debug)]
pub struct Passage {
    brakes: Brakes,
    id: String,
    needed: Vec<Dependency>,
    probing: Vec<Dependency>,
}

impl Passage {
    /// Adds what turned out to be needed too.
    ///
    /// # Errors
    /// `NeedsMoreTime`, as with [`Brakes::enter`].
    pub fn add(&mut self, needed: Vec<Dependency>) -> Result<(), Failure> {
        let needed: Vec<_> = needed.into_iter().filter(|one| !self.needed.contains(one)).collect();
        let mut lines = self.brakes.lines();
        let shut = needed.iter().find(|one| lines.get(*one).is_some_and(|line| line.is_shut_to(&self.id)));
        if let Some(down) = shut {
            return Err(is_down(down));
        }
        for dependency in &needed {
            if let Some(brake) = lines.get_mut(dependency).and_then(|line| line.brake.as_mut()) {
                brake.is_probing = true;
                self.probing.push(dependency.clone());
                tracing::debug!(%dependency, "probing");
            }
        }
        drop(lines);
        self.needed.extend(needed);
        Ok(())
    }

    /// The job got on in this step: whatever failed there last works again.
    pub fn got_on(&self, step: &str) {
        self.works(|line| line.step == Some(step));
    }

    /// Watches a job until it is dropped: what it gets on in works again.
    pub async fn watch(&self, progress: &Progress) -> Infallible {
        let (mut steps, mut seen) = (progress.steps(), 0);
        loop {
            let passed = steps.borrow_and_update().clone();
            passed[seen..].iter().for_each(|step| self.got_on(step));
            seen = passed.len();
            if steps.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The job is done: all that it needed works.
    pub fn succeeded(self) {
        self.works(|_| true);
    }

    /// The job has failed. `true`: what failed is behind a brake, so that this uses up no attempt.
    #[must_use]
    pub fn failed(mut self, failure: &Failure) -> bool {
        let after = self.brakes.0.after;
        let Some(dependency) = failure.dependency().filter(|_| after > 0) else { return false };
        let mut lines = self.brakes.lines();
        let line = lines.entry(dependency.clone()).or_default();
        if line.failed.len() < after.max(KNOWN_MOST) {
            line.failed.insert(self.id.clone());
        }
        line.step = failure.step;
        let next_probe = Instant::now() + PROBE_PAUSE;
        match &mut line.brake {
            None if line.failed.len() < after => return false,
            None => {
                self.brakes.0.health.down(&dependency.to_string());
                line.brake = Some(Brake { since: Instant::now(), is_probing: false, next_probe });
                tracing::error!(
                    %dependency, failed = after, code = failure.code, step = failure.step, error = %failure,
                    "outage: from now on one job at a time is tried there, until one gets on"
                );
            }
            Some(brake) if self.probing.contains(&dependency) => {
                (brake.is_probing, brake.next_probe) = (false, next_probe);
                self.probing.retain(|probed| *probed != dependency);
            }
            Some(_) => {}
        }
        true
    }

    fn works(&self, is_meant: impl Fn(&Line) -> bool) {
        let mut lines = self.brakes.lines();
        for dependency in &self.needed {
            if !lines.get(dependency).is_some_and(&is_meant) {
                continue;
            }
            if let Some(brake) = lines.remove(dependency).and_then(|line| line.brake) {
                self.brakes.0.health.up(&dependency.to_string());
                tracing::info!(%dependency, seconds = brake.since.elapsed().as_secs(), "outage over: full width again");
            }
        }
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut lines = self.brakes.lines();
        for dependency in &self.probing {
            let Some(line) = lines.get_mut(dependency) else { continue };
            if let Some(brake) = &mut line.brake {
                // Without a verdict: again those first that may give one, which this message is no longer taken for.
                brake.is_probing = false;
                brake.next_probe = Instant::now();
                line.failed.remove(&self.id);
            }
        }
    }
}

fn is_down(dependency: &Dependency) -> Failure {
    let message = format!("{dependency} is down: one job at a time is tried there, until one gets on");
    Failure::needs_more_time("dependency-down", message, PROBE_PAUSE).at_site(&dependency.site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Part;

    const LATE: &str = "verify_playback";

    fn streaming() -> Dependency {
        Dependency { site: "east".parse().unwrap(), part: Part::Streaming }
    }

    fn enter(brakes: &Brakes, id: &str) -> Option<Passage> {
        brakes.enter(id, vec![streaming()]).ok()
    }

    fn fail(passage: Passage) -> bool {
        let mut failure = Failure::transient("down", "no answer").at_site(&streaming().site).at_step(LATE);
        failure.part = Some(Part::Streaming);
        passage.failed(&failure)
    }

    /// A brake that `a` and `b` have put on.
    fn put_on() -> Brakes {
        let brakes = Brakes::new(2, Health::default());
        let (a, b) = (enter(&brakes, "a").unwrap(), enter(&brakes, "b").unwrap());
        assert!(!fail(a) && fail(b));
        brakes
    }

    /// Lets a probe be due since so long.
    fn due_since(brakes: &Brakes, time: Duration) {
        let mut lines = brakes.lines();
        let brake = lines.get_mut(&streaming()).unwrap().brake.as_mut().unwrap();
        brake.next_probe = Instant::now().checked_sub(time).unwrap();
    }

    #[test]
    fn who_has_failed_is_the_probe_and_others_only_where_none_of_them_comes() {
        let brakes = put_on();
        assert!(enter(&brakes, "a").is_none(), "no probe is due yet");
        due_since(&brakes, Duration::ZERO);
        assert!(enter(&brakes, "other").is_none(), "those who failed go first");
        let probe = enter(&brakes, "a").unwrap();
        assert!(enter(&brakes, "b").is_none(), "one at a time");
        assert!(fail(probe), "it costs no attempt");
        due_since(&brakes, KNOWN_FIRST);
        assert!(enter(&brakes, "other").is_some());
    }

    #[test]
    fn a_probe_without_a_verdict_gives_way_to_one_that_has_failed() {
        let brakes = put_on();
        due_since(&brakes, KNOWN_FIRST);
        let large = enter(&brakes, "large").unwrap();
        large.got_on("copy_blobs");
        drop(large);
        assert!(enter(&brakes, "larger").is_none(), "it is no more use");
        let known = enter(&brakes, "b").unwrap();
        known.got_on(LATE);
        drop(known);
        assert!(enter(&brakes, "larger").is_some() && enter(&brakes, "largest").is_some(), "full width");
    }

    #[test]
    fn one_that_shows_nothing_does_not_keep_others_from_probing_for_ever() {
        let brakes = put_on();
        for id in ["a", "b"] {
            due_since(&brakes, Duration::ZERO);
            drop(enter(&brakes, id).unwrap());
            assert!(enter(&brakes, id).is_none(), "it had its turn");
        }
        due_since(&brakes, KNOWN_FIRST);
        assert!(fail(enter(&brakes, "other").unwrap()));
        due_since(&brakes, Duration::ZERO);
        assert!(enter(&brakes, "other").is_some(), "now it is known too");
    }

    #[test]
    fn a_job_that_is_done_ends_the_outage_whoever_it_is() {
        let brakes = put_on();
        brakes.pass("last time").succeeded();
        assert!(enter(&brakes, "other").is_none(), "it is not known what that one needed");
        due_since(&brakes, KNOWN_FIRST);
        enter(&brakes, "other").unwrap().succeeded();
        assert!(enter(&brakes, "c").is_some() && enter(&brakes, "d").is_some());
    }
}
