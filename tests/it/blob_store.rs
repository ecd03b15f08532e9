//! The blob store room against a real Azurite: listing, copying on the server side, and what refusals become.

mod answers;
mod faults;
pub(crate) mod scripted;
mod world;

use std::time::Duration;

use anyhow::Result;
use stream_replicator::blob_store::{Container, CopyOptions};
use stream_replicator::failure::{Failure, FailureKind};
use stream_replicator::model::{Blob, BlobKind, CopyStatus};
use testbed::storage::{PutKind, PutOptions};
use world::{AWKWARD_NAMES, Log, World, account_at, differences, exposes, named, options, settings};

#[tokio::test]
async fn a_listing_has_every_blob_with_its_headers_metadata_and_kind() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    for name in AWKWARD_NAMES {
        world.west.put(&container, name, name, options()).await?;
    }
    let of_kind = |blob_type| PutOptions { blob_type, ..options() };
    world.west.put(&container, "staged", "abc", of_kind(PutKind::Staged)).await?;
    world.west.put(&container, "page", vec![7_u8; 512], of_kind(PutKind::Page)).await?;
    world.west.put(&container, "append", "abc", of_kind(PutKind::Append)).await?;
    world.west.snapshot(&container, AWKWARD_NAMES[0]).await?;

    let (source, of) = (world.source.clone().with_page_size(4), container.clone());
    let listing = tokio::spawn(async move { source.container(&of).list().await }).await??;
    let mut expected: Vec<&str> = AWKWARD_NAMES.to_vec();
    expected.extend(["staged", "page", "append"]);
    expected.sort_unstable();
    assert_eq!(listing.iter().map(|blob| blob.name.as_str()).collect::<Vec<_>>(), expected);

    let blob = named(&listing, AWKWARD_NAMES[0])?;
    let head = world.west.head(&container, AWKWARD_NAMES[0]).await?.unwrap();
    assert_eq!((blob.size_bytes, &blob.etag, blob.kind), (head.size, &head.etag, BlobKind::Block));
    assert_eq!(blob.properties.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(blob.properties.cache_control.as_deref(), Some("max-age=60"));
    assert_eq!(blob.properties.content_encoding.as_deref(), Some("identity"));
    assert_eq!(blob.properties.content_language.as_deref(), Some("de"));
    assert_eq!(blob.properties.content_disposition.as_deref(), Some("inline"));
    assert_eq!((&blob.md5_text(), head.content_md5.is_some()), (&head.content_md5, true));
    assert_eq!(blob.metadata.get("cms").map(String::as_str), Some("4711; \"x\" <y>"));
    assert_eq!((blob.copy_status, blob.last_modified.is_some()), (None, true));

    let staged = named(&listing, "staged")?;
    assert_eq!((staged.kind, staged.content_md5), (BlobKind::Block, None));
    assert_eq!(named(&listing, "page")?.kind, BlobKind::Page);
    assert_eq!(named(&listing, "append")?.kind, BlobKind::Append);
    Ok(())
}

/// All blobs of a container one by one, by their names.
async fn read(container: &Container) -> Result<Vec<String>, Failure> {
    let (mut blobs, mut names) = (container.blobs(), Vec::new());
    while let Some(blob) = blobs.next().await? {
        names.push(blob.name);
    }
    Ok(names)
}

#[tokio::test]
async fn a_listing_is_read_page_by_page_and_put_in_order_where_the_service_has_another() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    for number in 0..9 {
        world.west.put(&container, &format!("{number}"), "x", options()).await?;
    }
    let source = world.source.clone().with_page_size(2).container(&container);
    assert_eq!(read(&source).await?, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);

    // Azurite sorts by UTF-16 units: the clapper board is two of them, both below the full-width stop.
    for name in ["\u{ff0e}.mp4", "\u{1f3ac}.mp4"] {
        world.west.put(&container, name, "x", options()).await?;
    }
    let failure = read(&source).await.unwrap_err();
    assert_eq!(failure.code, "listing-unordered");
    assert_eq!(failure.kind, FailureKind::NeedsMoreTime { check_after: Duration::ZERO });
    let names = read(&source).await?;
    assert_eq!(names[8..], ["8", "\u{ff0e}.mp4", "\u{1f3ac}.mp4"]);
    Ok(())
}

#[tokio::test]
async fn an_empty_container_is_an_empty_listing_and_a_missing_one_a_permanent_failure() -> Result<()> {
    let world = World::start().await?;
    assert_eq!(world.source.container(&world.container().await?).list().await?, []);
    let failure = world.source.container("no-such-container").list().await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "container-missing"));
    assert!(failure.hint.unwrap().contains("lost its container"));
    assert_eq!(failure.site.unwrap().to_string(), "west");
    Ok(())
}

