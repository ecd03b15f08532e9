//! DASH MPDs: the input is the file.
#![no_main]

mod manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| manifest::read("film/stream.mpd", None, bytes));
