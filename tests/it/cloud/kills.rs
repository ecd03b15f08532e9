//! A copy that is killed again and again: each run goes on with what is there, and asks for nothing twice.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures::FutureExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testbed::cloud::{CloudModel, Costs, Files, Operation};

use super::{CONTAINER, MIB, differences, world_of};
use crate::faults::seed;
use crate::support::{Worker, within};

const KILLS: usize = 20;

/// Six films and two thousand segments.
fn mixed() -> Vec<Files> {
    let films = [50, 100, 200, 400, 600, 800].map(|size| Files::new(&format!("film-{size}.mp4"), 1, size * MIB));
    let segments = [1, 2, 3, 4].map(|size| Files::new(&format!("segment-{size}-"), 500, size * MIB / 4));
    films.into_iter().chain(segments).collect()
}

/// How often each blob was copied as a whole, and each block of one; by name and block id.
fn copied(model: &CloudModel) -> BTreeMap<(String, String), usize> {
    let mut copied = BTreeMap::new();
    let is_copy = |operation| matches!(operation, Operation::PutBlobFromUrl | Operation::PutBlockFromUrl);
    for request in model.log().into_iter().filter(|request| is_copy(request.operation) && request.status == 201) {
        *copied.entry((request.blob, request.block_id)).or_default() += 1;
    }
    copied
}

#[tokio::test]
async fn killed_at_20_random_points_it_copies_nothing_twice() -> Result<()> {
    let seed = seed();
    let (world, model) = world_of(Costs::default(), mixed()).await?;
    model.keep_log(20_000);
    let arguments = ["copy", "west", "east", CONTAINER];
    let mut random = StdRng::seed_from_u64(seed);
    // 2,000 segments and, of the films, 225 blocks at least.
    let mut points: Vec<u64> = (0..KILLS).map(|_| random.random_range(1..2220)).collect();
    points.sort_unstable();
    for point in points {
        let worker = Worker::spawn_command(&world.config(), &arguments)?;
        let is_there = model.until(|counters| {
            let done = |operation| counters.answers.get(&operation).and_then(|answers| answers.get(&201)).copied();
            let [whole, blocks] = [Operation::PutBlobFromUrl, Operation::PutBlockFromUrl].map(done);
            whole.unwrap_or_default() + blocks.unwrap_or_default() >= point
        });
        within("the point", is_there.map(Ok)).await?;
        worker.kill().await?;
        // What the service was about to do when its client was gone is done or dropped.
        within("the last answer", model.until(|counters| counters.in_flight == 0).map(Ok)).await?;
    }
    let mut worker = Worker::spawn_command(&world.config(), &arguments)?;
    assert_eq!(worker.exit_code().await?, Some(0), "seed {seed}: {}", worker.log());
    assert_eq!(differences(&model)?, [""; 0], "seed {seed}");
    let copied = copied(&model);
    let twice: Vec<_> = copied.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "seed {seed}: copied again though it was there: {twice:?}");
    ensure!((2220..2300).contains(&copied.len()), "{} copies in all", copied.len());
    Ok(())
}
