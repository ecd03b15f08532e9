//! What the blob store room makes of answers that Azurite never gives: a busy service, copies that take time or fail,
//! Put Blob From URL, and listings as the real service writes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use stream_replicator::blob_store::{CopyOptions, Whole};
use stream_replicator::failure::Failure;
use stream_replicator::model::{Blob, BlobKind, BlobProperties, CopyStatus};
use stream_replicator::settings::HttpSettings;

use crate::blob_store::scripted::{Answer, KEY, Scripted};
use crate::blob_store::world::{exposes, settings};

const MIB: u64 = 1024 * 1024;

/// The MD5 of nothing: `1B2M2Y8AsgTpgAmY7PhCfg==`.
const EMPTY_MD5: [u8; 16] =
    [0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42, 0x7e];

fn blob(size_bytes: u64) -> Blob {
    Blob {
        name: "a b/c%.mp4".into(),
        size_bytes,
        kind: BlobKind::Block,
        etag: "\"0x8D\"".into(),
        last_modified: None,
        properties: Arc::new(BlobProperties { content_type: Some("video/mp4".into()), ..BlobProperties::default() }),
        content_md5: Some(EMPTY_MD5),
        metadata: [("cms".to_owned(), "4711".to_owned())].into(),
        copied_from: None,
        copy_status: None,
    }
}

async fn copy(scripted: &Scripted, settings: &HttpSettings, blob: &Blob) -> Result<Result<Whole, Failure>> {
    let (source, replica) = (scripted.account("west", settings)?, scripted.account("east", settings)?);
    Ok(replica.container("to").copy_whole(&source.container("from"), blob, CopyOptions::default()).await)
}

/// The failure of a single try that is answered by `answers`.
async fn refused(answers: Vec<Answer>, size_bytes: u64) -> Result<Failure> {
    let scripted = Scripted::start(answers).await?;
    let copied = copy(&scripted, &HttpSettings { tries: 1, ..settings() }, &blob(size_bytes)).await?;
    let failure = copied.err().context("it was copied")?;
    assert!(!exposes(&failure, &[KEY]), "{failure:?}");
    Ok(failure)
}

fn pending() -> Answer {
    Answer::new(202).with("x-ms-copy-id", "1").with("x-ms-copy-status", "pending")
}

/// The answer of a service that has no Put Blob From URL.
fn no_put() -> Answer {
    Answer::error(501, "APINotImplemented")
}

fn state(status: &str) -> Answer {
    Answer::new(200).with("x-ms-copy-id", "1").with("x-ms-copy-status", status)
}

#[tokio::test]
async fn put_blob_from_url_says_all_that_the_copy_must_keep() -> Result<()> {
    let scripted = Scripted::start(vec![Answer::new(201)]).await?;
    copy(&scripted, &settings(), &blob(5000 * MIB)).await??;
    let seen = scripted.seen();
    assert_eq!(seen.len(), 1);
    let lines: Vec<&str> = seen[0].lines().collect();
    assert!(lines[0].starts_with("PUT /east/to/a%20b/c%25.mp4?"), "{}", lines[0]);
    assert!(lines[0].contains("sr=b&sp=w&"), "no more than it needs: {}", lines[0]);
    for header in [
        "x-ms-blob-type: BlockBlob",
        "x-ms-source-if-match: \"0x8D\"",
        "x-ms-copy-source-blob-properties: false",
        "x-ms-blob-content-type: video/mp4",
        "x-ms-blob-content-md5: 1B2M2Y8AsgTpgAmY7PhCfg==",
        "x-ms-meta-cms: 4711",
        "x-ms-meta-stream_replicator_source_etag: \"0x8D\" west",
    ] {
        assert!(lines.contains(&header), "{header} is not in {lines:#?}");
    }
    let source = lines.iter().find_map(|line| line.strip_prefix("x-ms-copy-source: ")).unwrap();
    assert!(source.contains("/west/from/a%20b/c%25.mp4?") && source.contains("sr=b&sp=r&"), "{source}");
    Ok(())
}

