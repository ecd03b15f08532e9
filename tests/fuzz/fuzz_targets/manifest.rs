//! What holds for every manifest, whatever is in it: no panic, no more names than allowed, none above its container.

use stream_replicator::manifests::{Manifest, Named, Target};

/// The promise of the reader; a manifest that names more is refused.
const MOST_NAMED: u64 = 1_000_000;

/// Reads these bytes as the manifest at `path`.
pub fn read(path: &str, content_type: Option<&str>, bytes: &[u8]) {
    let Ok(manifest) = Manifest::read(path, content_type, None, bytes.to_vec()) else { return };
    let mut named = 0;
    let read = manifest.visit(&mut |one: Named| {
        named += 1;
        if let Target::Inside(name) = &one.target {
            assert!(!name.split('/').any(|part| part == ".."), "leads out of its container: {name}");
        }
    });
    assert!(named <= MOST_NAMED, "{named} files are named");
    assert!(read.is_err() || named > 0, "names nothing and is no failure");
}
