//! An operator's desk: a broker with our topology, letters in it, and the program with settings that know no sites.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use lapin::types::AMQPValue;
use serde_json::Value;
use stream_replicator::rabbitmq::apply;
use stream_replicator::settings::RabbitmqSettings;
use tempfile::TempDir;
use testbed::amqp::{Amqp, Outgoing, Received};
use testbed::process::Vhost;

use crate::support::rabbitmq::{depth_becomes, fresh_vhost};
use crate::support::{run_once, within};

/// Letters that are published at once.
const AT_ONCE: usize = 500;

/// The desk of one story.
pub struct Desk {
    pub vhost: Vhost,
    pub settings: RabbitmqSettings,
    pub amqp: Amqp,
    folder: TempDir,
}

impl Desk {
    /// With the topology of the settings.
    pub async fn set_up() -> Result<Self> {
        let desk = Self::bare().await?;
        apply(&desk.settings).await?;
        Ok(desk)
    }

    /// With nothing at the broker.
    pub async fn bare() -> Result<Self> {
        let (vhost, settings) = fresh_vhost().await?;
        let amqp = Amqp::connect(&vhost.amqp_url()).await?;
        let desk = Self { vhost, settings, amqp, folder: tempfile::tempdir()? };
        desk.write_config(&desk.vhost.amqp_url())?;
        Ok(desk)
    }

    /// Gives the program another address of the broker.
    pub fn write_config(&self, url: &str) -> Result<()> {
        std::fs::write(self.config(), format!("[rabbitmq]\nurl = '{url}'\nretry_delays_seconds = [1, 3600]\n"))?;
        Ok(())
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("operator.toml")
    }

    /// A file in the desk's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets letters aside, as a worker would, and waits until all are in the queue of dead letters.
    pub async fn set_aside(&self, letters: Vec<Outgoing>) -> Result<()> {
        let before = self.vhost.queue_depth("replication.dead").await?.unwrap_or(0);
        let number = u32::try_from(letters.len())?;
        let mut letters = letters.into_iter().peekable();
        while letters.peek().is_some() {
            let some: Vec<_> = letters.by_ref().take(AT_ONCE).collect();
            let published = some.into_iter().map(|letter| {
                let class = letter.headers.iter().find(|(name, _)| name == "x-replication-class");
                let key = format!("dead.{}", class.map_or("permanent", |(_, class)| class));
                async move { self.amqp.publish("replication.dlx", &key, letter).await }
            });
            try_join_all(published).await?;
        }
        depth_becomes(&self.vhost, "replication.dead", before + number).await
    }

    /// Runs `dead-letters` and these words, split at blanks.
    pub async fn run(&self, words: &str) -> Result<Output> {
        let arguments: Vec<_> = std::iter::once("dead-letters").chain(words.split(' ')).collect();
        run_once(&self.config(), &arguments).await
    }

    /// Runs `dead-letters edit` with an editor.
    pub async fn edit_with(&self, editor: &str, id: &str) -> Result<Output> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stream-replicator"));
        command.args(["dead-letters", "edit", id, "--yes"]).env("STREAM_REPLICATOR_CONFIG", self.config());
        command.env_remove("VISUAL").env("EDITOR", editor).kill_on_drop(true);
        within("the editor", async { Ok(command.output().await?) }).await
    }

    /// The same, of which nothing but success is expected; gives what it printed.
    pub async fn print(&self, words: &str) -> Result<String> {
        let output = self.run(words).await?;
        let (text, errors) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        ensure!(output.status.code() == Some(0), "{words}: {:?}\n{text}\n{errors}", output.status);
        Ok(text)
    }

    /// The same with `--json`.
    pub async fn json(&self, words: &str) -> Result<Value> {
        serde_json::from_str(&self.print(&format!("{words} --json")).await?).context("no JSON")
    }

    /// Ids of what `list` and these words show.
    pub async fn listed(&self, words: &str) -> Result<Vec<String>> {
        let document = self.json(&format!("list{words}")).await?;
        let letters = document["letters"].as_array().context("no letters")?;
        Ok(letters.iter().map(|letter| letter["id"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Takes everything out of a queue, in its order.
    pub async fn drain(&self, queue: &str) -> Result<Vec<Received>> {
        let mut all = Vec::new();
        while let Some(message) = self.amqp.take(queue).await? {
            all.push(message);
        }
        Ok(all)
    }

    /// How many messages a queue holds.
    pub async fn depth(&self, queue: &str) -> Result<u32> {
        self.vhost.queue_depth(queue).await?.context("no such queue")
    }
}

/// A letter as a worker writes it.
pub fn letter(id: &str, class: &str, code: &str) -> Outgoing {
    let asset = format!("nb:cid:UUID:{}", uuid::Uuid::new_v4());
    let text = |name: &str, value: &str| (format!("x-replication-{name}"), value.to_owned());
    let mut letter = Outgoing {
        body: format!(r#"{{"site":"west","asset":{{"id":"{asset}"}}}}"#).into(),
        message_id: Some(id.to_owned()),
        content_type: Some("application/json".to_owned()),
        headers: vec![
            text("class", class),
            text("code", code),
            text("error", "the source asset is storage-encrypted"),
            text("hint", "encode it without storage encryption"),
            text("step", "find_source_asset"),
            text("site", "west"),
            text("first-seen", "2026-11-20T10:15:30.123Z"),
            text("set-aside-at", "2026-11-20T10:16:30.123Z"),
            ("cms-id".to_owned(), "4711".to_owned()),
        ],
        ..Outgoing::default()
    };
    letter.other_headers.insert("x-replication-attempt".into(), AMQPValue::LongLongInt(3));
    letter
}

/// Letters of one class and code, ids counted.
pub fn letters(prefix: &str, count: usize, class: &str, code: &str) -> Vec<Outgoing> {
    (0..count).map(|number| letter(&format!("{prefix}-{number:05}"), class, code)).collect()
}

/// The message ids.
pub fn ids(messages: &[Received]) -> Vec<String> {
    messages.iter().map(|message| message.message_id.clone().unwrap_or_default()).collect()
}

/// How often each id is there.
pub fn counted(messages: &[Received]) -> BTreeMap<String, usize> {
    ids(messages).into_iter().fold(BTreeMap::new(), |mut counts, id| {
        *counts.entry(id).or_default() += 1;
        counts
    })
}
