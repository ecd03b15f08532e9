//! No-key mode: storage is reached through SAS locators only, and none is left behind however a job ends.

mod ends;
mod kills;
mod lag;
mod scene;
mod secrets;
mod whole;
