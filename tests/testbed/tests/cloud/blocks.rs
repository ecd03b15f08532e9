//! Blocks: staged, listed, committed, refused.

use std::collections::BTreeMap;

use reqwest::Method;

use crate::support::{Reply, World};

/// Ids of one length.
const IDS: [&str; 3] = ["YmxvY2stMA==", "YmxvY2stMQ==", "YmxvY2stMg=="];

fn listed(reply: &Reply, list: &str) -> Vec<(String, u64)> {
    reply.is(200, "");
    reply.blocks(list).into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

pub async fn a_list_commits_blocks(world: &World) {
    let place = world.container(&world.west).await;
    for (id, body) in IDS.iter().zip(["0123", "4567", "89"]) {
        place.block("a", id).body(body).send().await.is(201, "");
    }
    place.head("a").send().await.is(404, "BlobNotFound");
    let list = async |kind: &str| place.get("a").query("comp", "blocklist").query("blocklisttype", kind).send().await;
    let all = list("all").await;
    assert_eq!(all.header("x-ms-blob-content-length"), "0");
    assert!(listed(&all, "CommittedBlocks").is_empty());
    assert_eq!(listed(&all, "UncommittedBlocks"), [(IDS[0].into(), 4), (IDS[1].into(), 4), (IDS[2].into(), 2)]);
    assert_eq!(listed(&list("uncommitted").await, "UncommittedBlocks").len(), 3);

    // not in the order in which they came, and one is left out
    let commit = place.commit("a", &[IDS[2], IDS[0]]);
    let commit = commit.header("x-ms-blob-content-type", "video/mp4").header("x-ms-meta-one", "1").send().await;
    commit.is(201, "");
    let got = place.get("a").send().await;
    assert_eq!((got.text(), got.header("content-type"), got.header("x-ms-meta-one")), ("890123", "video/mp4", "1"));
    assert_eq!(got.header("etag"), commit.header("etag"));
    assert_eq!(place.head("a").send().await.header("content-md5"), "", "nobody has said what it is");
    let all = list("all").await;
    assert_eq!(listed(&all, "CommittedBlocks"), [(IDS[0].into(), 4), (IDS[2].into(), 2)]);
    assert!(listed(&all, "UncommittedBlocks").is_empty(), "what was left out is gone");
    assert_eq!((all.header("x-ms-blob-content-length"), all.header("etag")), ("6", commit.header("etag")));

    let md5 = "eB5eJF1ptWaXm4bijSPyxw==";
    place.block("a", IDS[1]).body("x").send().await.is(201, "");
    let again = place.commit("a", &[IDS[1]]).header("x-ms-blob-content-md5", md5).send().await;
    again.is(201, "");
    let got = place.get("a").send().await;
    assert_eq!((got.text(), got.header("content-md5")), ("x", md5), "it is kept as it was given");
    assert_eq!((got.header("content-type"), got.header("x-ms-meta-one")), ("application/octet-stream", ""));
    place.commit("a", &[]).send().await.is(201, "");
    assert_eq!(place.head("a").send().await.header("content-length"), "0");
}

pub async fn block_ids_and_lists_that_are_refused(world: &World) {
    let place = world.container(&world.west).await;
    place.block("a", IDS[0]).body("x").send().await.is(201, "");
    let other_length = place.block("a", "YQ==").body("x").send().await;
    other_length.is(400, "InvalidBlobOrBlock");
    let long = "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
    let long = place.block("b", long).body("x").send().await;
    assert_eq!(long.status, 400, "65 bytes at least");
    assert_eq!(place.block("b", "no base64!").body("x").send().await.status, 400);
    let empty = place.block("b", IDS[0]).send().await;
    assert_eq!(empty.status, world.but_azurite(400, 201, "Azurite takes empty blocks"));
    let wrong = place.block("b", IDS[0]).body("x").header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").send().await;
    wrong.is(400, "Md5Mismatch");
    place.commit("a", &[IDS[0], IDS[1]]).send().await.is(400, "InvalidBlockList");
    let broken = place.put("a").query("comp", "blocklist").body("<BlockList><Latest>").send().await;
    assert_eq!(broken.status, 400);
    place.head("a").send().await.is(404, "BlobNotFound");
}

pub async fn blocks_of_a_newer_version(world: &World) {
    let place = world.container(&world.west).await;
    for (id, body) in IDS.iter().zip(["a", "b", "c"]) {
        place.block("a", id).body(body).send().await.is(201, "");
    }
    place.commit("a", &IDS).send().await.is(201, "");
    let etag = place.head("a").send().await.header("etag").to_owned();
    place.block("a", IDS[1]).body("B").send().await.is(201, "");
    let head = place.head("a").send().await;
    assert_eq!(head.header("etag"), etag, "a staged block changes nothing");
    let commit = async |list: String| {
        let call = place.put("a").query("comp", "blocklist").body(format!("<BlockList>{list}</BlockList>"));
        call.send().await
    };
    let [zero, one, two] = IDS;
    commit(format!("<Committed>{zero}</Committed><Uncommitted>{two}</Uncommitted>")).await.is(400, "InvalidBlockList");
    commit(format!("<Committed>{zero}</Committed><Latest>{one}</Latest><Committed>{two}</Committed>"))
        .await
        .is(201, "");
    assert_eq!(place.get("a").send().await.text(), "aBc");
    place.block("a", one).body("X").send().await.is(201, "");
    commit(format!("<Committed>{one}</Committed><Committed>{zero}</Committed>")).await.is(201, "");
    assert_eq!(place.get("a").send().await.text(), "Ba");
    // a blob in one piece has no blocks, and its writing throws the staged ones away
    place.block("a", two).body("Y").send().await.is(201, "");
    place.upload("a", "whole").await;
    let list = place.get("a").query("comp", "blocklist").query("blocklisttype", "all").send().await;
    assert!(listed(&list, "CommittedBlocks").is_empty());
    let why = "Azurite keeps what was staged before Put Blob";
    assert_eq!(listed(&list, "UncommittedBlocks").len(), world.but_azurite(0, 1, why));
}

pub async fn blocks_from_a_source(world: &World) {
    let (west, east) = world.containers().await;
    let etag = west.upload("a", "0123456789").await;
    let source = west.url("a", "r");
    let stage = |id: &str, range: &str| {
        let call = east.block("copy", id).header("x-ms-copy-source", source.as_str());
        if range.is_empty() {
            call
        } else {
            call.header("x-ms-source-range", range).header("x-ms-source-if-match", &etag)
        }
    };
    stage(IDS[0], "bytes=5-9").send().await.is(201, "");
    stage(IDS[1], "bytes=0-4").send().await.is(201, "");
    stage(IDS[2], "").send().await.is(201, "");
    east.commit("copy", &IDS).send().await.is(201, "");
    let copy = east.get("copy").send().await;
    assert_eq!(copy.text(), "56789012340123456789");
    assert_eq!(copy.header("content-type"), "application/octet-stream");
    let copy = east.head("copy").send().await;
    assert_eq!(copy.header("content-md5"), "");
    assert_eq!(copy.header("x-ms-copy-id"), "", "it is no Copy Blob");

    let changed = stage(IDS[0], "bytes=0-4").header("x-ms-source-if-match", "\"0x8D0000000000000\"").send().await;
    assert_eq!(changed.status, 412);
    let gone = east.block("copy", IDS[0]).header("x-ms-copy-source", west.url("gone", "r").as_str()).send().await;
    gone.is(404, "CannotVerifyCopySource");
    let denied = east.block("copy", IDS[0]).header("x-ms-copy-source", west.url("a", "l").as_str()).send().await;
    denied.is(403, "CannotVerifyCopySource");
    if world.model.is_some() {
        // Azurite stages an empty block
        stage(IDS[0], "bytes=10-12").send().await.is(416, "CannotVerifyCopySource");
        stage(IDS[0], "all of it").send().await.is(400, "InvalidHeaderValue");
    }
    let list = east.call(Method::GET, "copy").query("comp", "blocklist").query("blocklisttype", "uncommitted");
    assert!(listed(&list.send().await, "UncommittedBlocks").is_empty());
}
