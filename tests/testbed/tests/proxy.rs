//! The fault proxy in front of a real Azurite: it lets everything pass, and each fault does what it says.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, StatusCode};
use testbed::process::{Shared, shared};
use testbed::proxy::{Action, CopyOutcome, FaultProxy, ListEdit, Rule};
use testbed::storage::{PutOptions, Storage};
use time::OffsetDateTime;

/// A container on both accounts, reached through a proxy.
struct World {
    shared: Shared,
    proxy: FaultProxy,
    west: Storage,
    east: Storage,
    container: String,
    http: Client,
}

impl World {
    async fn new() -> Result<Self> {
        let shared = shared().await?;
        let upstream = shared.azurite().socket_addrs(|| None)?.into_iter().next().context("azurite has no address")?;
        let proxy = FaultProxy::start(upstream).await?;
        let (west, east) = (shared.storage_at(proxy.url(), "west")?, shared.storage_at(proxy.url(), "east")?);
        let container = format!("asset-{}", uuid::Uuid::new_v4());
        west.create_container(&container).await?;
        east.create_container(&container).await?;
        let http = Client::builder().no_proxy().build()?;
        Ok(Self { shared, proxy, west, east, container, http })
    }

    fn upstream(&self) -> Result<SocketAddr> {
        Ok(self.shared.azurite().socket_addrs(|| None)?[0])
    }

    fn sas(&self, storage: &Storage) -> String {
        storage.container_sas(&self.container, "rwl", OffsetDateTime::now_utc() + time::Duration::hours(1))
    }

    /// Copy Blob from west to east, with the source as `from` names it.
    async fn copy(&self, from: &Storage, name: &str) -> Result<(StatusCode, HeaderMap)> {
        let source = from.blob_url(&self.container, name, Some(&self.sas(from)));
        let target = self.east.blob_url(&self.container, name, Some(&self.sas(&self.east)));
        let request = self.http.put(target).header("x-ms-version", "2021-12-02").header("content-length", "0");
        let response = request.header("x-ms-copy-source", source.as_str()).send().await?;
        Ok((response.status(), response.headers().clone()))
    }

    async fn copy_status(&self, name: &str) -> Result<(String, u64)> {
        let url = self.east.blob_url(&self.container, name, Some(&self.sas(&self.east)));
        let response = self.http.head(url).send().await?.error_for_status()?;
        let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok((text("x-ms-copy-status").to_owned(), text("content-length").parse()?))
    }

    async fn list_text(&self, storage: &Storage, include: &str) -> Result<String> {
        let mut url = storage.endpoint().join(&format!("{}/{}", storage.account(), self.container))?;
        url.set_query(Some(&format!("restype=container&comp=list&include={include}&{}", self.sas(storage))));
        Ok(self.http.get(url).send().await?.error_for_status()?.text().await?)
    }

    async fn put(&self, name: &str) -> Result<()> {
        self.west.put(&self.container, name, "0123456789", PutOptions::default()).await
    }
}

#[tokio::test]
async fn everything_passes_without_faults() -> Result<()> {
    let world = World::new().await?;
    let bytes: Vec<u8> = (0..9_000_000u32).map(|i| (i % 251) as u8).collect();
    let name = "a b/ü+&.mp4";
    world.west.put(&world.container, name, bytes.clone(), PutOptions::default()).await?;
    let direct = world.shared.storage("west")?;
    ensure!(direct.get(&world.container, name, None).await?.is_some_and(|body| body.bytes == bytes));
    ensure!(world.west.get(&world.container, name, None).await?.is_some_and(|body| body.bytes == bytes));
    let head = world.west.head(&world.container, name).await?.context("no blob")?;
    ensure!(Some(&head) == direct.head(&world.container, name).await?.as_ref() && head.size == 9_000_000);
    ensure!(world.west.list(&world.container).await? == direct.list(&world.container).await?);
    ensure!(world.west.get(&world.container, "absent", None).await?.is_none());

    // the source's address may be this proxy's, another one's, or Azurite's own
    let other = FaultProxy::start(world.upstream()?).await?;
    for from in [world.west.clone(), world.shared.storage_at(other.url(), "west")?, direct] {
        let (status, headers) = world.copy(&from, name).await?;
        ensure!(status == 202 && headers["x-ms-copy-status"] == "success", "{status} from {from:?}");
    }
    ensure!(world.east.get(&world.container, name, None).await?.is_some_and(|body| body.bytes == bytes));

    let log = world.proxy.requests();
    ensure!(log.iter().all(|seen| seen.status.is_some() && !seen.target.contains("sig=")));
    let copies: Vec<_> = log.iter().filter(|seen| seen.copy_source.is_some()).collect();
    ensure!(copies.len() == 3 && copies[0].method == "PUT" && copies[0].status == Some(202));
    ensure!(copies[0].target.contains("/a%20b/%C3%BC%2B%26.mp4?"), "{}", copies[0].target);
    // west is read by Azurite to check the copies' source, which is nobody's request
    let heads = log.iter().filter(|seen| seen.method == "HEAD").count();
    ensure!(heads == 1, "{heads} HEADs");
    Ok(())
}

