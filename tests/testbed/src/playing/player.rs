//! A player that decodes everything it gets, so that two playbacks can be compared picture by picture.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Url;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::ffmpeg::{Ffmpeg, warnings};

const PLAY_LIMIT: Duration = Duration::from_secs(120);
const FRAMES: &str = "frames.txt";

/// Which of a stream's sizes are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variants {
    /// All of them, with their sound.
    #[default]
    All,
    /// The largest picture and the best sound.
    Best,
}

/// How a stream is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayOptions {
    /// Which of its sizes.
    pub variants: Variants,
    /// As fast as a viewer looks, in place of as fast as possible.
    pub realtime: bool,
}

/// A stream that was played to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// A line per decoded picture or piece of sound, for each stream: its times, its size and its hash.
    pub streams: Vec<Vec<String>>,
    /// What the player complained about, for example a request that failed: none where all went well.
    pub warnings: Vec<String>,
}

/// A running playback; dropping it ends it.
pub struct Playback {
    ffmpeg: Ffmpeg,
    dir: TempDir,
}

/// Plays what is at `url` to its end. No request is made twice: what fails is missing, and is complained about.
///
/// # Errors
/// When FFmpeg is not installed, cannot play anything there, or is not done in two minutes.
pub async fn play(url: &Url, options: PlayOptions) -> Result<Played> {
    start_playing(url, options)?.wait().await
}

/// Begins to play what is at `url`.
///
/// # Errors
/// When FFmpeg is not installed.
pub fn start_playing(url: &Url, options: PlayOptions) -> Result<Playback> {
    let dir = tempfile::Builder::new().prefix("testbed-player-").tempdir()?;
    let mut args = Vec::new();
    if options.realtime {
        args.push("-re");
    }
    args.extend(["-i", url.as_str()]);
    if options.variants == Variants::All {
        args.extend(["-map", "0:v?", "-map", "0:a?"]);
    }
    args.extend(["-f", "framehash", "-hash", "md5", FRAMES]);
    let ffmpeg = Ffmpeg::start(dir.path(), args.into_iter().map(str::to_owned).collect())?;
    Ok(Playback { ffmpeg, dir })
}

impl Played {
    /// SHA-256 over all lines, in hexadecimal: two playbacks that are alike have the same.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (index, stream) in self.streams.iter().enumerate() {
            for frame in stream {
                digest.update(format!("{index} {frame}\n"));
            }
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Playback {
    /// Whether it has not come to its end.
    ///
    /// # Errors
    /// When the player's state is not known.
    pub fn is_running(&mut self) -> Result<bool> {
        self.ffmpeg.is_running()
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When nothing could be played, or it is not done in two minutes.
    pub async fn wait(self) -> Result<Played> {
        let Self { ffmpeg, dir } = self;
        tokio::task::spawn_blocking(move || {
            ffmpeg.wait(PLAY_LIMIT)?;
            let frames = std::fs::read_to_string(dir.path().join(FRAMES)).context("ffmpeg wrote no hashes")?;
            Ok(Played { streams: parse(&frames)?, warnings: warnings(dir.path())? })
        })
        .await?
    }
}

/// Lines are `stream, dts, pts, duration, size, hash`; comments begin with `#`.
fn parse(frames: &str) -> Result<Vec<Vec<String>>> {
    let mut streams: Vec<Vec<String>> = Vec::new();
    for line in frames.lines().filter(|line| !line.starts_with('#')) {
        let Some((stream, frame)) = line.split_once(',') else { bail!("ffmpeg wrote an odd line: {line}") };
        let stream: usize = stream.trim().parse().with_context(|| format!("ffmpeg wrote an odd line: {line}"))?;
        if streams.len() <= stream {
            streams.resize(stream + 1, Vec::new());
        }
        streams[stream].push(frame.split(',').map(str::trim).collect::<Vec<_>>().join(" "));
    }
    Ok(streams)
}
