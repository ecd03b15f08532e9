//! No secret is ever printed or sent on: a search through everything that leaves the program, whatever fails in it.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use testbed::amqp::Received;
use testbed::process::ACCOUNTS;

use crate::support::{Echo, MEDIA_KEY, Secrets, Worker, World, eventually, run_once};

/// Every character that a URL's password cannot hold as it is, and one that takes two bytes.
const PASSWORD: &str = "Zq7Kan4rie:p@ss/w%41rd+&=?#é \"x";
/// Wrong, and no less secret.
const WRONG_MEDIA_KEY: &str = "d3JvbmcgYnV0IHNlY3JldCBtZWRpYSBrZXkgPj4+Pz8/";
const WRONG_STORAGE_KEY: &str = "d3JvbmcgYnV0IHNlY3JldCBzdG9yYWdlIGtleSA+Pj4/Pz8=";
/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";
/// Everything that there is to log; retried messages stay where they can be looked at.
const SETTINGS: &str = "[worker]\nlog_filter = 'trace'\n[http]\ntries = 2\n";
/// Where a message can end.
const ENDS: [&str; 4] = ["unrouted", "dead", "parked", "retry.1h"];

macro_rules! tells_nothing {
    ($($name:ident: $told:literal, $change:expr;)*) => {
        $(#[tokio::test]
        async fn $name() -> Result<()> {
            let scene = Scene::start().await?;
            let change: fn(&Scene, &str) -> Result<String> = $change;
            let config = change(&scene, &std::fs::read_to_string(scene.world.config())?)?;
            std::fs::write(scene.world.config(), config)?;
            scene.tells_nothing_but($told).await
        })*
    };
}

// What the output must tell, so that the failure is there, and how the settings differ.
tells_nothing! {
    success_tells_no_secret: "media.asset.replicated.v1", |_, config| Ok(config.to_owned());
    secrets_in_files_are_not_told: "media.asset.replicated.v1", Scene::with_secrets_in_files;
    a_wrong_media_key_is_not_told: "token-refused", |_, config| {
        Ok(config.replace(MEDIA_KEY, WRONG_MEDIA_KEY))
    };
    a_wrong_storage_key_is_not_told: "storage-denied", |_, config| {
        Ok(config.replace(ACCOUNTS[1].1, WRONG_STORAGE_KEY))
    };
    a_token_door_that_quotes_the_key_is_not_repeated: "token-refused", |scene, config| {
        Ok(config.replace(scene.world.emulator.acs_url(), &scene.echo.url()))
    };
    a_token_door_that_quotes_the_key_at_the_cut_is_not_repeated: "token-refused", |scene, config| {
        Ok(config.replace(scene.world.emulator.acs_url(), &scene.late_echo.url()))
    };
    a_media_service_that_quotes_the_token_is_not_repeated: "media-service-error", |scene, config| {
        Ok(config.replace(scene.world.emulator.front_door_url(), &scene.echo.url()))
    };
    a_media_service_that_quotes_the_token_at_the_cut_is_not_repeated: "media-service-error", |scene, config| {
        Ok(config.replace(scene.world.emulator.front_door_url(), &scene.late_echo.url()))
    };
    a_storage_service_that_quotes_the_signature_is_not_repeated: "storage-denied", |scene, config| {
        Ok(config.replace(scene.world.azurite().as_str(), &format!("{}/", scene.echo.url())))
    };
    a_copy_that_is_refused_tells_no_signature: "storage-denied", |scene, config| {
        // Only the replica's account is at the server that quotes, so that listing the source works.
        let east = |root: &str| format!("blob_url = '{root}/east");
        let azurite = scene.world.azurite().as_str().trim_end_matches('/');
        Ok(config.replace(&east(azurite), &east(&scene.echo.url())))
    };
    a_media_service_out_of_reach_tells_no_secret: "cannot-connect", |scene, config| {
        Ok(config.replace(scene.world.emulator.front_door_url(), NOWHERE))
    };
    a_token_door_out_of_reach_tells_no_secret: "cannot-connect", |scene, config| {
        Ok(config.replace(scene.world.emulator.acs_url(), NOWHERE))
    };
    storage_out_of_reach_tells_no_secret: "storage-unreachable", |scene, config| {
        Ok(config.replace(scene.world.azurite().as_str(), &format!("{NOWHERE}/")))
    };
}

