//! What an emulator is started with, and the switches that may be turned while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::entra::EntraPrincipal;
pub use super::switches::{CreateFileInfos, DateStyle, JobOutcome, Lag, Quotas, Redirect, Switches};
use crate::storage::Storage;
use bytes::Bytes;

/// The accounts and the encoder of an emulator.
#[derive(Debug, Clone, Default)]
pub struct EmulatorConfig {
    /// The accounts; their data centres come into being by being named here.
    pub accounts: Vec<AccountConfig>,
    /// Fixed ports, where wanted.
    pub ports: Ports,
    /// What encoding jobs produce.
    pub encoder: EncoderConfig,
    /// What the clusters call themselves in redirects and entities, by data centre and without a trailing slash, where
    /// clients reach them by a public name, such as `https://wamsbjbclus001rest-hs.chinacloudapp.cn`.
    pub public_clusters: BTreeMap<String, String>,
}

/// Fixed ports by door; an absent or zero port is chosen by the operating system.
#[derive(Debug, Clone, Default)]
pub struct Ports {
    /// The global front door.
    pub front_door: u16,
    /// The token door.
    pub acs: u16,
    /// The Entra (Azure AD) door.
    pub entra: u16,
    /// The cluster of each data centre.
    pub clusters: BTreeMap<String, u16>,
}

/// One media services account.
#[derive(Clone)]
pub struct AccountConfig {
    /// The account's name: its `client_id` towards ACS.
    pub name: String,
    /// The account's key: its `client_secret` towards ACS.
    pub key: String,
    /// The principal that Entra gives tokens to; without one only ACS does.
    pub entra: Option<EntraPrincipal>,
    /// The data centre that serves it; ids of locators and content keys are unique within one.
    pub data_centre: String,
    /// The storage account attached to it, the default for new assets.
    pub storage: Storage,
    /// Further storage accounts, for assets that name them.
    pub more_storage: Vec<Storage>,
    /// What its streaming endpoint is called in locators, where clients reach it by a public name; `http://` in front, as
    /// locators have it, and no trailing slash.
    pub public_streaming: Option<String>,
    /// What its blob service is called in assets and SAS locators, without a trailing slash, where clients reach it by a
    /// public name.
    pub public_storage: Option<String>,
    /// The port of its streaming endpoint; zero lets the operating system choose.
    pub streaming_port: u16,
    /// The port of its own REST endpoint, which serves without a redirect; zero lets the operating system choose.
    pub restv2_port: u16,
    /// The switches to begin with.
    pub switches: Switches,
}

impl std::fmt::Debug for AccountConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("AccountConfig");
        shown.field("name", &self.name).field("data_centre", &self.data_centre).finish_non_exhaustive()
    }
}

impl AccountConfig {
    /// An account with default switches and a streaming port chosen by the operating system.
    pub fn new(name: &str, key: &str, data_centre: &str, storage: Storage) -> Self {
        Self {
            name: name.to_owned(),
            key: key.to_owned(),
            entra: None,
            data_centre: data_centre.to_owned(),
            storage,
            more_storage: Vec::new(),
            public_streaming: None,
            public_storage: None,
            streaming_port: 0,
            restv2_port: 0,
            switches: Switches::default(),
        }
    }
}

/// What encoding jobs produce, and how fast.
#[derive(Debug, Clone)]
pub struct EncoderConfig {
    /// The files placed in every output asset.
    pub files: Vec<PreparedFile>,
    /// Whether files are renamed after the output asset: the stem of the set's `.ism` is replaced in names and in manifests.
    pub rename: bool,
    /// How long a job stays in each state before `Finished`.
    pub step: Duration,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self { files: Vec::new(), rename: true, step: Duration::from_millis(50) }
    }
}

/// One file of a prepared set.
#[derive(Debug, Clone)]
pub struct PreparedFile {
    /// The blob's name.
    pub name: String,
    /// The blob's content.
    pub bytes: Bytes,
    /// The blob's content type, also the asset file's `MimeType`.
    pub content_type: Option<String>,
}

impl PreparedFile {
    /// A file whose content type follows from its extension.
    pub fn new(name: &str, bytes: impl Into<Bytes>) -> Self {
        let content_type = super::streaming::content_type_of(name).map(str::to_owned);
        Self { name: name.to_owned(), bytes: bytes.into(), content_type }
    }

    /// Loads every file of a directory, in name order.
    ///
    /// # Errors
    /// When the directory or one of its files cannot be read.
    pub fn load_directory(directory: &std::path::Path) -> anyhow::Result<Vec<Self>> {
        super::jobs::prepared::load(directory)
    }
}