#[tokio::test]
async fn errors_come_as_often_as_asked_for() -> Result<()> {
    let world = World::new().await?;
    world.put("a.mp4").await?;
    world.put("b.mp4").await?;
    let busy = world.proxy.fault(
        Rule::answer(503, "ServerBusy")
            .method(Method::PUT)
            .path("a.mp4")
            .header("x-ms-copy-source")
            .retry_after(7)
            .times(2),
    );
    for _ in 0..2 {
        let (status, headers) = world.copy(&world.west, "a.mp4").await?;
        ensure!(status == 503 && headers["x-ms-error-code"] == "ServerBusy" && headers["retry-after"] == "7");
    }
    ensure!(world.copy(&world.west, "b.mp4").await?.0 == 202);
    ensure!(world.copy(&world.west, "a.mp4").await?.0 == 202);
    ensure!(busy.hits() == 2);

    let answer = Rule::answer(403, "CannotVerifyCopySource").answer_header("x-ms-copy-source-status-code", "503");
    world.proxy.fault(answer.header("x-ms-copy-source"));
    let (status, headers) = world.copy(&world.west, "a.mp4").await?;
    ensure!(status == 403 && headers["x-ms-copy-source-status-code"] == "503");
    world.proxy.clear_faults();
    ensure!(world.copy(&world.west, "a.mp4").await?.0 == 202);
    Ok(())
}

#[tokio::test]
async fn a_request_takes_effect_before_the_late_faults_only() -> Result<()> {
    let world = World::new().await?;
    let is_there = async |name: &str| anyhow::Ok(world.east.head(&world.container, name).await?.is_some());
    let put = |rule: Rule, name: &str| rule.method(Method::PUT).path(name).without_query("comp=").times(1);
    for name in ["before", "after", "late-500"] {
        world.put(name).await?;
    }
    world.proxy.fault(put(Rule::new(Action::Cut), "before"));
    world.proxy.fault(put(Rule::new(Action::CutAfter), "after"));
    world.proxy.fault(put(Rule::answer_after(500, "OperationTimedOut"), "late-500"));
    let reset = async |name: &str| match world.copy(&world.west, name).await {
        Ok((status, _)) => format!("answered {status}"),
        Err(error) => format!("{error:#}"),
    };
    let (before, after) = (reset("before").await, reset("after").await);
    ensure!(before.contains("reset by peer") && !is_there("before").await?, "{before}");
    ensure!(after.contains("reset by peer") && is_there("after").await?, "{after}");
    ensure!(world.copy(&world.west, "late-500").await?.0 == 500 && is_there("late-500").await?);
    let cut = world.proxy.requests().into_iter().filter(|seen| seen.status.is_none()).count();
    ensure!(cut == 2, "{cut} cut");
    Ok(())
}

#[tokio::test]
async fn a_delay_lets_the_next_rule_decide_and_a_hang_never_ends() -> Result<()> {
    let world = World::new().await?;
    world.put("a.mp4").await?;
    let delay = world.proxy.fault(Rule::new(Action::Delay(Duration::from_millis(1))).path("a.mp4"));
    world.proxy.fault(Rule::answer(500, "InternalError").path("a.mp4").times(1));
    world.proxy.fault(Rule::new(Action::Hang).path("a.mp4").times(1));
    ensure!(world.copy(&world.west, "a.mp4").await?.0 == 500);
    let hanging = tokio::time::timeout(Duration::from_millis(300), world.copy(&world.west, "a.mp4")).await;
    ensure!(hanging.is_err());
    ensure!(world.copy(&world.west, "a.mp4").await?.0 == 202 && delay.hits() == 3);
    Ok(())
}

