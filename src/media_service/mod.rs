//! Media services: one contract, one folder for each kind.

pub mod ams_v2;
