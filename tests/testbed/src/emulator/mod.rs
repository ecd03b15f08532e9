//! An emulator of Azure Media Services v2 over real HTTP: several data centres, accounts, streaming endpoints, and faults.
//!
//! It speaks JSON only. Asked for Atom or XML, or sent some, it answers 415 and says so (`$metadata` and the XML body of a
//! link are the exceptions). A request without `Accept`, or with `*/*`, gets verbose JSON: the real service answered Atom
//! there, but whoever asks for nothing in particular is better served with something that he can read.
//!
//! The doors: the front door, which redirects everything; a cluster per data centre; a REST endpoint per account (`restv2`),
//! which serves without a redirect; ACS and Entra for tokens; a streaming endpoint per account.

mod account_handle;
mod cluster;
mod config;
mod doors;
mod entra;
mod faults;
mod handle;
mod jobs;
mod listeners;
mod odata;
mod shared;
mod state;
mod streaming;
mod switches;
mod traffic;
mod views;

pub use account_handle::AccountHandle;
pub use config::{
    AccountConfig, CreateFileInfos, DateStyle, EmulatorConfig, EncoderConfig, JobOutcome, Lag, Ports, PreparedFile,
    Quotas, Redirect, Switches,
};
pub use doors::control::router as control_router;
pub use entra::{EntraPrincipal, EntraUser, TEST_CERTIFICATE_PEM, TEST_KEY_PEM};
pub use faults::{Down, FaultAction, FaultBody, FaultRule};
pub use handle::Emulator;
pub use odata::edm::Edm;
pub use odata::schema::Set;
pub use state::Entity;
pub use traffic::{DoorKind, Request, Requests};
pub use views::{AccessPolicy, Asset, AssetFile, Locator};
