//! Films as viewers get them: FFmpeg makes and plays them, nginx serves them at both sites and stands in for the CDN.

mod ffmpeg;
mod film;
mod front;
mod nginx;
mod player;
mod site;
mod verdict;

use std::path::PathBuf;

use anyhow::{Context, Result};

pub use film::{Film, FilmFile, Format};
pub use front::Front;
pub use nginx::Answered;
pub use player::{PlayOptions, Playback, Played, Variants, play, start_playing};
pub use site::{Site, SiteOptions};
pub use verdict::{FailedOver, calm_after, ensure_complete, ensure_failed_over, ensure_no_failure};

/// Where a program of Debian's is; servers are in folders that are not on everybody's `PATH`.
fn find_program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = ["/usr/local/sbin", "/usr/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(servers).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.with_context(|| format!("there is no {name}: run deploy/setup.sh"))
}
