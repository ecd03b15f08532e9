//! What an emulator is started with, and the switches that may be turned while it runs.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use super::entra::EntraPrincipal;
use crate::storage::Storage;

/// The accounts and the encoder of an emulator.
#[derive(Debug, Clone, Default)]
pub struct EmulatorConfig {
    /// The accounts; their data centres come into being by being named here.
    pub accounts: Vec<AccountConfig>,
    /// Fixed ports, where wanted.
    pub ports: Ports,
    /// What encoding jobs produce.
    pub encoder: EncoderConfig,
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
    /// The storage account attached to it.
    pub storage: Storage,
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

/// How an account deviates from the plain, prompt service. Every field may be changed while the emulator runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Reads of a new locator that answer 404 first.
    pub locator_read_lag: Lag,
    /// Streaming requests of a new locator that answer 404 first.
    pub locator_stream_lag: Lag,
    /// What `CreateFileInfos` does.
    pub create_file_infos: CreateFileInfos,
    /// Whether a full page is followed by a next link. The contract leaves open whether the service sent one.
    pub next_link: bool,
    /// How long a new token of ACS is good for, in seconds.
    pub token_lifetime_seconds: u64,
    /// How long a new token of Entra is good for, in seconds.
    pub entra_token_lifetime_seconds: u64,
    /// How the front door redirects.
    pub redirect: Redirect,
    /// How dates are written.
    pub dates: DateStyle,
    /// Whether an origin locator is refused with 400 while its asset has no files.
    pub locator_needs_files: bool,
    /// How encoding jobs end.
    pub job_outcome: JobOutcome,
    /// How many reads of a job still show `Processing` after the notification of its end.
    pub job_state_lag_reads: u32,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            locator_read_lag: Lag::default(),
            locator_stream_lag: Lag::default(),
            create_file_infos: CreateFileInfos::Normal,
            next_link: false,
            token_lifetime_seconds: 21_600,
            entra_token_lifetime_seconds: 3_600,
            redirect: Redirect::Direct,
            dates: DateStyle::AsSeen,
            locator_needs_files: false,
            job_outcome: JobOutcome::Finished,
            job_state_lag_reads: 0,
        }
    }
}

/// A delay before something new is seen: both parts must have passed.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lag {
    /// This many requests do not see it.
    pub requests: u32,
    /// Nor is it seen for this many milliseconds.
    pub milliseconds: u64,
}

impl Lag {
    /// A lag counted in requests, the kind that tests can rely on.
    pub const fn requests(requests: u32) -> Self {
        Self { requests, milliseconds: 0 }
    }
}

/// What `CreateFileInfos` does with an asset's blobs (contract ams-v2 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreateFileInfos {
    /// Registers the blobs that have no asset file yet.
    Normal,
    /// Answers 409 as soon as one blob has an asset file.
    ConflictWhenFilesExist,
    /// Registers at most this many per call.
    Partial(usize),
}

/// How the front door redirects an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redirect {
    /// To the account's cluster.
    Direct,
    /// To itself once, then to the cluster.
    ExtraHop,
    /// To itself for ever.
    Loop,
}

/// How dates are written outside the `/Date(ms)/` form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateStyle {
    /// As captured: `Z` and seven digits at creation, neither when read back.
    AsSeen,
    /// Never a zone.
    NeverZone,
    /// Always a zone.
    AlwaysZone,
}

/// How encoding jobs end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobOutcome {
    /// With all its outputs.
    Finished,
    /// With an error in the details of each task.
    Error {
        /// The error's code, such as `EncoderFailed`.
        code: String,
        /// The error's text.
        message: String,
    },
    /// Canceled while it ran.
    Canceled,
}
