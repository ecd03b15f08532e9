//! HLS playlists, of either kind: the input is the file.
#![no_main]

mod manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| manifest::read("film/main.m3u8", None, bytes));
