//! Prepared sets of files: loaded from a directory, renamed after an asset.

use std::path::Path;

use anyhow::Context as _;

use crate::emulator::config::PreparedFile;

/// Loads every file of a directory, in name order.
///
/// # Errors
/// When the directory or one of its files cannot be read.
pub(crate) fn load(directory: &Path) -> anyhow::Result<Vec<PreparedFile>> {
    let unreadable = || format!("the media directory {} cannot be read", directory.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if let (true, Some(name)) = (path.is_file(), path.file_name().and_then(|name| name.to_str())) {
            files.push(PreparedFile::new(name, std::fs::read(&path).with_context(unreadable)?));
        }
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(files)
}

/// Replaces the stem of the set's `.ism` by the asset's name, in file names and inside manifests.
pub(crate) fn rename(files: &[PreparedFile], asset_name: &str) -> Vec<PreparedFile> {
    let ism = files.iter().find_map(|file| file.name.strip_suffix(".ism"));
    let (Some(old), new) = (ism, stem_of(asset_name)) else { return files.to_vec() };
    files
        .iter()
        .map(|file| {
            let name = file.name.strip_prefix(old).map_or_else(|| file.name.clone(), |rest| format!("{new}{rest}"));
            let is_manifest =
                file.name.ends_with(".ism") || file.name.ends_with(".ismc") || file.name.ends_with(".xml");
            let bytes = match std::str::from_utf8(&file.bytes) {
                Ok(text) if is_manifest => text.replace(old, &new).into(),
                _ => file.bytes.clone(),
            };
            PreparedFile { name, bytes, content_type: file.content_type.clone() }
        })
        .collect()
}

/// A file stem without an extension and without characters that file names may not hold.
fn stem_of(asset_name: &str) -> String {
    let stem = asset_name.rsplit_once('.').map_or(asset_name, |(stem, _)| stem);
    let kept = |character: char| if character.is_alphanumeric() || " -_".contains(character) { character } else { '_' };
    stem.trim().chars().map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renames_files_and_their_manifest() {
        let set =
            [PreparedFile::new("clip.ism", "<video src=\"clip_1.mp4\"/>"), PreparedFile::new("clip_1.mp4", "clip")];
        let renamed = rename(&set, "News: 8 o'clock.mp4");
        assert_eq!(renamed[0].name, "News_ 8 o_clock.ism");
        assert_eq!(renamed[0].bytes, "<video src=\"News_ 8 o_clock_1.mp4\"/>");
        assert_eq!((renamed[1].name.as_str(), &renamed[1].bytes[..]), ("News_ 8 o_clock_1.mp4", &b"clip"[..]));
    }
}
