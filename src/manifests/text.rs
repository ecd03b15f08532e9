//! The bytes of a manifest as text, whatever they were written in.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::Problem;

/// No manifest is longer, in bytes: one of 1,000,000 segments with names of 40 letters has 60 MB.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// First bytes of gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Decodes what a file's headers say that it is: compressed or not, in UTF-8 or UTF-16 with a byte order mark.
pub fn decode(encoding: Option<&str>, bytes: Vec<u8>) -> Result<String, Problem> {
    let bytes = match encoding.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "" | "identity" if bytes.starts_with(&GZIP) => return Err(Problem::Compressed),
        "" | "identity" => bytes,
        "gzip" | "x-gzip" => unzip(&bytes)?,
        other => return Err(Problem::Encoding(other.to_owned())),
    };
    if bytes.len() > MOST_BYTES {
        return Err(Problem::TooLarge(MOST_BYTES));
    }
    match bytes.as_slice() {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest.to_vec()),
        _ => utf8(bytes),
    }
}

fn unzip(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX) + 1;
    let read = MultiGzDecoder::new(bytes).take(most).read_to_end(&mut text);
    read.map_err(|_| Problem::NoText("its Content-Encoding is gzip, and it is none, or cut short"))?;
    Ok(text)
}

fn utf8(bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|_| Problem::NoText("it is not valid UTF-8"))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Problem> {
    let problem = Problem::NoText("it is not valid UTF-16");
    if !bytes.len().is_multiple_of(2) {
        return Err(problem);
    }
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| problem)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn zip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_way_to_write_it_gives_the_same_text() {
        let text = "#EXTM3U ä";
        let utf16 = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(unit)).collect::<Vec<u8>>()
        };
        let with_mark = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            with_mark,
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ] {
            assert_eq!(decode(Some("gzip"), zip(&bytes)).as_deref(), Ok(text));
            assert_eq!(decode(None, bytes).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert_eq!(decode(None, zip(b"#EXTM3U")), Err(Problem::Compressed));
        assert_eq!(decode(Some("br"), b"x".to_vec()), Err(Problem::Encoding("br".into())));
        assert!(matches!(decode(None, vec![0xc3]), Err(Problem::NoText(_))));
        assert!(matches!(decode(None, vec![0xff, 0xfe, 0x00, 0xd8]), Err(Problem::NoText(_))));
        assert!(matches!(decode(Some("gzip"), b"not".to_vec()), Err(Problem::NoText(_))));
        assert!(matches!(decode(Some("gzip"), zip(b"#EXTM3U")[..9].to_vec()), Err(Problem::NoText(_))));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zip(&vec![b'a'; MOST_BYTES + 10]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decode(Some("gzip"), bomb), Err(Problem::TooLarge(MOST_BYTES)));
    }
}
