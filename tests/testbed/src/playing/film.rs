//! Short films in the formats that players know, encoded by FFmpeg from pictures that it makes itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use tempfile::TempDir;

use super::ffmpeg::Ffmpeg;
use crate::storage::{PutOptions, Storage};

/// Encoding takes a fraction of a second where the machine has nothing else to do.
const ENCODE_LIMIT: Duration = Duration::from_secs(60);
/// How many pictures of each size those ten seconds have.
pub(super) const PICTURES: usize = 100;
/// Where the stream is, inside FFmpeg's folder; the paths in its arguments begin with it.
const STREAM: &str = "stream";
/// Ten seconds of a picture with a running counter, and a tone.
const SOURCES: &str = "-f lavfi -i testsrc2=size=320x180:rate=10:duration=10 \
    -f lavfi -i sine=frequency=440:sample_rate=48000:duration=10 \
    -filter_complex [0:v]split=2[big][low];[low]scale=160:90[small]";
/// A key frame each second, which begins a segment; one thread, and no versions or dates in the files.
const CODECS: &str = "-threads 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 10 -keyint_min 10 -sc_threshold 0 \
    -b:v:0 150k -b:v:1 60k -c:a aac -b:a 48k -fflags +bitexact -flags:v +bitexact -flags:a +bitexact";
const HLS: &str = "-f hls -hls_time 1 -hls_playlist_type vod -master_pl_name master.m3u8";
const HLS_STREAMS: &str = "-map [big] -map 1:a -map [small] -map 1:a";
const DASH: &str = "-f dash -seg_duration 1 -use_template 1 -use_timeline 1 \
    -init_seg_name init-$RepresentationID$.mp4 -media_seg_name part-$RepresentationID$-$Number%03d$.m4s";
const DASH_STREAMS: &str = "-map [big] -map [small] -map 1:a";

/// How a film is cut and described. Each has the pictures in two sizes, 320x180 and 160x90.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HLS with MPEG transport stream segments, in a folder per size.
    HlsTs,
    /// HLS with fragmented MP4: an initialization section and segments, in a folder per size.
    HlsFmp4,
    /// HLS with one transport stream per size, whose segments are ranges of bytes.
    HlsByteRanges,
    /// DASH with a template and a timeline, all in one folder.
    Dash,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HlsTs, Self::HlsFmp4, Self::HlsByteRanges, Self::Dash];

    fn entry(self) -> &'static str {
        if self == Self::Dash { "manifest.mpd" } else { "master.m3u8" }
    }

    fn arguments(self) -> Vec<String> {
        let (streams, muxer, segments, group) = match self {
            Self::Dash => (DASH_STREAMS, DASH, "", ["-adaptation_sets", "id=0,streams=v id=1,streams=a"]),
            hls => {
                let segments = match hls {
                    Self::HlsFmp4 => "-hls_segment_type fmp4 -hls_segment_filename stream/%v/part-%03d.m4s",
                    Self::HlsByteRanges => "-hls_flags single_file -hls_segment_filename stream/%v/film.ts",
                    _ => "-hls_segment_filename stream/%v/part-%03d.ts",
                };
                (HLS_STREAMS, HLS, segments, ["-var_stream_map", "v:0,a:0,name:high v:1,a:1,name:low"])
            }
        };
        let output = if self == Self::Dash { "stream/manifest.mpd" } else { "stream/%v/index.m3u8" };
        let words = [SOURCES, streams, CODECS, muxer, segments].into_iter().flat_map(str::split_whitespace);
        words.chain(group).chain([output]).map(str::to_owned).collect()
    }
}

/// A file of a film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilmFile {
    /// Its path inside the film's folder, `/` between its parts.
    pub name: String,
    /// Its content.
    pub bytes: Bytes,
    /// Its media type, as a web server declares it.
    pub content_type: &'static str,
}

/// An encoded film; its folder is removed when it is dropped.
#[derive(Debug)]
pub struct Film {
    format: Format,
    files: Vec<FilmFile>,
    dir: TempDir,
}

impl Film {
    /// Encodes ten seconds in one format: a hundred pictures of each size.
    ///
    /// # Errors
    /// When FFmpeg is not installed, or fails.
    pub async fn encode(format: Format) -> Result<Self> {
        tokio::task::spawn_blocking(move || encode(format)).await?
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join(STREAM)
    }

    /// Its files, in the order of their names.
    #[must_use]
    pub fn files(&self) -> &[FilmFile] {
        &self.files
    }

    /// The path of the manifest that a player opens first, inside the folder.
    #[must_use]
    pub fn entry(&self) -> &'static str {
        self.format.entry()
    }

    /// Puts all files into a container, under names that begin with `prefix`, for example `film/`.
    ///
    /// # Errors
    /// When the storage cannot be reached or refuses.
    pub async fn upload(&self, storage: &Storage, container: &str, prefix: &str) -> Result<()> {
        for file in &self.files {
            let options = PutOptions { content_type: Some(file.content_type.to_owned()), ..PutOptions::default() };
            storage.put(container, &format!("{prefix}{}", file.name), file.bytes.clone(), options).await?;
        }
        Ok(())
    }
}

fn encode(format: Format) -> Result<Film> {
    let dir = tempfile::Builder::new().prefix("testbed-film-").tempdir()?;
    let folder = dir.path().join(STREAM);
    std::fs::create_dir(&folder)?;
    Ffmpeg::start(dir.path(), format.arguments())?.wait(ENCODE_LIMIT)?;
    let mut files = Vec::new();
    collect(&folder, "", &mut files)?;
    files.sort_by(|one: &FilmFile, other| one.name.cmp(&other.name));
    Ok(Film { format, files, dir })
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<FilmFile>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
            continue;
        }
        let content_type = content_type(&name).with_context(|| format!("ffmpeg wrote an odd file: {name}"))?;
        files.push(FilmFile { bytes: std::fs::read(entry.path())?.into(), name, content_type });
    }
    Ok(())
}

fn content_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "m3u8" => "application/vnd.apple.mpegurl",
        "mpd" => "application/dash+xml",
        "ts" => "video/mp2t",
        "mp4" => "video/mp4",
        "m4s" => "video/iso.segment",
        _ => return None,
    })
}
