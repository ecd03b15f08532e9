//! A broker over TLS: believed by its certificate alone; it may know us by ours; certificates change while jobs run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use testbed::certificates::{Authority, Certificate, Validity};
use testbed::emulator::{FaultAction, FaultRule};
use testbed::process::{BrokerTls, RabbitMq, RabbitOptions};

use crate::support::{End, Ledger, Worker, World, ensure_each_replicated, eventually, run_once};

/// Longer than any test: what is held is let go by the test.
const HELD: u64 = 600_000;
const LIMIT: std::time::Duration = std::time::Duration::from_secs(90);

/// A world at a broker that speaks TLS.
struct Scene {
    node: RabbitMq,
    world: World,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn begin(wants_clients_certificate: bool) -> Result<Self> {
        let authority = Authority::new()?;
        let certificate = authority.server(["localhost"], Validity::Now)?;
        let tls = BrokerTls { authority: authority.pem(), certificate, wants_clients_certificate };
        let node = RabbitMq::start(RabbitOptions { tls: Some(tls), ..RabbitOptions::default() }).await?;
        let world = World::at_broker(&node).await?;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("ca.pem"), authority.pem())?;
        Ok(Self { node, world, authority, folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a certificate with its key as a whole, as what rotates it does.
    fn write(&self, name: &str, certificate: &Certificate) -> Result<()> {
        std::fs::write(self.file("new"), certificate.both())?;
        Ok(std::fs::rename(self.file("new"), self.file(name))?)
    }

    /// The settings with the broker at `url`, and `more` of `[rabbitmq]`.
    fn configure(&self, url: &str, more: &str) -> Result<()> {
        self.world.write_config(&["west", "east"], "")?;
        self.world.change_config(&self.world.vhost.amqp_url(), url)?;
        self.world.change_config("[rabbitmq]", &format!("[rabbitmq]\n{more}"))
    }

    /// With TLS, by user and password.
    fn url(&self) -> Result<String> {
        let (vhost, port) = (&self.world.vhost, self.node.tls_port().context("no TLS")?);
        Ok(format!("amqps://{}:{}@localhost:{port}/{}", vhost.user(), vhost.password(), vhost.name()))
    }

    fn trusts(&self, file: &Path) -> String {
        format!("ca_file = '{}'", file.display())
    }

    /// What `check` says of the broker.
    async fn check(&self) -> Result<String> {
        let output = run_once(&self.world.config(), &["check"]).await?;
        let text = String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?;
        ensure!(!text.contains(&format!(":{}@", self.world.vhost.password())), "a password is told: {text}");
        text.lines().find(|line| line.starts_with("broker")).map(str::to_owned).context(text.clone())
    }

    async fn ensure_refused(&self, told: &str, hint: &str) -> Result<()> {
        let line = self.check().await?;
        ensure!(line.contains(told) && line.contains(hint), "not '{told}' and '{hint}': {line}");
        Ok(())
    }
}

#[tokio::test]
async fn a_broker_is_believed_for_its_certificate_and_refused_for_what_is_wrong_with_it() -> Result<()> {
    let scene = Scene::begin(false).await?;
    let good = scene.trusts(&scene.file("ca.pem"));
    scene.configure(&scene.url()?, &good)?;
    ensure!(scene.check().await?.contains("ok"), "{}", scene.check().await?);

    scene.configure(&scene.url()?, "")?;
    scene.ensure_refused("an authority that is not trusted here", "to rabbitmq.ca_file").await?;
    std::fs::write(scene.file("other-ca.pem"), Authority::new()?.pem())?;
    scene.configure(&scene.url()?, &scene.trusts(&scene.file("other-ca.pem")))?;
    scene.ensure_refused("an authority that is not trusted here", "to rabbitmq.ca_file").await?;

    scene.configure(&scene.url()?, &good)?;
    for (names, validity, told, hint) in [
        (["localhost"], Validity::Past, "its certificate expired at 20", "renew it there"),
        (["localhost"], Validity::Future, "its certificate is not valid before 20", "this machine's clock"),
        (
            ["broker.example"],
            Validity::Now,
            "not for localhost but for broker.example",
            "use a name of its certificate",
        ),
    ] {
        scene.node.change_certificate(&scene.authority.server(names, validity)?).await?;
        scene.ensure_refused(told, hint).await?;
    }
    scene.node.change_certificate(&scene.authority.server(["localhost"], Validity::Now)?).await?;
    ensure!(scene.check().await?.contains("ok"), "{}", scene.check().await?);

    let plain_port = scene
        .url()?
        .replace(&format!(":{}/", scene.node.tls_port().context("no TLS")?), &format!(":{}/", scene.node.amqp_port()));
    scene.configure(&plain_port, &good)?;
    scene.ensure_refused("its answer is no TLS", "check the port").await?;
    scene.configure(&scene.url()?.replace("amqps", "amqp"), "")?;
    scene.ensure_refused("cannot be used", "whether it wants amqp or amqps").await
}

#[tokio::test]
async fn a_certificate_of_ours_is_all_that_the_broker_asks_for() -> Result<()> {
    let scene = Scene::begin(true).await?;
    let user = scene.world.vhost.user().to_owned();
    let port = scene.node.tls_port().context("no TLS")?;
    let url = format!("amqps://localhost:{port}/{}", scene.world.vhost.name());
    let ca = scene.trusts(&scene.file("ca.pem"));

    scene.configure(&url, &ca)?;
    scene.ensure_refused("cannot be used", "rabbitmq.certificate_file").await?;
    scene.write("ours.pem", &Authority::new()?.client(&user, Validity::Now)?)?;
    let external =
        format!("{ca}\nauthentication = 'certificate'\ncertificate_file = '{}'", scene.file("ours.pem").display());
    scene.configure(&url, &external)?;
    scene.ensure_refused("cannot be used", "rabbitmq.certificate_file").await?;
    scene.write("ours.pem", &scene.authority.client(&user, Validity::Past)?)?;
    scene.ensure_refused("cannot be used", "rabbitmq.certificate_file").await?;
    scene.write("ours.pem", &scene.authority.client("somebody-else", Validity::Now)?)?;
    scene.ensure_refused("ACCESS_REFUSED", "user").await?;

    // the key in a file of its own, as Kubernetes has it
    let ours = scene.authority.client(&user, Validity::Now)?;
    std::fs::write(scene.file("tls.crt"), &ours.pem)?;
    std::fs::write(scene.file("tls.key"), &ours.key_pem)?;
    let files = format!(
        "{ca}\nauthentication = 'certificate'\ncertificate_file = '{}'\ncertificate_key_file = '{}'",
        scene.file("tls.crt").display(),
        scene.file("tls.key").display()
    );
    scene.configure(&url, &files)?;
    let (worker, mut ledger) = (Worker::start(&scene.world.config()).await?, Ledger::open(&scene.world).await?);
    let asset = scene.world.encoded_asset("movie").await?;
    ledger.send_finished(&scene.world, &asset.id).await?;
    ledger.settle(&scene.world, LIMIT).await.with_context(|| worker.log())?;
    assert_eq!(worker.terminate().await?, Some(0));
    ensure_each_replicated(&scene.world, &[asset]).await
}

/// Our own certificate and the broker's are replaced while a job runs and others wait; the old ones expire at once.
#[tokio::test]
async fn certificates_that_change_in_mid_run_lose_nothing() -> Result<()> {
    let scene = Scene::begin(true).await?;
    let (world, user) = (&scene.world, scene.world.vhost.user().to_owned());
    let url = format!("amqps://localhost:{}/{}", scene.node.tls_port().context("no TLS")?, world.vhost.name());
    scene.write("ours.pem", &scene.authority.client(&user, Validity::Now)?)?;
    let external = format!(
        "{}\nauthentication = 'certificate'\ncertificate_file = '{}'\ntimeout_seconds = 5",
        scene.trusts(&scene.file("ca.pem")),
        scene.file("ours.pem").display()
    );
    scene.configure(&url, &external)?;
    let (worker, mut ledger) = (Worker::start(&world.config()).await?, Ledger::open(world).await?);
    world.emulator.fault(FaultRule::new(FaultAction::DelayMilliseconds(HELD)).on("POST", "Assets").after_commit());
    let mut assets = Vec::new();
    for _ in 0..3 {
        let asset = world.encoded_asset("movie").await?;
        ledger.send_finished(world, &asset.id).await?;
        assets.push(asset);
    }
    let is_held = || async { Ok((world.emulator.delayed().iter().count() == 1).then_some(())) };
    eventually("the held call", is_held).await.with_context(|| worker.log())?;

    // first the broker shows one that has expired: the session cannot come back ..
    scene.node.change_certificate(&scene.authority.server(["localhost"], Validity::Past)?).await?;
    let broker = world.vhost.broker();
    let closed = || async {
        Ok(Some(broker.close_connections(world.vhost.name(), "stream-replicator").await?).filter(|n| *n > 0))
    };
    eventually("the worker's connections", closed).await?;
    worker.logs("its certificate expired at").await?;
    // .. then both sides have new ones
    scene.write("ours.pem", &scene.authority.client(&user, Validity::Now)?)?;
    scene.node.change_certificate(&scene.authority.server(["localhost"], Validity::Now)?).await?;
    let again = || async { Ok((worker.log().matches("consuming").count() >= 2).then_some(())) };
    eventually("another session", again).await.with_context(|| worker.log())?;
    world.emulator.clear_faults();
    world.emulator.release_delayed();
    ledger.settle(world, LIMIT).await.with_context(|| worker.log())?;
    ensure!(!worker.log().contains("PRIVATE KEY"), "{}", worker.log());
    assert_eq!(worker.terminate().await?, Some(0));
    let ledger = ledger.close(world).await?;
    ensure!(ledger.with_end(End::Done).len() == 3, "only these are done: {:?}", ledger.with_end(End::Done));
    ensure_each_replicated(world, &assets).await
}
