//! The storage client against a real Azurite.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use testbed::storage::{BlobInfo, PutKind, PutOptions, Storage, StoredPolicy};
use time::{Duration, OffsetDateTime};

async fn west() -> Storage {
    testbed::process::shared().await.unwrap().storage("west").unwrap()
}

async fn container(storage: &Storage) -> String {
    let name = format!("asset-{}", uuid::Uuid::new_v4());
    storage.create_container(&name).await.unwrap();
    name
}

fn names(blobs: &[BlobInfo]) -> Vec<&str> {
    blobs.iter().map(|blob| blob.name.as_str()).collect()
}

async fn status(url: url::Url) -> u16 {
    reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap().status().as_u16()
}

fn full() -> PutOptions {
    PutOptions {
        content_type: Some("video/mp4".into()),
        cache_control: Some("max-age=60".into()),
        content_encoding: Some("identity".into()),
        content_language: Some("de".into()),
        content_disposition: Some("attachment; filename=\"a b.mp4\"".into()),
        metadata: BTreeMap::from([("origin".into(), "west, really".into()), ("Layer".into(), "1".into())]),
        ..PutOptions::default()
    }
}

#[tokio::test]
async fn keeps_what_was_put() {
    let storage = west().await;
    let container = container(&storage).await;
    storage.create_container(&container).await.unwrap();
    assert!(storage.list_containers().await.unwrap().contains(&container));
    storage.put(&container, "movie_320x180_150.mp4", "0123456789", full()).await.unwrap();

    let head = storage.head(&container, "movie_320x180_150.mp4").await.unwrap().unwrap();
    assert_eq!((head.size, head.blob_type.as_str()), (10, "BlockBlob"));
    assert_eq!(head.content_md5.as_deref(), Some("eB5eJF1ptWaXm4bijSPyxw=="));
    let listed = storage.list(&container).await.unwrap().unwrap().remove(0);
    for info in [&head, &listed] {
        let full = full();
        assert_eq!(info.content_type, full.content_type);
        assert_eq!(info.cache_control, full.cache_control);
        assert_eq!(info.content_encoding, full.content_encoding);
        assert_eq!(info.content_language, full.content_language);
        assert_eq!(info.content_disposition, full.content_disposition);
        assert_eq!(info.metadata["origin"], "west, really");
        assert_eq!(info.metadata["layer"], "1");
        assert_eq!(info.etag.trim_matches('"'), head.etag.trim_matches('"'));
        assert_eq!(info.last_modified, head.last_modified);
    }

    let all = storage.get(&container, "movie_320x180_150.mp4", None).await.unwrap().unwrap();
    assert_eq!((&all.bytes[..], all.total_size, all.info.size), (&b"0123456789"[..], 10, 10));
    let part = storage.get(&container, "movie_320x180_150.mp4", Some((2, 4))).await.unwrap().unwrap();
    assert_eq!((&part.bytes[..], part.total_size, part.info.size), (&b"234"[..], 10, 10));
    assert_eq!(part.info.content_md5, head.content_md5);
    storage.delete_container(&container).await.unwrap();
}

#[tokio::test]
async fn writes_every_kind_of_blob() {
    let storage = west().await;
    let container = container(&storage).await;
    for (name, blob_type) in [
        ("block", PutKind::Block),
        ("staged", PutKind::Staged),
        ("page", PutKind::Page),
        ("append", PutKind::Append),
        ("", PutKind::Block),
    ] {
        for (size, md5) in [(0, false), (1024, false), (1024, true)] {
            let name = format!("{name}-{size}-{md5}");
            let options = PutOptions { blob_type, content_md5: md5, ..full() };
            storage.put(&container, &name, vec![7; size], options).await.unwrap();
            let body = storage.get(&container, &name, None).await.unwrap().unwrap();
            assert_eq!(body.bytes, vec![7; size], "{name}");
            // of the headers alone: Azurite hashes while it sends a body
            let head = storage.head(&container, &name).await.unwrap().unwrap();
            assert_eq!(head.content_md5.is_some(), md5 || blob_type == PutKind::Block, "{name}");
        }
    }
    let odd = storage.put(&container, "odd", "abc", PutOptions { blob_type: PutKind::Page, ..full() }).await;
    assert!(odd.is_err());
    storage.delete_container(&container).await.unwrap();
}