#[tokio::test]
async fn a_pending_copy_is_pending_to_all_who_look() -> Result<()> {
    let world = World::new().await?;
    for (name, outcome, word, size) in [
        ("good.mp4", CopyOutcome::Success, "success", 10),
        ("bad.mp4", CopyOutcome::Failed, "failed", 0),
        ("given up.mp4", CopyOutcome::Aborted, "aborted", 0),
    ] {
        world.put(name).await?;
        let part = name.split(' ').next().unwrap_or_default();
        world.proxy.fault(Rule::pending_copy(Some(2), outcome).path(part).times(1));
        let (status, headers) = world.copy(&world.west, name).await?;
        ensure!(status == 202 && headers["x-ms-copy-status"] == "pending");
        ensure!(world.copy(&world.west, name).await?.0 == 409);
        ensure!(world.copy_status(name).await? == ("pending".to_owned(), 10));
        let listed = world.list_text(&world.east, "metadata,copy").await?;
        ensure!(listed.contains("<CopyStatus>pending</CopyStatus>"), "{listed}");
        ensure!(world.copy_status(name).await? == (word.to_owned(), size), "{name}");
        let listed = world.list_text(&world.east, "metadata,copy").await?;
        ensure!(listed.contains(&format!("<CopyStatus>{word}</CopyStatus>")), "{listed}");
        ensure!(!world.list_text(&world.east, "metadata").await?.contains("<CopyStatus>"));
        let blobs = world.east.list(&world.container).await?.unwrap_or_default();
        ensure!(blobs.iter().any(|blob| blob.name == name && blob.size == size));
        world.east.delete(&world.container, name).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_copy_without_end_can_be_aborted_and_done_again() -> Result<()> {
    let world = World::new().await?;
    world.put("a.mp4").await?;
    world.proxy.fault(Rule::pending_copy(None, CopyOutcome::Success).times(1));
    let (_, headers) = world.copy(&world.west, "a.mp4").await?;
    for _ in 0..5 {
        ensure!(world.copy_status("a.mp4").await?.0 == "pending");
    }
    let head = world.http.head(world.east.blob_url(&world.container, "a.mp4", Some(&world.sas(&world.east))));
    let seen = head.send().await?;
    ensure!(seen.headers()["x-ms-copy-progress"] == "6/10", "a byte for each look: {:?}", seen.headers());
    ensure!(seen.headers()["x-ms-copy-source"].to_str()?.starts_with(world.west.endpoint().as_str()));
    ensure!(seen.headers()["x-ms-copy-id"] == headers["x-ms-copy-id"]);
    let mut answers = Vec::new();
    for id in ["another", headers["x-ms-copy-id"].to_str()?] {
        let mut abort = world.east.blob_url(&world.container, "a.mp4", Some(&world.sas(&world.east)));
        abort.query_pairs_mut().append_pair("comp", "copy").append_pair("copyid", id);
        let request = world.http.put(abort).header("content-length", "0").header("x-ms-copy-action", "abort");
        answers.push(request.send().await?.status());
    }
    ensure!(answers == [409, 204], "{answers:?}");
    ensure!(world.copy_status("a.mp4").await? == ("aborted".to_owned(), 0));
    ensure!(world.copy(&world.west, "a.mp4").await?.0 == 202);
    ensure!(world.copy_status("a.mp4").await? == ("success".to_owned(), 10));
    Ok(())
}

#[tokio::test]
async fn listings_can_be_changed() -> Result<()> {
    let world = World::new().await?;
    for name in ["a.mp4", "b & c.mp4", "d.mp4"] {
        world.put(name).await?;
    }
    let list = async || anyhow::Ok(world.west.list(&world.container).await?.unwrap_or_default());
    let whole = list().await?;
    world.proxy.fault(Rule::edit_list(ListEdit::Omit("b & c.mp4".to_owned())).times(1));
    let (name, property, value) = ("b & c.mp4".to_owned(), "Content-Length".to_owned(), "11".to_owned());
    world.proxy.fault(Rule::edit_list(ListEdit::Set { name, property, value }).times(1));
    world.proxy.fault(Rule::edit_list(ListEdit::Truncate(300)).times(1));
    let omitted = list().await?;
    ensure!(omitted.len() == 2 && omitted[0] == whole[0] && omitted[1] == whole[2]);
    let sizes: Vec<_> = list().await?.into_iter().map(|blob| blob.size).collect();
    ensure!(sizes == [10, 11, 10]);
    ensure!(list().await.is_err());
    ensure!(list().await? == whole);
    Ok(())
}
