//! The switches of an account: how it deviates from the plain, prompt service while it runs.

use serde::Deserialize;

/// How an account deviates from the plain, prompt service. Every field may be changed while the emulator runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// Reads of a new locator that answer 404 first.
    pub locator_read_lag: Lag,
    /// Streaming requests of a new locator that answer 404 first.
    pub locator_stream_lag: Lag,
    /// How long storage answers 403 to the URL of a new SAS locator, in milliseconds.
    pub sas_lag_milliseconds: u64,
    /// What `CreateFileInfos` does.
    pub create_file_infos: CreateFileInfos,
    /// Whether a full page is followed by a next link. The contract leaves open whether the service sent one.
    pub next_link: bool,
    /// How many entities a page holds at most.
    pub page_size: usize,
    /// How long a new token of ACS is good for, in seconds.
    pub token_lifetime_seconds: u64,
    /// How long a new token of Entra is good for, in seconds.
    pub entra_token_lifetime_seconds: u64,
    /// How the front door redirects.
    pub redirect: Redirect,
    /// How dates are written.
    pub dates: DateStyle,
    /// Whether origin locators, and SAS locators with Read whatever else they permit, are refused with 400 while their asset
    /// has no files.
    pub locator_needs_files: bool,
    /// Whether a locator id may be a bare GUID, without `nb:lid:UUID:`; else that is 400.
    pub bare_locator_ids: bool,
    /// Whether the default streaming endpoint begins stopped, as the service made it. Read when the account is made.
    pub default_endpoint_stopped: bool,
    /// Whether the account is disabled: everything but GET is 403.
    pub disabled: bool,
    /// How many entities the account may have.
    pub quotas: Quotas,
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
            sas_lag_milliseconds: 0,
            create_file_infos: CreateFileInfos::Normal,
            next_link: false,
            page_size: 1000,
            token_lifetime_seconds: 21_600,
            entra_token_lifetime_seconds: 3_600,
            redirect: Redirect::Direct,
            dates: DateStyle::AsSeen,
            locator_needs_files: false,
            bare_locator_ids: false,
            default_endpoint_stopped: false,
            disabled: false,
            quotas: Quotas::default(),
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

    /// A lag in time.
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self { requests: 0, milliseconds }
    }
}

/// How many entities of a kind an account may have; one more is 403 (contract ams-v2 section 4.3).
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Assets.
    pub assets: usize,
    /// Policies of each kind: access, delivery, key authorization.
    pub policies: usize,
    /// Jobs.
    pub jobs: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self { assets: 1_000_000, policies: 1_000_000, jobs: 50_000 }
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
