//! Bytes as text: the input is taken as it is, as gzip, and compressed as gzip, which must not change what it says.
#![no_main]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use stream_replicator::manifests::{Problem, decode};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let plain = decode(None, bytes.to_vec());
    let _ = decode(Some("gzip"), bytes.to_vec());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // writing to memory does not fail; were it to, the last line would tell
    let _ = encoder.write_all(bytes);
    let zipped = encoder.finish().unwrap_or_default();
    assert_eq!(decode(None, zipped.clone()), Err(Problem::Compressed));
    if plain != Err(Problem::Compressed) {
        assert_eq!(decode(Some("x-gzip"), zipped), plain);
    }
});
