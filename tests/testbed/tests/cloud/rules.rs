//! Copies that arrive damaged, and sources that change in mid-copy.
#![expect(clippy::unwrap_used, reason = "stories of the model")]

use testbed::cloud::{CloudModel, Comparison, Corruption, Costs, Damage, Files, Overwrite, Place, Workload};

use crate::support::World;

fn model(world: &World) -> &CloudModel {
    world.model.as_ref().unwrap()
}

fn place(account: &str, container: &str) -> Place {
    Place { account: account.into(), container: container.into() }
}

/// What is different after each of three blobs was copied.
async fn differences(world: &World, rule: impl Fn(&str) -> Corruption) -> Vec<String> {
    let (west, east) = world.containers().await;
    let mut files = Files::new("f/", 3, 1000).with_md5().of_type("video/mp4");
    files.metadata = [("one".to_owned(), "1".to_owned())].into();
    let workload = Workload { account: "west".into(), container: west.name.clone(), files: vec![files] };
    model(world).seed(&workload).unwrap();
    model(world).corrupt(rule(&east.name));
    for number in 0..3 {
        let name = format!("f/{number:07}");
        east.copy(&name, &west.url(&name, "r")).send().await.is(202, "");
    }
    let ignored_metadata = Vec::new();
    let (left, right) = (place("west", &west.name), place("east", &east.name));
    let found = model(world).compare(&Comparison { left, right, ignored_metadata }).unwrap();
    assert_eq!((found.left_blobs, found.right_blobs, found.left_bytes), (3, 3, 3000));
    assert_eq!(found.count, found.named.len() as u64);
    model(world).clear_rules();
    found.named
}

#[tokio::test]
async fn each_damage_is_what_it_says() {
    let world = World::model().await;
    for (damage, told) in [
        (Damage::FlipByte, "content"),
        (Damage::Truncate, "size"),
        (Damage::DropMetadata, "metadata"),
        (Damage::DropContentType, "headers"),
        (Damage::DropMd5, "md5"),
    ] {
        let rule = |container: &str| Corruption {
            account: "east".into(),
            container: container.into(),
            name: "f/*1".into(),
            damage,
            times: None,
        };
        assert_eq!(differences(&world, rule).await, [format!("f/0000001: {told}")]);
    }
    let once = |container: &str| Corruption {
        account: "east".into(),
        container: container.into(),
        name: "*".into(),
        damage: Damage::FlipByte,
        times: Some(2),
    };
    assert_eq!(differences(&world, once).await.len(), 2);
    let elsewhere = |_: &str| Corruption { container: "another".into(), ..once("") };
    assert!(differences(&world, elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_block_list_is_damaged_too() {
    let world = World::model().await;
    let place = world.container(&world.east).await;
    let rule = Corruption {
        account: "east".into(),
        container: place.name.clone(),
        name: "a".into(),
        damage: Damage::Truncate,
        times: Some(1),
    };
    model(&world).corrupt(rule);
    for expected in ["012", "0123"] {
        place.block("a", "YQ==").body("0123").send().await.is(201, "");
        place.commit("a", &["YQ=="]).send().await.is(201, "");
        assert_eq!(place.get("a").send().await.text(), expected);
    }
}

#[tokio::test]
async fn a_source_changes_in_mid_copy() {
    let world = World::model().await;
    let (west, east) = world.containers().await;
    let etag = west.upload("a", "0123456789").await;
    let (account, container, name) = ("west".to_owned(), west.name.clone(), "a".to_owned());
    model(&world).overwrite(Overwrite { account, container, name, after_copies: 2, size: Some(20) });
    let source = west.url("a", "r");
    let stage = async |id: &str| {
        let call = east.block("copy", id).header("x-ms-copy-source", source.as_str());
        call.header("x-ms-source-range", "bytes=0-4").header("x-ms-source-if-match", &etag).send().await
    };
    stage("YQ==").await.is(201, "");
    assert_eq!(west.head("a").send().await.header("etag"), etag);
    stage("Yg==").await.is(201, "");
    stage("Yw==").await.is(412, "SourceConditionNotMet");
    let changed = west.head("a").send().await;
    assert_ne!(changed.header("etag"), etag);
    assert_eq!((changed.header("content-length"), changed.header("content-type")), ("20", "video/mp4"));
    assert!(!changed.header("content-md5").is_empty());
}

#[tokio::test]
async fn a_pending_copy_fails() {
    let world = World::with_costs(Costs { async_fixed_milliseconds: 1.0, ..Costs::none() }).await;
    let (west, east) = world.containers().await;
    west.upload("a", "0123456789").await;
    let rule = Corruption {
        account: "east".into(),
        container: east.name.clone(),
        name: "copy".into(),
        damage: Damage::FailPending,
        times: Some(1),
    };
    model(&world).corrupt(rule);
    east.put("copy").header("x-ms-copy-source", west.url("a", "r").as_str()).send().await.is(202, "");
    let look = async {
        loop {
            let head = east.head("copy").send().await;
            if head.header("x-ms-copy-status") != "pending" {
                break head;
            }
        }
    };
    let head = tokio::time::timeout(std::time::Duration::from_secs(60), look).await.unwrap();
    assert_eq!((head.header("x-ms-copy-status"), head.header("content-length")), ("failed", "0"));
    assert!(!head.header("x-ms-copy-status-description").is_empty());
}
