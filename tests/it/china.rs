//! The China cloud by its own names: the shipped worker with `cloud = "china"` and not one address in its settings.
//!
//! The names resolve to a TLS front of the testbed, behind which are the emulator and Azurite.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stream_replicator::http::{HttpClient, Method, Request};
use stream_replicator::settings::load;
use tempfile::TempDir;
use testbed::amqp::{Amqp, Outgoing};
use testbed::emulator::{AccountConfig, Emulator, EmulatorConfig, EntraPrincipal, TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
use testbed::process::{Vhost, shared};
use testbed::storage::Storage;
use testbed::zone::{Behind, Zone};

use crate::support::schemas::our_events;
use crate::support::{MEDIA_KEY, Worker, eventually, media, next_event, run_once};

const ACS: &str = "wamsprodglobal001acs.accesscontrol.chinacloudapi.cn";
const ENTRA: &str = "login.chinacloudapi.cn";
const FRONT_DOOR: &str = "media.chinacloudapi.cn";
const BEIJING: &str = "wamsbjbclus001rest-hs.chinacloudapp.cn";
const SHANGHAI: &str = "wamsshaclus001rest-hs.chinacloudapp.cn";
/// Where the front door of the global cloud sends clients.
const GLOBAL_CLUSTER: &str = "wamsbayclus001rest-hs.cloudapp.net";

const TENANT: &str = "contoso.partner.onmschina.cn";
const CLIENT_SECRET: &str = "b+/= secret of the tests, guards nothing";

/// The China cloud: `west` is in Beijing, `east` in Shanghai.
struct China {
    emulator: Emulator,
    zone: Zone,
    vhost: Vhost,
    amqp: Amqp,
    folder: TempDir,
    storage_keys: [String; 2],
}

/// How the accounts of the settings prove who they are.
#[derive(Clone, Copy, PartialEq)]
enum By {
    AccountKey,
    ServicePrincipal,
}

impl China {
    /// `east_cluster` is where the front door sends the clients of `east`.
    async fn start(east_cluster: &str, by: By) -> Result<Self> {
        let shared = shared().await?;
        let storage = [shared.storage("west")?, shared.storage("east")?];
        let mut config = EmulatorConfig {
            accounts: vec![account("west", "Beijing", &storage[0]), account("east", "Shanghai", &storage[1])],
            ..EmulatorConfig::default()
        };
        for (data_centre, cluster) in [("Beijing", BEIJING), ("Shanghai", east_cluster)] {
            config.public_clusters.insert(data_centre.to_owned(), format!("https://{cluster}"));
        }
        let emulator = Emulator::start(config).await?;
        let server = |url: &str| anyhow::Ok(Behind::Server(url.parse()?));
        let mut names = vec![
            (ACS.to_owned(), server(emulator.acs_url())?),
            (ENTRA.to_owned(), server(emulator.entra_url())?),
            (FRONT_DOOR.to_owned(), server(emulator.front_door_url())?),
            (BEIJING.to_owned(), server(emulator.cluster_listener_url("Beijing"))?),
            (east_cluster.to_owned(), server(emulator.cluster_listener_url("Shanghai"))?),
        ];
        for (site, storage) in ["west", "east"].into_iter().zip(&storage) {
            names.push((blobs(site), Behind::Blobs(storage.clone())));
            names.push((streaming(site), server(emulator.streaming_url(&format!("{site}media")))?));
        }
        let (folder, vhost) = (tempfile::tempdir()?, shared.vhost().await?);
        let zone = Zone::start(folder.path(), names).await?;
        let amqp = Amqp::connect(&vhost.amqp_url()).await?;
        let storage_keys = storage.map(|storage| storage.key_base64().to_owned());
        let china = Self { emulator, zone, vhost, amqp, folder, storage_keys };
        china.write_config(by)?;
        Ok(china)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("worker.toml")
    }

    fn write_config(&self, by: By) -> Result<()> {
        let places = self.zone.places().map(|(name, address)| format!("'{name}={address}'")).collect::<Vec<_>>();
        let mut text = format!(
            "[rabbitmq]\nurl = '{}'\nretry_delays_seconds = [1, 2]\n[http]\nca_file = '{}'\nresolve = [{}]\n",
            self.vhost.amqp_url(),
            self.zone.ca_file().display(),
            places.join(", ")
        );
        let certificate = self.folder.path().join("client.pem");
        std::fs::write(&certificate, format!("{TEST_KEY_PEM}{TEST_CERTIFICATE_PEM}"))?;
        let identities = match by {
            By::AccountKey => [format!("key = '{MEDIA_KEY}'"), format!("key = '{MEDIA_KEY}'")],
            By::ServicePrincipal => {
                let principal = |site| format!("tenant = '{TENANT}'\nclient_id = '{}'\n", client_id(site));
                let certificate = format!("certificate_file = '{}'", certificate.display());
                let secret = format!("client_secret = '{CLIENT_SECRET}'");
                [principal("west") + &secret, principal("east") + &certificate]
            }
        };
        for ((site, key), identity) in ["west", "east"].into_iter().zip(&self.storage_keys).zip(identities) {
            write!(
                text,
                "[sites.{site}]\nkind = 'ams-v2'\ncloud = 'china'\n[sites.{site}.media]\naccount = '{site}media'\n\
                 {identity}\n[sites.{site}.storage]\naccount = '{site}'\nkey = '{key}'\n"
            )?;
        }
        text += "[routes.west]\nreplicas = ['east']\n";
        std::fs::write(self.config(), text)?;
        Ok(())
    }

    /// An encoded and published asset at `west`; gives its locator, and sends "encoding finished" for it.
    async fn publish_and_announce(&self) -> Result<String> {
        let west = self.emulator.account("westmedia");
        let id = west.create_asset("film", 0).await?;
        west.upload(&id, &media()?).await?;
        let locator = west.publish(&id, None, None, Duration::from_secs(20 * 86_400))?;
        ensure!(locator.path == format!("http://{}/{}/", streaming("west"), locator.uuid), "{}", locator.path);
        let event = json!({
            "specversion": "1.0", "id": "1", "source": "/encoders/test", "type": "media.encoding.finished.v1",
            "data": { "site": "west", "asset": { "id": id } },
        });
        let message = Outgoing { body: event.to_string().into(), ..Outgoing::default() };
        self.amqp.publish("media.events", "media.encoding.finished.test", message).await?;
        Ok(locator.uuid)
    }

    /// Hosts that have had a request, and those that have had one with an `Authorization` header.
    fn hosts(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let seen = self.zone.requests();
        let with_token = seen.iter().filter(|request| request.authorized).map(|request| request.host.clone());
        (seen.iter().map(|request| request.host.clone()).collect(), with_token.collect())
    }

    /// The whole run: announce, replicate, play.
    async fn replicates_through(&self, token_door: &str) -> Result<()> {
        let worker = Worker::start(&self.config()).await?;
        let mut events = our_events(&self.amqp).await?;
        let locator = self.publish_and_announce().await?;
        let event = next_event(&mut events).await.with_context(|| worker.log())?;
        let played = ensure_plays(&event, &locator, &self.config()).await?;
        ensure!(played == 6, "three protocols at two sites, not {played}");

        let (asked, with_token) = self.hosts();
        let mut hosts = [token_door, FRONT_DOOR, BEIJING, SHANGHAI].map(str::to_owned).to_vec();
        hosts.extend(["west", "east"].into_iter().flat_map(|site| [blobs(site), streaming(site)]));
        assert_eq!(asked, hosts.into_iter().collect::<BTreeSet<_>>(), "every name of the cloud, and no other");
        assert_eq!(with_token, [FRONT_DOOR, BEIJING, SHANGHAI].map(str::to_owned).into());
        assert_eq!(worker.terminate().await?, Some(0));
        Ok(())
    }
}

fn account(site: &str, data_centre: &str, storage: &Storage) -> AccountConfig {
    let mut account = AccountConfig::new(&format!("{site}media"), MEDIA_KEY, data_centre, storage.clone());
    // Locators have no TLS, though the hosts do (contract ams-v2, section 4.2).
    account.public_streaming = Some(format!("http://{}", streaming(site)));
    account.public_storage = Some(format!("https://{}", blobs(site)));
    account.entra = Some(EntraPrincipal {
        resource: "https://rest.media.chinacloudapi.cn".to_owned(),
        public_authority: Some(format!("https://{ENTRA}")),
        ..EntraPrincipal::new(TENANT, &client_id(site))
            .with_secret(CLIENT_SECRET)
            .with_certificate(TEST_CERTIFICATE_PEM)
    });
    account
}

/// One for each account: a token of Entra names no account, so a front door cannot tell two of one principal apart.
fn client_id(site: &str) -> String {
    format!("replicator-of-{site}")
}

fn blobs(storage_account: &str) -> String {
    format!("{storage_account}.blob.core.chinacloudapi.cn")
}

fn streaming(site: &str) -> String {
    format!("{site}media.streaming.mediaservices.chinacloudapi.cn")
}

/// Every URL of the event is at the site's own host over TLS, and its manifest is there. Gives how many there were.
async fn ensure_plays(event: &Value, locator: &str, config: &Path) -> Result<usize> {
    let settings = load(Some(config), std::collections::HashMap::new())?;
    let client = HttpClient::new(&settings.http)?;
    let mut played = 0;
    for url in event["data"]["urls"].as_array().context("no urls")? {
        for (side, site) in [("source", "west"), ("replica", "east")] {
            let url = url[side].as_str().with_context(|| format!("no {side} in {event}"))?;
            ensure!(url.starts_with(&format!("https://{}/{locator}/", streaming(site))), "{url}");
            let answer = client.send(Request::new(Method::GET, url.parse()?)).await?;
            ensure!(answer.status == 200 && !answer.body.is_empty(), "{url}: {answer:?}");
            played += 1;
        }
    }
    Ok(played)
}

#[tokio::test]
async fn an_account_key_is_all_that_the_worker_needs_in_china() -> Result<()> {
    let china = China::start(SHANGHAI, By::AccountKey).await?;
    china.replicates_through(ACS).await?;
    let tokens = china.zone.requests().into_iter().filter(|request| request.host == ACS);
    let paths: BTreeSet<_> = tokens.map(|request| (request.method, request.path)).collect();
    assert_eq!(paths, [("POST".to_owned(), "/v2/OAuth2-13".to_owned())].into());

    let output = run_once(&china.config(), &["check"]).await?;
    let printed = String::from_utf8(output.stdout)?;
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for told in [
        &format!("cloud china, key of account eastmedia at ACS https://{ACS}/v2/OAuth2-13"),
        &format!("media account eastmedia through https://{SHANGHAI}/api/"),
        &format!("running, answers at https://{}/", streaming("east")),
    ] {
        assert!(printed.contains(told), "'{told}' is not in\n{printed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_principal_is_all_that_the_worker_needs_in_china() -> Result<()> {
    let china = China::start(SHANGHAI, By::ServicePrincipal).await?;
    china.replicates_through(ENTRA).await?;
    let tokens = china.zone.requests().into_iter().filter(|request| request.host == ENTRA);
    let paths: BTreeSet<_> = tokens.map(|request| (request.method, request.path)).collect();
    assert_eq!(paths, [("POST".to_owned(), format!("/{TENANT}/oauth2/token"))].into());
    Ok(())
}

#[tokio::test]
async fn a_redirect_to_another_cloud_is_refused_and_gets_no_token() -> Result<()> {
    let china = China::start(GLOBAL_CLUSTER, By::AccountKey).await?;
    let worker = Worker::start(&china.config()).await?;
    china.publish_and_announce().await?;
    let letter = eventually("a dead letter", || china.amqp.take("replication.dead")).await;
    let letter = letter.with_context(|| worker.log())?;
    let told = format!("{letter:?}");
    assert!(told.contains("redirect-refused") && told.contains(GLOBAL_CLUSTER), "{told}");
    assert!(told.contains("media.allowed_hosts"), "{told}");
    let (asked, _) = china.hosts();
    assert!(asked.contains(FRONT_DOOR) && !asked.contains(GLOBAL_CLUSTER), "{asked:?}");
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}