#[tokio::test]
async fn a_copy_is_equal_to_its_source_in_everything() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    for name in AWKWARD_NAMES {
        world.west.put(&container, name, name, options()).await?;
    }
    world.west.put(&container, "empty", "", options()).await?;
    world.west.put(&container, "plain", "abc", PutOptions::default()).await?;
    world.west.put(&container, "no md5", "abc", PutOptions { blob_type: PutKind::Staged, ..options() }).await?;
    // an older copy, longer and with other headers, is overwritten
    world.east.put(&container, "plain", "something else", options()).await?;

    let source = world.source.container(&container).list().await?;
    let copies = source.iter().cloned().map(|blob| {
        let (container, source, replica) = (container.clone(), world.source.clone(), world.replica.clone());
        // on other threads, as a worker does it
        tokio::spawn(async move {
            replica.container(&container).copy_whole(&source.container(&container), &blob, CopyOptions::default()).await
        })
    });
    for copy in futures::future::try_join_all(copies).await? {
        copy?;
    }
    let replica = world.replica.container(&container).list().await?;
    assert_eq!(differences(&source, &replica), []);
    for (blob, copy) in source.iter().zip(&replica) {
        let from =
            copy.copied_from.as_ref().map(|from| (from.etag.as_str(), from.site.as_ref().map(|site| site.as_str())));
        assert_eq!(from, Some((blob.etag.as_str(), Some("west"))), "{}", blob.name);
        assert_eq!(copy.copy_status, Some(CopyStatus::Success));
        assert!(blob.is_complete_in(copy), "{}", blob.name);
        let bytes = world.east.get(&container, &blob.name, None).await?.unwrap().bytes;
        assert_eq!(bytes, world.west.get(&container, &blob.name, None).await?.unwrap().bytes);
    }
    Ok(())
}

#[tokio::test]
async fn a_source_that_changed_or_went_since_the_listing_is_not_copied() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    world.west.put(&container, "a", "first", options()).await?;
    let listing = world.source.container(&container).list().await?;
    let blob = named(&listing, "a")?;

    world.west.put(&container, "a", "second", options()).await?;
    let failure = world.copy(&container, blob).await.unwrap_err();
    assert_eq!((failure.is_transient(), failure.code), (true, "source-changed"));
    assert!(failure.message.contains("changed during the copy"), "{failure}");

    world.west.delete(&container, "a").await?;
    let failure = world.copy(&container, blob).await.unwrap_err();
    assert_eq!((failure.is_transient(), failure.code), (true, "source-gone"));
    assert_eq!(failure.site.unwrap().to_string(), "west");
    assert_eq!(world.east.head(&container, "a").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_copy_into_a_lost_container_is_a_permanent_failure_of_the_replica() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    world.west.put(&container, "a", "x", options()).await?;
    let blob = world.source.container(&container).list().await?[0].clone();
    world.east.delete_container(&container).await?;
    let failure = world.copy(&container, &blob).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "container-missing"));
    assert_eq!(failure.site.unwrap().to_string(), "east");
    Ok(())
}

#[tokio::test]
async fn a_wrong_key_is_denied_whichever_side_has_it_and_no_secret_is_told() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    world.west.put(&container, "a", "x", options()).await?;
    let blob: Blob = world.source.container(&container).list().await?[0].clone();
    let wrong = account_at(world.west.endpoint().as_str(), "west", world.east.key_base64(), &settings())?;

    let failures = [
        (wrong.container(&container).list().await.unwrap_err(), "storage-denied"),
        (wrong.verify_reachable().await.unwrap_err(), "storage-denied"),
        (
            wrong
                .container(&container)
                .copy_whole(&world.replica.container(&container), &blob, CopyOptions::default())
                .await
                .unwrap_err(),
            "storage-denied",
        ),
        (
            world
                .replica
                .container(&container)
                .copy_whole(&wrong.container(&container), &blob, CopyOptions::default())
                .await
                .unwrap_err(),
            "source-denied",
        ),
    ];
    for (failure, code) in failures {
        assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, code), "{failure}");
        assert_eq!(failure.site.as_ref().unwrap().to_string(), "west", "{failure}");
        assert!(failure.hint.is_some());
        assert!(!exposes(&failure, &[world.east.key_base64(), world.west.key_base64()]), "{failure:?}");
    }
    assert!(!format!("{wrong:?}").contains(world.east.key_base64()));
    Ok(())
}

#[tokio::test]
async fn no_log_line_tells_a_signature() -> Result<()> {
    let world = World::start().await?;
    let container = world.container().await?;
    world.west.put(&container, "a", "x", options()).await?;
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());
    let blob = world.source.container(&container).list().await?[0].clone();
    world.copy(&container, &blob).await?;
    world.copy("no-such-container", &blob).await.unwrap_err();
    drop(guard);
    let text = log.text();
    let bad: Vec<&str> = text.lines().filter(|line| line.contains("sig=") && !line.contains("sig=REDACTED")).collect();
    assert!(text.contains("storage call is tried again") || text.contains("DEBUG"), "nothing was logged");
    assert_eq!(bad, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_check_tells_an_unreachable_service_from_one_that_answers() -> Result<()> {
    let world = World::start().await?;
    let source = world.source.clone();
    tokio::spawn(async move { source.verify_reachable().await }).await??;

    // a port that was free a moment ago: nobody listens there
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let silent = account_at(&format!("http://{address}/west"), "west", world.west.key_base64(), &settings())?;
    let failure = silent.verify_reachable().await.unwrap_err();
    assert_eq!((failure.is_transient(), failure.code), (true, "storage-unreachable"));
    assert!(failure.message.contains("refused"), "the cause is told: {failure}");
    assert!(!exposes(&failure, &[world.west.key_base64()]), "{failure:?}");
    Ok(())
}
