//! Encoding jobs and streaming endpoints.

use stream_replicator::failure::FailureKind;
use stream_replicator::media_service::ams_v2::EncodingState;
use testbed::emulator::{DateStyle, JobOutcome};

use super::world::{DAY, WEST, World};

/// Waits for the notification that a job has ended.
async fn ended(notifications: &mut tokio::sync::broadcast::Receiver<String>, state: &str) -> anyhow::Result<()> {
    let said = format!("\"{state}\"");
    let wait = async {
        while !notifications.recv().await?.contains(&said) {}
        anyhow::Ok(())
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await?
}

#[tokio::test]
async fn an_encoding_job_tells_its_state_its_outputs_and_its_errors() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    let mut notifications = world.emulator.notifications();
    let id = west.submit_job("encode", &["film <1> & more"]).await.unwrap();
    let job = client.encoding_job(&id).await.unwrap();
    assert_eq!((&job.id, &*job.name), (&id, "encode"));
    ended(&mut notifications, "Finished").await.unwrap();
    assert_eq!(client.encoding_job(&id).await.unwrap().state, EncodingState::Finished);
    let outputs = client.encoding_job_outputs(&id).await.unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!((&*outputs[0].name, outputs[0].static_encryption), ("film <1> & more", None));
    assert_eq!(client.encoding_job_errors(&id).await.unwrap(), [""; 0]);

    let outcome = JobOutcome::Error { code: "EncoderFailed".into(), message: "no such codec".into() };
    west.switch(|switches| switches.job_outcome = outcome).unwrap();
    let id = west.submit_job("encode", &["film"]).await.unwrap();
    ended(&mut notifications, "Error").await.unwrap();
    assert_eq!(client.encoding_job(&id).await.unwrap().state, EncodingState::Error);
    assert_eq!(client.encoding_job_errors(&id).await.unwrap(), ["EncoderFailed: no such codec"]);

    let failure = client.encoding_job("nb:jid:UUID:00000000-0000-0000-0000-000000000000").await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "encoding-job-gone"));
}

#[tokio::test]
async fn only_a_streaming_endpoint_that_plays_passes() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    west.start_endpoint().unwrap();
    let endpoint = client.verify_streaming_endpoint(None).await.unwrap();
    assert_eq!(&*endpoint.name, "default");
    let asset = west.create_asset("n", 0).await.unwrap();
    west.publish(&asset, None, None, DAY).unwrap();
    let locator = client.list_locators(&asset).await.unwrap().remove(0);
    assert_eq!(client.verify_streaming_endpoint(Some(&locator)).await.unwrap(), endpoint);

    west.stop_endpoint().unwrap();
    let failure = client.verify_streaming_endpoint(None).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "endpoint-stopped"));
    west.start_endpoint().unwrap();
    west.set_scale_units(0).unwrap();
    let failure = client.verify_streaming_endpoint(None).await.unwrap_err();
    assert_eq!((failure.kind, failure.code), (FailureKind::Permanent, "endpoint-without-units"));
    west.set_scale_units(1).unwrap();
    client.verify_streaming_endpoint(None).await.unwrap();
}

#[tokio::test]
async fn dates_are_read_in_every_style() {
    let world = World::start().await.unwrap();
    let (client, west) = (world.client(WEST).unwrap(), world.account(WEST));
    for style in [DateStyle::AsSeen, DateStyle::NeverZone, DateStyle::AlwaysZone] {
        west.switch(|switches| switches.dates = style).unwrap();
        let asset = west.create_asset("n", 0).await.unwrap();
        let published = west.publish(&asset, None, None, DAY).unwrap();
        let locator = client.list_locators(&asset).await.unwrap().remove(0);
        let off = (locator.expires - published.expires.unwrap()).abs();
        assert!(off < time::Duration::milliseconds(5), "{style:?}: {off}");
    }
}
