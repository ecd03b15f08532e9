//! Smooth Streaming client manifests: the input is what a packager answers.
#![no_main]

mod manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    manifest::read("film.ism/manifest", Some("application/vnd.ms-sstr+xml"), bytes);
});
