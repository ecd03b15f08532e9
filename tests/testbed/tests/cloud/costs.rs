//! What the cost model does to requests. No story here looks at a clock: it is the order and the state that count.
#![expect(clippy::unwrap_used, reason = "stories of the model")]

use std::time::Duration;

use futures::future::join_all;
use testbed::cloud::{CloudModel, Costs, Faults, Files, Operation, Workload};

use crate::support::World;

const MIB: u64 = 1024 * 1024;

/// Copies that never end within a test.
fn endless() -> Costs {
    Costs {
        copy_fixed_milliseconds: 1e9,
        block_fixed_milliseconds: 1e9,
        async_fixed_milliseconds: 1e9,
        ..Costs::none()
    }
}

fn seed(world: &World, container: &str, files: Files) {
    let workload = Workload { account: "west".into(), container: container.into(), files: vec![files] };
    world.model.as_ref().unwrap().seed(&workload).unwrap();
}

async fn until_copies(model: &CloudModel, copies: u64) {
    let wait = model.until(|counters| counters.max_copies_in_flight == copies);
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

#[tokio::test]
async fn a_copy_is_pending_until_it_is_aborted() {
    let world = World::with_costs(endless()).await;
    let (west, east) = world.containers().await;
    west.upload("a", "0123456789").await;
    let url = west.url("a", "r");
    let started = east.put("copy").header("x-ms-copy-source", url.as_str()).send().await;
    started.is(202, "");
    assert_eq!(started.header("x-ms-copy-status"), "pending");
    let id = started.header("x-ms-copy-id");
    let head = east.head("copy").send().await;
    assert_eq!((head.header("content-length"), head.header("x-ms-copy-progress")), ("10", "0/10"));
    assert_eq!((head.header("x-ms-copy-status"), head.header("x-ms-copy-completion-time")), ("pending", ""));
    let listed = east.list().query("include", "copy").send().await;
    assert_eq!(listed.texts("CopyStatus"), ["pending"]);
    for refused in [
        east.put("copy").header("x-ms-copy-source", url.as_str()),
        east.put("copy").header("x-ms-blob-type", "BlockBlob"),
        east.block("copy", "YQ==").body("x"),
        east.get("copy"),
    ] {
        refused.send().await.is(409, "PendingCopyOperation");
    }
    let abort =
        |id: &str| east.put("copy").query("comp", "copy").query("copyid", id).header("x-ms-copy-action", "abort");
    abort("another").send().await.is(409, "CopyIdMismatch");
    abort(id).send().await.is(204, "");
    let head = east.head("copy").send().await;
    assert_eq!((head.header("content-length"), head.header("x-ms-copy-status")), ("0", "aborted"));
    abort(id).send().await.is(409, "NoPendingCopyOperation");
    east.upload("copy", "x").await;
}

#[tokio::test]
async fn a_pending_copy_gets_on_and_ends() {
    // 4 MiB pieces at 40 MiB/s: a tenth of a second each
    let costs = Costs { async_mib_per_second: Some(40.0), ..Costs::none() };
    let world = World::with_costs(costs).await;
    let (west, east) = world.containers().await;
    seed(&world, &west.name, Files::new("a", 1, 16 * MIB));
    east.put("copy").header("x-ms-copy-source", west.url("a", "r").as_str()).send().await.is(202, "");
    let mut seen = Vec::new();
    let look = async {
        loop {
            let head = east.head("copy").send().await;
            let done: u64 = head.header("x-ms-copy-progress").split_once('/').unwrap().0.parse().unwrap();
            seen.push(done);
            if head.header("x-ms-copy-status") == "success" {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.unwrap();
    assert!(seen.is_sorted() && seen.last() == Some(&(16 * MIB)), "{seen:?}");
    assert_eq!(world.model.as_ref().unwrap().counters().copied_bytes, 16 * MIB);
}

#[tokio::test]
async fn copies_cost_what_reads_do_not() {
    let world = World::with_costs(endless()).await;
    let (west, east) = world.containers().await;
    west.upload("a", "x").await;
    let url = west.url("a", "r");
    let copy = tokio::spawn(east.copy("copy", &url).send());
    let block = tokio::spawn(east.block("copy", "YQ==").header("x-ms-copy-source", url.as_str()).send());
    let model = world.model.as_ref().unwrap();
    until_copies(model, 2).await;
    west.get("a").send().await.is(200, "");
    east.head("copy").send().await.is(404, "BlobNotFound");
    assert!(!copy.is_finished() && !block.is_finished());
}

#[tokio::test]
async fn what_was_asked_for_is_done_though_nobody_waits() {
    let world = World::with_costs(Costs { copy_fixed_milliseconds: 200.0, ..Costs::none() }).await;
    let (west, east) = world.containers().await;
    west.upload("a", "x").await;
    let model = world.model.as_ref().unwrap();
    let copy = tokio::spawn(east.copy("copy", &west.url("a", "r")).send());
    until_copies(model, 1).await;
    copy.abort();
    assert!(copy.await.is_err());
    let done = model.until(|counters| counters.of(Operation::CopyBlobFromUrl) == 1);
    tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    east.head("copy").send().await.is(200, "");
}

#[tokio::test]
async fn what_is_over_the_limit_is_busy() {
    let world = World::model().await;
    let place = world.container(&world.west).await;
    let model = world.model.as_ref().unwrap();
    model.set_costs(Costs { requests_per_second: Some(1.0), ..Costs::none() });
    let replies = join_all((0..200).map(|_| place.head("x").send())).await;
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status == 503).collect();
    assert!(replies.iter().any(|reply| reply.status == 404), "one at least comes through");
    assert!(!busy.is_empty());
    for reply in &busy {
        assert_eq!((reply.code(), reply.header("retry-after")), ("ServerBusy", "1"));
    }
    assert_eq!(model.counters().with_status(503), busy.len() as u64);
    model.set_costs(Costs { requests_per_second: Some(0.001), retry_after_seconds: None, ..Costs::none() });
    let replies = join_all((0..10).map(|_| place.head("x").send())).await;
    let last = replies.iter().rfind(|reply| reply.status == 503).unwrap();
    assert_eq!(last.header("retry-after"), "");
    model.set_costs(Costs::none());
    place.head("x").send().await.is(404, "BlobNotFound");
}

#[tokio::test]
async fn a_busy_source_shows_at_the_target() {
    let world = World::model().await;
    let (west, east) = world.containers().await;
    west.upload("a", "x").await;
    let url = west.url("a", "r");
    let limit = Some(0.000_001);
    let model = world.model.as_ref().unwrap();
    model.set_costs(Costs { requests_per_second: limit, counts_copies_at_source: true, ..Costs::none() });
    west.head("a").send().await;
    // west has used up its one request, east has not
    let refused = east.copy("copy", &url).send().await;
    refused.is(503, "CannotVerifyCopySource");
    assert_eq!(refused.header("x-ms-copy-source-status-code"), "503");
    assert_eq!(refused.header("x-ms-copy-source-error-code"), "ServerBusy");
}

#[tokio::test]
async fn requests_fail_as_they_are_told() {
    let world = World::model().await;
    let (west, east) = world.containers().await;
    west.upload("a", "x").await;
    let url = west.url("a", "r");
    let model = world.model.as_ref().unwrap();
    let fail = |faults: Faults| model.set_costs(Costs { faults, ..Costs::none() });
    fail(Faults { timeout_share: 1.0, operations: vec![Operation::CopyBlobFromUrl], ..Faults::default() });
    east.copy("copy", &url).send().await.is(500, "OperationTimedOut");
    east.head("copy").send().await.is(404, "BlobNotFound");
    fail(Faults { busy_share: 1.0, ..Faults::default() });
    east.copy("copy", &url).send().await.is(503, "ServerBusy");
    let bare = async || world.http.put(east.url("copy", "w")).header("x-ms-requires-sync", "true");
    let copy = async || bare().await.header("x-ms-copy-source", url.as_str()).header("content-length", 0).send().await;
    fail(Faults { reset_share: 1.0, ..Faults::default() });
    assert!(copy().await.is_err());
    fail(Faults::default());
    east.head("copy").send().await.is(404, "BlobNotFound");
    fail(Faults { reset_after_share: 1.0, ..Faults::default() });
    assert!(copy().await.is_err());
    fail(Faults::default());
    east.head("copy").send().await.is(200, "");
    let resets = model.counters().answers[&Operation::CopyBlobFromUrl][&0];
    assert_eq!(resets, 2);
}

#[tokio::test]
async fn sizes_that_an_operation_does_not_take() {
    let world = World::model().await;
    let (west, east) = world.containers().await;
    seed(&world, &west.name, Files::new("fits", 1, 256 * MIB));
    seed(&world, &west.name, Files::new("large", 1, 256 * MIB + 1));
    seed(&world, &west.name, Files::new("huge", 1, 5000 * MIB + 1));
    let url = |name: &str| west.url(name, "r");
    east.copy("copy", &url("fits")).send().await.is(202, "");
    east.copy("copy", &url("large")).send().await.is(409, "CannotVerifyCopySource");
    let put = |name: &str| {
        let call = east.put("copy").header("x-ms-blob-type", "BlockBlob");
        call.header("x-ms-copy-source", url(name).as_str())
    };
    put("large").send().await.is(201, "");
    put("huge").send().await.is(409, "CannotVerifyCopySource");
    let block = || east.block("huge", "YQ==").header("x-ms-copy-source", url("huge").as_str());
    block().send().await.is(409, "CannotVerifyCopySource");
    let most = 4000 * MIB - 1;
    block().header("x-ms-source-range", &format!("bytes=0-{most}")).send().await.is(201, "");
    let model = world.model.as_ref().unwrap();
    model.set_costs(Costs { lacks_put_blob_from_url: true, ..Costs::none() });
    let lacking = put("fits").send().await;
    lacking.is(500, "");
    assert!(lacking.body.is_empty());
    let ids: String = (0..50_001).map(|_| "<Latest>YQ==</Latest>").collect();
    let list = format!("<BlockList>{ids}</BlockList>");
    east.put("huge").query("comp", "blocklist").body(list).send().await.is(400, "BlockListTooLong");
}

#[tokio::test]
async fn hundreds_of_copies_at_once() {
    let world = World::with_costs(endless()).await;
    let (west, east) = world.containers().await;
    seed(&world, &west.name, Files::new("f/", 300, 64 * 1024));
    for number in 0..300 {
        let name = format!("f/{number:07}");
        let put = east.put(&name).header("x-ms-blob-type", "BlockBlob");
        tokio::spawn(put.header("x-ms-copy-source", west.url(&name, "r").as_str()).send());
    }
    let model = world.model.as_ref().unwrap();
    until_copies(model, 300).await;
    east.head("f/0000000").send().await.is(404, "BlobNotFound");
}