#[tokio::test]
async fn a_broker_that_refuses_or_is_not_there_is_not_told_the_password() -> Result<()> {
    let scene = Scene::start().await?;
    let config = std::fs::read_to_string(scene.world.config())?;
    let broker = scene.world.vhost.broker();
    broker.add_user(&scene.user(), "another password now", "", "", "", scene.world.vhost.name()).await?;
    let mut output = String::new();
    for config in [config.clone(), config.replace(&format!(":{}/", broker.amqp_port()), ":1/")] {
        std::fs::write(scene.world.config(), config)?;
        output += &scene.command(&["check"]).await?;
        let worker = Worker::spawn(&scene.world.config())?;
        worker.logs("broker cannot be used").await?;
        output += &worker.log();
        worker.kill().await?;
    }
    ensure!(output.matches("TRACE").count() > 2, "not everything is logged");
    scene.ensure_clean("output", &output);
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_told_without_their_values() -> Result<()> {
    let scene = Scene::start().await?;
    let config = std::fs::read_to_string(scene.world.config())?;
    let key = format!("key = '{MEDIA_KEY}'");
    let table = "[sites.west.media]\n";
    for (broken, named) in [
        // A quotation mark is missing.
        (config.replacen(&key, &format!("key = '{MEDIA_KEY}"), 1), "settings"),
        (config.replacen(&key, &format!("key = {MEDIA_KEY}"), 1), "settings"),
        // Twice, and of the wrong kind.
        (config.replacen(&key, &format!("{key}\n{key}"), 1), "settings"),
        (config.replacen(&key, &format!("{key}\nkey_file = '/nowhere'"), 1), "sites.west.media.key"),
        (config.replacen(&key, &format!("key = ['{MEDIA_KEY}']"), 1), "key"),
        (config.replacen(&key, &format!("kee = '{MEDIA_KEY}'"), 1), "kee"),
        (config.replacen(table, &format!("[sites.west]\nmedia = '{MEDIA_KEY}'\n[x]\n"), 1), "settings"),
        (format!("routes = '{MEDIA_KEY}'\n{}", config.replace("[routes", "[x")), "routes"),
        (config.replacen("amqp://", "http://", 1), "rabbitmq.url"),
        (config.replacen("amqp://", "amqp//", 1), "rabbitmq.url"),
        (config.replacen(ACCOUNTS[0].1, &format!("{}!", ACCOUNTS[0].1), 1), "sites.west.storage.key"),
    ] {
        std::fs::write(scene.world.config(), &broken)?;
        let output = scene.command(&["check"]).await?;
        ensure!(output.contains(named), "'{named}' is not named: {output}");
        ensure!(output.contains("exit status: 64"), "{output}");
        scene.ensure_clean("output", &output);
    }
    Ok(())
}

#[tokio::test]
async fn help_tells_no_secret() -> Result<()> {
    let scene = Scene::start().await?;
    for arguments in [&["--help"][..], &["run", "--help"], &["check", "--help"], &["replicate", "--help"]] {
        let output = scene.command(arguments).await?;
        ensure!(output.contains("Usage:"), "{output}");
        scene.ensure_clean("help", &output);
    }
    Ok(())
}

#[tokio::test]
async fn a_message_with_a_secret_is_parked_untouched_and_not_logged() -> Result<()> {
    let scene = Scene::start().await?;
    let worker = scene.world.worker().await?;
    scene.world.send(format!("no JSON but {MEDIA_KEY}"), None).await?;
    let parked = scene.world.take("replication.parked").await?;
    // The search does look into bodies, and does find what is there.
    assert_eq!(scene.secrets().found_in(&everything(&parked)), ["media key", "media key, decoded or in part"]);
    assert_eq!(worker.terminate().await?, Some(0));
    Ok(())
}

/// A world, settings with every secret set, and servers that quote what they are sent.
struct Scene {
    world: World,
    echo: Echo,
    late_echo: Echo,
    asset_id: String,
}

impl Scene {
    async fn start() -> Result<Self> {
        let world = World::start().await?;
        // The cut is at 300 characters; the quoted secrets begin before it and end behind it.
        let (echo, late_echo) = (Echo::start(0).await?, Echo::start(220).await?);
        let asset_id = world.encoded_asset("movie").await?.id;
        world.write_config(&["west", "east"], SETTINGS)?;
        let scene = Self { world, echo, late_echo, asset_id };
        let (vhost, user) = (&scene.world.vhost, scene.user());
        vhost.broker().add_user(&user, PASSWORD, ".*", ".*", ".*", vhost.name()).await?;
        let url = vhost.broker().amqp_url_as(&user, PASSWORD, vhost.name());
        let config = std::fs::read_to_string(scene.world.config())?;
        let config = config.replace(&vhost.amqp_url(), &url).replace("[1, 2]", "[3600]");
        std::fs::write(scene.world.config(), config)?;
        Ok(scene)
    }

    fn user(&self) -> String {
        format!("{}-worker", self.world.vhost.name())
    }

    fn with_secrets_in_files(&self, config: &str) -> Result<String> {
        let mut changed = String::new();
        for (number, line) in config.lines().enumerate() {
            let secret = line.split_once(" = '").filter(|(key, _)| matches!(*key, "key" | "url"));
            if let Some((key, value)) = secret {
                let file = self.world.config().with_file_name(format!("secret-{number}"));
                std::fs::write(&file, format!("{}\n", value.trim_end_matches('\'')))?;
                writeln!(changed, "{key}_file = '{}'", file.display())?;
            } else {
                writeln!(changed, "{line}")?;
            }
        }
        ensure!(changed.matches("_file").count() == 5, "not every secret is in a file: {changed}");
        Ok(changed.replace("[worker]", "[worker]\nlog_format = 'json'"))
    }

    /// Everything that must be nowhere.
    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add("media key", MEDIA_KEY);
        secrets.add("wrong media key", WRONG_MEDIA_KEY);
        secrets.add("wrong storage key", WRONG_STORAGE_KEY);
        for (_, key) in ACCOUNTS {
            secrets.add("storage key", key);
        }
        secrets.add("broker password", PASSWORD);
        for token in self.world.emulator.issued_tokens() {
            secrets.add("token", &token);
        }
        for request in self.echo.requests().iter().chain(&self.late_echo.requests()) {
            let signatures = request.split(['?', '&', ' ', '\r']).filter_map(|part| part.strip_prefix("sig="));
            signatures.for_each(|signature| secrets.add("signature", signature));
        }
        secrets
    }

    fn ensure_clean(&self, what: &str, text: &str) {
        let found = self.secrets().found_in(text);
        assert!(found.is_empty(), "{what} has {found:?}:\n{}", self.secrets().lines_with_any(text));
    }

    /// One command to its end, with everything it printed.
    async fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = run_once(&self.world.config(), arguments).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(format!("{}\n{}\n{}\n", text(&output.stdout), text(&output.stderr), output.status))
    }

    /// Runs every command and a worker, lets messages end in every way, and searches through all that came of it.
    async fn tells_nothing_but(&self, told: &str) -> Result<()> {
        let worker = self.world.worker().await?;
        self.world.send_finished(&self.asset_id).await?;
        self.world.send_finished("nb:cid:UUID:00000000-0000-0000-0000-000000000000").await?;
        self.world.send("no JSON", Some("parked")).await?;
        let (mut ended, mut to_come) = (String::new(), 3);
        while to_come > 0 {
            let received = eventually("the end of a message", || self.take_ended()).await;
            let received = received.with_context(|| worker.log())?;
            to_come -= i32::from(!received.routing_key.starts_with("media.asset.replication_failed."));
            ended += &everything(&received);
        }
        // The event about a dead letter, which nobody here has subscribed to, is stored before the letter.
        while let Some(received) = self.take_ended().await? {
            ended += &everything(&received);
        }
        let (letters, told_of) =
            (ended.matches("\"dead.").count(), ended.matches("\"media.asset.replication_failed.west"));
        ensure!(letters == told_of.count(), "not every dead letter was announced:\n{ended}");
        let log = worker.log();
        assert_eq!(worker.terminate().await?, Some(0));
        let mut output = self.command(&["check"]).await?;
        output += &self.command(&["replicate", "--asset", &self.asset_id]).await?;
        output += &self.command(&["replicate", "--json", "--asset", &self.asset_id]).await?;
        for (what, text) in [("messages", &ended), ("output", &output)] {
            ensure!(text.contains(told), "'{told}' is not told by {what}:\n{text}");
        }
        ensure!(log.contains("TRACE") && output.contains("TRACE"), "not everything is logged");
        self.ensure_clean("messages", &ended);
        self.ensure_clean("log", &log);
        self.ensure_clean("output", &output);
        Ok(())
    }

    async fn take_ended(&self) -> Result<Option<Received>> {
        for queue in ENDS {
            if let Some(received) = self.world.amqp.take(&format!("replication.{queue}")).await? {
                return Ok(Some(received));
            }
        }
        Ok(None)
    }
}

/// A message with its headers and properties as one text.
fn everything(received: &Received) -> String {
    format!("{received:?}\n{}\n", String::from_utf8_lossy(&received.body))
}