#[tokio::test]
async fn names_survive_their_encoding() {
    let storage = west().await;
    let container = container(&storage).await;
    let odd = [
        "100%.mp4",
        "a b+c&d=e.mp4",
        "deep/er/file(1).mp4",
        "it's;here,'@:.mp4",
        "prüfung/日本.mp4",
        "q?x#y.mp4",
        "~[x]{y}^`|\".mp4",
    ];
    for name in odd {
        storage.put(&container, name, name.as_bytes().to_vec(), PutOptions::default()).await.unwrap();
    }
    let listed = storage.list(&container).await.unwrap().unwrap();
    let mut expected = odd.to_vec();
    expected.sort_unstable();
    let mut found = names(&listed);
    found.sort_unstable();
    assert_eq!(found, expected);
    let sas = storage.container_sas(&container, "r", OffsetDateTime::now_utc() + Duration::hours(1));
    for name in odd {
        assert!(storage.head(&container, name).await.unwrap().is_some(), "{name}");
        assert_eq!(status(storage.blob_url(&container, name, Some(&sas))).await, 200, "{name}");
    }
    storage.delete_container(&container).await.unwrap();
}

#[tokio::test]
async fn absent_things_are_absent_not_errors() {
    let storage = west().await;
    assert!(storage.list("no-such-container").await.unwrap().is_none());
    assert!(storage.get("no-such-container", "x", None).await.unwrap().is_none());
    assert!(storage.head("no-such-container", "x").await.unwrap().is_none());
    storage.delete("no-such-container", "x").await.unwrap();
    storage.delete_container("no-such-container").await.unwrap();
    let error = storage.put("no-such-container", "x", "y", PutOptions::default()).await.unwrap_err().to_string();
    assert!(error.contains("ContainerNotFound"), "{error}");
}

#[tokio::test]
async fn signatures_and_stored_policies_open_a_container() {
    let storage = west().await;
    let container = container(&storage).await;
    storage.put(&container, "a.mp4", "x", PutOptions::default()).await.unwrap();
    let expiry = OffsetDateTime::now_utc() + Duration::hours(1);
    let url = |sas: &str| storage.blob_url(&container, "a.mp4", Some(sas));
    assert_ne!(status(storage.blob_url(&container, "a.mp4", None)).await, 200);
    assert_eq!(status(url(&storage.container_sas(&container, "rl", expiry))).await, 200);
    assert_eq!(status(url(&storage.container_sas(&container, "l", expiry))).await, 403);
    assert_eq!(status(url(&storage.container_sas(&container, "rl", expiry - Duration::hours(2)))).await, 403);

    let by_policy = storage.container_sas_by_policy(&container, "nb:lid:UUID:1 & <2>");
    assert_eq!(status(url(&by_policy)).await, 403);
    let policy = |id: &str| StoredPolicy { id: id.into(), permissions: "rl".into(), start: None, expiry };
    let mut policies = vec![policy("nb:lid:UUID:1 & <2>")];
    storage.set_stored_policies(&container, &policies).await.unwrap();
    assert_eq!(status(url(&by_policy)).await, 200);
    policies[0].start = Some(expiry);
    storage.set_stored_policies(&container, &policies).await.unwrap();
    assert_eq!(status(url(&by_policy)).await, 403);
    storage.set_stored_policies(&container, &[]).await.unwrap();
    assert_eq!(status(url(&by_policy)).await, 403);
    assert!(storage.set_stored_policies(&container, &vec![policy("x"); 6]).await.is_err());
    storage.delete_container(&container).await.unwrap();
}

#[tokio::test]
async fn snapshots_stay_out_of_listings() {
    let storage = west().await;
    let container = container(&storage).await;
    storage.put(&container, "a.mp4", "x", PutOptions::default()).await.unwrap();
    storage.snapshot(&container, "a.mp4").await.unwrap();
    assert_eq!(storage.list(&container).await.unwrap().unwrap().len(), 1);
    storage.delete(&container, "a.mp4").await.unwrap();
    assert!(storage.list(&container).await.unwrap().unwrap().is_empty());
    storage.delete_container(&container).await.unwrap();
}

#[test]
fn the_key_stays_secret() {
    let storage = Storage::new("http://127.0.0.1:1/west".parse().unwrap(), "west", "c2VjcmV0").unwrap();
    assert!(!format!("{storage:?}").contains("c2VjcmV0"));
    assert!(Storage::new("http://127.0.0.1:1/west".parse().unwrap(), "west", "not base64").is_err());
}
