//! What the worker costs: the same messages through a bare lapin loop and through the worker, and where a job's time goes.

mod bare;
mod broker;
mod steps;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use broker::{Broker, UNUSABLE};
use world::{Worker, World};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The worker's program, a release build.
    pub worker: PathBuf,
    /// Deliveries at once.
    pub prefetch: u16,
    /// Unusable messages of one round.
    pub messages: u32,
    /// Rounds.
    pub rounds: usize,
    /// Jobs that find everything already replicated.
    pub jobs: u32,
}

/// Starts a broker, blob storage and media services (or takes those of `with-testbed`), measures, and prints a table.
///
/// # Errors
/// When something cannot be started, or does not do its work in time.
pub async fn measure(plan: &Plan) -> Result<()> {
    let program = &plan.worker;
    ensure!(program.exists(), "no worker at {}: cargo build --release -p stream-replicator", program.display());
    let world = World::start(plan).await?;
    // Declares everything, so that both find the same queues and bindings.
    Worker::start(&world, "").await?.end().await?;
    let broker = Broker::connect(&world.amqp_url()).await?;
    unusable(plan, &world, &broker).await?;
    replicated_already(plan, &world, &broker).await
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
async fn unusable(plan: &Plan, world: &World, broker: &Broker) -> Result<()> {
    println!(
        "unusable messages: {} a round, {UNUSABLE} bytes each, quorum queues, persistent, mandatory, confirmed, dead letter \
         stream bound, prefetch {}",
        plan.messages, plan.prefetch
    );
    // What the worker parks once is what the bare loop publishes: the same body with the same headers.
    broker.fill(1).await?;
    let worker = Worker::start(world, "").await?;
    let parked = broker.take_parked().await?;
    worker.end().await?;
    println!("{:>6} {:>16} {:>16} {:>12} {:>7}", "round", "bare, 1 channel", "bare, a channel", "worker", "ratio");
    println!("{:>6} {:>16} {:>16} {:>12} {:>7}", "", "msg/s", "each, msg/s", "msg/s", "to best");
    let mut rounds = Vec::new();
    for round in 1..=plan.rounds {
        let mut bare = [0.0; 2];
        for (rate, channels) in bare.iter_mut().zip([1, plan.prefetch]) {
            broker.empty().await?;
            broker.fill(plan.messages).await?;
            let bare = bare::Loop::start(&world.amqp_url(), plan.prefetch, channels, &parked).await?;
            *rate = broker.rate_of_parking(plan.messages).await?;
            bare.end().await;
        }
        broker.empty().await?;
        broker.fill(plan.messages).await?;
        let worker = Worker::start(world, "").await?;
        let rate = broker.rate_of_parking(plan.messages).await?;
        worker.end().await?;
        // The better of the two is what anybody would write.
        let ratio = rate / bare[0].max(bare[1]);
        println!("{round:>6} {:>16.0} {:>16.0} {rate:>12.0} {ratio:>7.2}", bare[0], bare[1]);
        rounds.push(ratio);
    }
    broker.empty().await?;
    rounds.sort_by(f64::total_cmp);
    let median = rounds.get(rounds.len() / 2).context("no rounds")?;
    println!("median ratio: {median:.2} (wanted: at least 0.80)");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
async fn replicated_already(plan: &Plan, world: &World, broker: &Broker) -> Result<()> {
    // So many that two messages of one asset hardly meet: they would wait for each other.
    let assets = world.assets(usize::from(plan.prefetch) * 4).await?;
    let mut events = broker.events().await?;
    let worker = Worker::start(world, "").await?;
    let announce = |number: usize| broker.announce(&assets[number % assets.len()]);
    for number in 0..assets.len() {
        announce(number).await?;
    }
    events.count(assets.len()).await.with_context(|| worker.log())?;
    worker.end().await?;

    let jobs = plan.jobs as usize;
    for number in 0..jobs {
        announce(number).await?;
    }
    let worker = Worker::start(world, "log_format = 'json'\nlog_filter = 'info,stream_replicator=debug'\n").await?;
    let took = events.count(jobs).await.with_context(|| worker.log())?;
    let log = worker.log();
    worker.end().await?;
    println!("\njobs that find everything already replicated: {jobs}, {} at once", plan.prefetch);
    println!("{:>8.0} jobs/s, {:.0} ms for one", jobs as f64 / took.as_secs_f64(), mean_ms(took, plan, jobs));
    println!("{:<24} {:>9} {:>7}", "step", "mean ms", "share");
    for step in steps::read(&log) {
        println!("{:<24} {:>9.1} {:>6.1}%", step.name, step.mean_ms, 100.0 * step.share);
    }
    Ok(())
}

/// How long one job took, as so many ran at once.
fn mean_ms(took: Duration, plan: &Plan, jobs: usize) -> f64 {
    1000.0 * took.as_secs_f64() * f64::from(plan.prefetch) / jobs as f64
}
