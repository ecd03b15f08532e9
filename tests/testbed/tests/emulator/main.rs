//! The media services emulator over real HTTP, with a real Azurite behind it.

mod azurerm;
mod batch;
mod doors;
mod entra;
mod faults;
mod jobs;
mod limits;
mod locators;
mod odata;
mod program;
mod sas;
mod storage;
mod story;
mod streaming;
mod support;
mod wire;