#[tokio::test]
async fn a_service_without_put_blob_from_url_is_asked_for_it_once() -> Result<()> {
    let copied = Answer::new(202).with("x-ms-copy-id", "1").with("x-ms-copy-status", "success");
    for refusal in [Answer::error(501, "APINotImplemented"), Answer::new(500), Answer::new(400)] {
        let scripted = Scripted::start(vec![refusal, copied.clone()]).await?;
        let (source, replica) = (scripted.account("west", &settings())?, scripted.account("east", &settings())?);
        for _ in 0..2 {
            replica
                .clone()
                .container("to")
                .copy_whole(&source.container("from"), &blob(1), CopyOptions::default())
                .await?;
        }
        let is_sync: Vec<bool> = scripted.seen().iter().map(|head| head.contains("x-ms-requires-sync: true")).collect();
        assert_eq!(is_sync, [false, true, true]);
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_service_is_asked_for_a_page_again() -> Result<()> {
    let page = Answer::new(200).body("<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>");
    let scripted = Scripted::start(vec![Answer::new(0), Answer::new(200).body("<garbled"), page]).await?;
    assert_eq!(scripted.account("west", &settings())?.container("c").list().await?, []);
    assert_eq!(scripted.seen().len(), 3);
    Ok(())
}

#[tokio::test]
async fn the_next_page_is_fetched_while_one_is_read_and_its_failure_waits_for_its_turn() -> Result<()> {
    let page = "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob><Blob><Name>b</Name></Blob></Blobs>\
                <NextMarker>2</NextMarker></EnumerationResults>";
    let gone = Answer::error(404, "ContainerNotFound");
    let scripted = Scripted::start(vec![Answer::new(200).body(page), gone]).await?;
    let mut blobs = scripted.account("west", &settings())?.container("c").blobs();
    assert_eq!(blobs.next().await?.map(|blob| blob.name).as_deref(), Some("a"));
    let both = async {
        while scripted.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), both).await.context("the second page was not asked for")?;
    assert_eq!(blobs.next().await?.map(|blob| blob.name).as_deref(), Some("b"));
    let failure = blobs.next().await.unwrap_err();
    assert_eq!((failure.code, failure.site.unwrap().to_string().as_str()), ("container-missing", "west"));
    Ok(())
}

#[tokio::test]
async fn what_a_busy_service_asks_for_is_told() -> Result<()> {
    let scripted = Scripted::start(vec![Answer::error(503, "ServerBusy").with("retry-after", "120")]).await?;
    let failure = copy(&scripted, &settings(), &blob(1)).await?.unwrap_err();
    assert_eq!((failure.code, failure.retry_after().map(|wait| wait.as_secs())), ("storage-busy", Some(120)));
    assert_eq!(scripted.seen().len(), 1);
    let throttles = [
        (Answer::error(503, "ServerBusy"), true),
        (Answer::new(429), true),
        (Answer::error(500, "OperationTimedOut"), true),
        (Answer::error(500, "CannotVerifyCopySource").with("x-ms-copy-source-status-code", "503"), true),
        (Answer::error(500, "InternalError"), false),
        (Answer::error(403, "CannotVerifyCopySource"), false),
    ];
    for (answer, is_throttled) in throttles {
        assert_eq!(refused(vec![answer], 1).await?.is_throttled, is_throttled);
    }
    Ok(())
}

/// Copy Blob was asked for as a synchronous one, and the service makes it in its own time all the same.
#[tokio::test]
async fn a_copy_that_takes_time_is_awaited() -> Result<()> {
    let scripted = Scripted::start(vec![no_put(), pending(), state("pending"), state("success")]).await?;
    copy(&scripted, &settings(), &blob(1)).await??;
    let seen = scripted.seen();
    assert!(seen[2].starts_with("HEAD /east/to/a%20b/c%25.mp4?") && seen[2].contains("sr=b&sp=r&"), "{}", seen[2]);
    assert_eq!(seen.len(), 4);
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_for_the_service_is_left_to_blocks() -> Result<()> {
    let scripted = Scripted::start(vec![Answer::new(201)]).await?;
    assert_eq!(copy(&scripted, &settings(), &blob(5000 * MIB + 1)).await??, Whole::OnlyInBlocks);
    assert_eq!(scripted.seen().len(), 0);
    for refusal in [Answer::new(413), Answer::error(409, "CopySourceSizeTooLarge"), no_put()] {
        let scripted = Scripted::start(vec![refusal]).await?;
        assert_eq!(copy(&scripted, &settings(), &blob(257 * MIB)).await??, Whole::OnlyInBlocks);
        assert_eq!(scripted.seen().len(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_copy_that_takes_too_long_is_left_to_the_service() -> Result<()> {
    let how_far = state("pending").with("x-ms-copy-progress", "12/100");
    let scripted = Scripted::start(vec![no_put(), pending(), how_far]).await?;
    let options =
        CopyOptions { until: Instant::now().checked_add(Duration::from_millis(500)), ..CopyOptions::default() };
    let (source, replica) = (scripted.account("west", &settings())?, scripted.account("east", &settings())?);
    let copied = replica.container("to").copy_whole(&source.container("from"), &blob(1), options).await;
    let failure = copied.err().context("it was copied")?;
    assert_eq!((failure.kind.name(), failure.code), ("needs-more-time", "copy-pending"));
    assert!(failure.message.ends_with("still copying, 12 of 100 bytes so far"), "{failure}");

    // somebody's, and gone whenever it is looked at
    let conflict =
        vec![Answer::error(409, "PendingCopyOperation"), Answer::new(404), Answer::error(409, "PendingCopyOperation")];
    let failure = refused(conflict, 1).await?;
    assert_eq!((failure.kind.name(), failure.code), ("needs-more-time", "copy-pending"));
    Ok(())
}

#[tokio::test]
async fn a_copy_that_ends_badly_is_told_with_the_services_words() -> Result<()> {
    let size = 1;
    let failed = state("failed").with("x-ms-copy-status-description", "404 for http://h/west/a?sig=abc, Copy failed");
    let failure = refused(vec![no_put(), pending(), failed], size).await?;
    assert_eq!((failure.is_transient(), failure.code), (true, "copy-failed"));
    assert!(failure.message.ends_with("(404 for http://h/west/a Copy failed)"), "{failure}");

    let failure = refused(vec![no_put(), pending(), state("aborted")], size).await?;
    assert_eq!((failure.is_transient(), failure.code), (true, "copy-aborted"));
    let another = Answer::new(200).with("x-ms-copy-id", "2").with("x-ms-copy-status", "success");
    assert_eq!(refused(vec![no_put(), pending(), another], size).await?.code, "copy-aborted");
    assert_eq!(refused(vec![no_put(), pending(), Answer::new(200)], size).await?.code, "copy-aborted");
    Ok(())
}

#[tokio::test]
async fn every_refusal_has_its_kind() -> Result<()> {
    let source = |status| Answer::error(status, "CannotVerifyCopySource");
    let told = |status: u16| source(500).with("x-ms-copy-source-status-code", &status.to_string());
    let table = [
        (Answer::error(429, "TooManyRequests"), "transient", "storage-busy"),
        (Answer::new(502), "transient", "storage-busy"),
        (Answer::error(403, "AuthorizationFailure"), "permanent", "storage-denied"),
        (Answer::error(404, "ContainerNotFound"), "permanent", "container-missing"),
        (Answer::error(409, "ContainerBeingDeleted"), "transient", "storage-conflict"),
        (Answer::error(409, "BlobImmutableDueToPolicy"), "permanent", "storage-refused"),
        (Answer::error(412, "LeaseIdMissing"), "transient", "blob-leased"),
        (Answer::error(412, "SourceConditionNotMet"), "transient", "source-changed"),
        (Answer::error(400, "InvalidHeaderValue"), "permanent", "storage-refused"),
        (source(403), "permanent", "source-denied"),
        (source(404), "transient", "source-gone"),
        (source(500), "transient", "source-busy"),
        (told(403), "permanent", "source-denied"),
        (told(503), "transient", "source-busy"),
        (told(412), "transient", "source-changed"),
        (Answer::new(0), "transient", "storage-unreachable"),
    ];
    for (answer, kind, code) in table {
        let failure = refused(vec![answer], 1).await?;
        assert_eq!((failure.kind.name(), failure.code), (kind, code), "{failure}");
        assert_eq!(
            failure.hint.is_some(),
            ["storage-denied", "source-denied", "container-missing", "blob-leased", "storage-unreachable"]
                .contains(&code)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_listing_of_the_real_service_is_understood() -> Result<()> {
    let first = r#"<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://west.blob.core.windows.net/" ContainerName="c"><MaxResults>2</MaxResults><Blobs>
        <Blob><Name>b &amp; c</Name><Properties><Creation-Time>Fri, 20 Nov 2026 10:00:00 GMT</Creation-Time><Last-Modified>Fri, 20 Nov 2026 10:00:00 GMT</Last-Modified><Etag>0x8DCE</Etag><Content-Length>7</Content-Length><Content-Type>video/mp4</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5 /><Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><CopyId>1</CopyId><CopySource>https://x/y</CopySource><CopyStatus>pending</CopyStatus><CopyProgress>0/7</CopyProgress><ServerEncrypted>true</ServerEncrypted></Properties><Metadata><Cms>4711</Cms></Metadata><OrMetadata /></Blob>
        <Blob><Name Encoded="true">a%EF%BF%BE</Name><Properties><Etag>0x8DCF</Etag><Content-Length>0</Content-Length><Content-MD5>1B2M2Y8AsgTpgAmY7PhCfg==</Content-MD5><BlobType>PageBlob</BlobType></Properties><OrMetadata /></Blob>
        </Blobs><NextMarker>2!a+b/=</NextMarker></EnumerationResults>"#;
    let last = "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>";
    let scripted = Scripted::start(vec![Answer::new(200).body(first), Answer::new(200).body(last)]).await?;
    let listing = scripted.account("west", &settings())?.container("c").list().await?;

    let names: Vec<&str> = listing.iter().map(|blob| blob.name.as_str()).collect();
    assert_eq!(names, ["a\u{fffe}", "b & c"]);
    let (page, block) = (&listing[0], &listing[1]);
    assert_eq!((page.kind, page.md5_text().as_deref()), (BlobKind::Page, Some("1B2M2Y8AsgTpgAmY7PhCfg==")));
    assert_eq!(
        (block.etag.as_str(), block.size_bytes, block.copy_status),
        ("\"0x8DCE\"", 7, Some(CopyStatus::Pending))
    );
    let only_type = BlobProperties { content_type: Some("video/mp4".into()), ..BlobProperties::default() };
    assert_eq!((&*block.properties, block.metadata.get("cms").map(String::as_str)), (&only_type, Some("4711")));
    assert!(block.last_modified.is_some());
    let seen = scripted.seen();
    assert!(seen[0].contains("include=copy%2Cmetadata&") && seen[0].contains("maxresults=5000"), "{}", seen[0]);
    assert!(seen[0].contains("sp=l&sr=c"), "{}", seen[0]);
    assert!(seen[1].contains("marker=2%21a%2Bb%2F%3D"), "{}", seen[1]);
    Ok(())
}
