//! The client of Azure Media Services v2 against the emulator, over real HTTP.

mod answers;
mod assets;
mod calls;
mod identity;
mod jobs_and_endpoints;
mod limits;
mod locators;
mod sas_locators;
mod wire;
mod world;
