//! Messages: the input is lines `name: value` and an empty line, as in HTTP, then the body; without such lines all is body.
#![no_main]

use std::collections::BTreeMap;

use stream_replicator::events::{Incoming, Parsed, parse};

/// More headers than any test of ours gives; what is beyond them is left out.
const MOST_HEADERS: usize = 16;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let incoming = incoming(bytes).unwrap_or(Incoming { body: bytes, ..Incoming::default() });
    let parsed = parse(&incoming).ok();
    assert_eq!(parsed, parse(&incoming).ok(), "equal messages are read alike");
    if let Some(Parsed::Request(request)) = parsed {
        assert!(!request.id.is_empty(), "a request has an id");
    }
});

/// Headers and body, where the input has both.
fn incoming(bytes: &[u8]) -> Option<Incoming<'_>> {
    let at = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let mut headers: BTreeMap<&str, &str> = std::str::from_utf8(&bytes[..at])
        .ok()?
        .lines()
        .take(MOST_HEADERS)
        .map(|line| line.split_once(": "))
        .collect::<Option<_>>()?;
    let (content_type, message_id) = (headers.remove("content-type"), headers.remove("message-id"));
    Some(Incoming { body: &bytes[at + 2..], content_type, message_id, headers })
}
