//! The zone: only its names, only over its TLS, and only with signatures that hold.

use std::time::Duration;

use anyhow::{Context, Result};
use testbed::process::shared;
use testbed::zone::{Behind, Zone};
use time::OffsetDateTime;

/// A client that finds the zone's names and trusts them.
fn client(zone: &Zone) -> Result<reqwest::Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(&std::fs::read(zone.ca_file())?)?;
    let mut builder = reqwest::Client::builder().no_proxy().tls_certs_merge([ca]);
    for (name, address) in zone.places() {
        builder = builder.resolve(name, address).resolve("elsewhere.example", address);
    }
    Ok(builder.build()?)
}

#[tokio::test]
async fn blobs_are_reached_by_the_name_of_the_host_with_a_signature_that_holds() -> Result<()> {
    let (shared, folder) = (shared().await?, tempfile::tempdir()?);
    let storage = shared.storage("west")?;
    let container = format!("zone-{}", uuid::Uuid::new_v4().simple());
    storage.create_container(&container).await?;
    let blobs = [("west.blob.example".to_owned(), Behind::Blobs(storage.clone()))];
    let zone = Zone::start(folder.path(), blobs).await?;
    let client = client(&zone)?;
    let sas = storage.container_sas(&container, "rl", OffsetDateTime::now_utc() + Duration::from_secs(600));
    let list = |sas: &str| format!("https://west.blob.example/{container}?restype=container&comp=list&{sas}");
    assert_eq!(client.get(list(&sas)).send().await?.status(), 200);
    for (what, sas) in [("not signed", String::new()), ("signed without TLS in mind", format!("{sas}&spr=https"))] {
        assert_eq!(client.get(list(&sas)).send().await?.status().as_u16() / 100, 4, "{what}");
    }
    let refused = client.put(format!("https://west.blob.example/{container}/b?{sas}"));
    let refused = refused.header("x-ms-copy-source", "https://elsewhere.example/c/b").send().await?;
    assert_eq!(refused.status(), 403, "{}", refused.text().await?);
    assert!(client.get("https://elsewhere.example/").send().await.is_err(), "a name without a certificate");
    let last = zone.requests().pop().context("nothing seen")?;
    assert_eq!((last.host.as_str(), last.method.as_str(), last.authorized), ("west.blob.example", "PUT", false));
    storage.delete_container(&container).await
}
