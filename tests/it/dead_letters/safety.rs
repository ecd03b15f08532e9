//! Nothing is lost, whatever happens in the middle: kills, two operators at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testbed::tcp_proxy::TcpProxy;

use super::desk::{Desk, counted, letters};
use crate::support::{DEADLINE, Worker, eventually};

/// How many letters a killed run may have moved without having let go of them.
const WINDOW: usize = 30;
const LETTERS: usize = 250;
const LETTER_BYTES: usize = 2_000;
/// Bytes a second: half of the time letters are on their way to the work queue.
const SLOW: u32 = 100_000;

#[tokio::test]
async fn a_replay_that_is_killed_loses_nothing() -> Result<()> {
    killed_at_random_points(5).await
}

mod long {
    #[tokio::test]
    async fn a_replay_that_is_killed_at_20_points_loses_nothing() -> anyhow::Result<()> {
        super::killed_at_random_points(20).await
    }
}

async fn killed_at_random_points(points: u32) -> Result<()> {
    let seed = std::env::var("TESTBED_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("seed {seed}: TESTBED_SEED repeats it");
    let mut random = StdRng::seed_from_u64(seed);
    let desk = Desk::set_up().await?;
    let wire = TcpProxy::before_port(desk.vhost.broker().amqp_port()).await?;
    let (user, password, name) = (desk.vhost.user(), desk.vhost.password(), desk.vhost.name());
    desk.write_config(&format!("amqp://{user}:{password}@127.0.0.1:{}/{name}", wire.port()))?;
    let mut whole = None;
    let (mut in_the_middle, mut with_twice, mut most_twice) = (0, 0, 0);
    for point in 0..=points {
        let mut set_aside = letters(&format!("p{point}"), LETTERS, "permanent", "other");
        set_aside.iter_mut().for_each(|letter| letter.body = "x".repeat(LETTER_BYTES).into());
        desk.set_aside(set_aside).await?;
        let begin = Instant::now();
        let mut run = Worker::spawn_command(&desk.config(), &["dead-letters", "replay", "--all", "--yes"])?;
        match whole {
            // The first one shows how long it takes.
            None => {
                ensure!(run.exit_code().await? == Some(0), "{}", run.log());
                whole = Some(begin.elapsed());
            }
            Some(whole) => {
                if point % 3 == 0 {
                    // Where it is cut is what is random here; nothing is waited for.
                    tokio::time::sleep(whole.mul_f64(random.random_range(0.2..1.0))).await;
                } else {
                    // In the middle, where much is under way: it is slow, and lost like in a power cut.
                    let moved = random.random_range(1..LETTERS - 2 * WINDOW);
                    while desk.depth("replication.work").await? < u32::try_from(moved)? {}
                    wire.slow_down(SLOW);
                    tokio::time::sleep(Duration::from_millis(random.random_range(50..1_600))).await;
                }
                run.kill().await?;
                wire.reset();
                wire.heal();
            }
        }
        let (counts, cut) = drained_when_settled(&desk).await?;
        let of_now: BTreeMap<_, _> = counts.iter().filter(|(id, _)| id.starts_with(&format!("p{point}-"))).collect();
        assert_eq!(of_now.len(), LETTERS, "lost at point {point}: {of_now:?}");
        assert_eq!(of_now.len(), counts.len(), "strange letters");
        let twice = of_now.values().filter(|&&&count| count > 1).count();
        assert!(twice <= WINDOW && of_now.values().all(|&&count| count <= 2), "{twice} twice at point {point}");
        (with_twice, most_twice) = (with_twice + usize::from(twice > 0), most_twice.max(twice));
        in_the_middle += usize::from(cut);
    }
    println!(
        "{in_the_middle} of {points} kills came in the middle, {with_twice} left letters twice, at most {most_twice}"
    );
    Ok(())
}

/// Everything in both queues, when the broker has taken back what the killed run held; and whether both hold some of it.
async fn drained_when_settled(desk: &Desk) -> Result<(BTreeMap<String, usize>, bool)> {
    let (end, mut before) = (Instant::now() + DEADLINE, 0);
    loop {
        let now = desk.depth("replication.dead").await? + desk.depth("replication.work").await?;
        if now as usize >= LETTERS && now == before {
            break;
        }
        ensure!(Instant::now() < end, "only {now} letters are in the queues");
        before = now;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (mut all, moved) = (desk.drain("replication.dead").await?, desk.drain("replication.work").await?);
    let cut = !all.is_empty() && !moved.is_empty();
    all.extend(moved);
    Ok((counted(&all), cut))
}

#[tokio::test]
async fn two_replays_at_once_move_every_letter_once() -> Result<()> {
    let desk = Desk::set_up().await?;
    desk.set_aside(letters("x", 600, "permanent", "other")).await?;
    let (one, other) = tokio::try_join!(desk.run("replay --all --yes --json"), desk.run("replay --all --yes --json"))?;
    let moved = |output: &std::process::Output| -> Result<u64> {
        ensure!([Some(0), Some(2)].contains(&output.status.code()), "{output:?}");
        let account: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(account["moved"].as_u64().unwrap_or(0))
    };
    println!("moved {} and {}", moved(&one)?, moved(&other)?);
    assert_eq!(moved(&one)? + moved(&other)?, 600);
    let work = counted(&desk.drain("replication.work").await?);
    assert!(work.len() == 600 && work.values().all(|&count| count == 1), "moved twice: {work:?}");
    assert_eq!(desk.depth("replication.dead").await?, 0);

    // With other selectors, each gives back what the other wants.
    let (one, other) = (letters("y", 200, "expired", "y"), letters("z", 200, "expired", "z"));
    desk.set_aside(one.into_iter().zip(other).flat_map(|(one, other)| [one, other]).collect()).await?;
    tokio::try_join!(desk.run("replay --code y --yes"), desk.run("replay --code z --yes"))?;
    let mut all = desk.drain("replication.work").await?;
    all.extend(desk.drain("replication.dead").await?);
    let all = counted(&all);
    assert!(all.len() == 400 && all.values().all(|&count| count == 1), "lost or moved twice: {all:?}");
    Ok(())
}

/// What was discarded is gone and recorded; the rest lies where it lay, and a replay takes all of it, also what the killed
/// run had begun.
#[tokio::test]
async fn a_discard_that_is_killed_leaves_the_rest_to_a_replay() -> Result<()> {
    let desk = Desk::set_up().await?;
    let wire = TcpProxy::before_port(desk.vhost.broker().amqp_port()).await?;
    let (user, password, name) = (desk.vhost.user(), desk.vhost.password(), desk.vhost.name());
    desk.write_config(&format!("amqp://{user}:{password}@127.0.0.1:{}/{name}", wire.port()))?;
    desk.set_aside(letters("x", LETTERS, "permanent", "other")).await?;
    let words = ["dead-letters", "discard", "--all", "--yes", "--reason", "a story"];
    let run = Worker::spawn_command(&desk.config(), &words)?;
    while desk.depth("replication.dead").await? as usize > LETTERS - 2 * WINDOW {}
    wire.slow_down(SLOW);
    run.kill().await?;
    wire.reset();
    wire.heal();

    // The broker may need a moment to take back what the killed run held.
    let listed = eventually("the rest to be replayed", || async {
        let replay = desk.run("replay --all --yes").await?;
        ensure!([Some(0), Some(2)].contains(&replay.status.code()), "{replay:?}");
        let document = desk.json("list --all").await?;
        let letters = document["letters"].as_array().context("no letters")?.clone();
        Ok(letters.iter().all(|letter| letter["state"] != "open").then_some(letters))
    })
    .await?;
    assert_eq!((listed.len(), desk.depth("replication.dead").await?), (LETTERS, 0));
    let replayed = counted(&desk.drain("replication.work").await?);
    assert!(replayed.values().all(|&count| count == 1), "moved twice: {replayed:?}");
    ensure!(replayed.len() >= WINDOW / 2, "the kill came after the last letters: {}", replayed.len());
    for letter in listed {
        let (id, state) = (letter["id"].as_str().unwrap_or_default(), letter["state"].as_str());
        let expected: &[_] = if replayed.contains_key(id) { &["replayed"] } else { &["discarded", "unsure"] };
        assert!(state.is_some_and(|state| expected.contains(&state)), "{id} is {state:?}, not {expected:?}");
    }
    Ok(())
}
