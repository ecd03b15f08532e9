//! What a page's XML becomes, however its bytes are cut, and what is no page.

use super::*;
use crate::model::{BlobKind, CopyStatus};

/// As the service writes it, with all that it may write.
const PAGE: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><!-- a page --><EnumerationResults \
    ServiceEndpoint=\"https://west.blob.core.windows.net/\" ContainerName=\"c\"><MaxResults>5000</MaxResults><Blobs>\n\
    <BlobPrefix><Name>p/</Name></BlobPrefix>\
    <Blob><Name>\u{feff} a &amp; b&#x20;&#233;<![CDATA[<c>]]>\u{1f3ac}</Name><Properties>\
    <Creation-Time>Fri, 20 Nov 2026 10:00:00 GMT</Creation-Time><Last-Modified>Fri, 20 Nov 2026 10:00:01 GMT</Last-Modified>\
    <Etag>0x8DCE</Etag><Content-Length>18446744073709551615</Content-Length><Content-Type>video/mp4</Content-Type>\
    <Content-Encoding /><Content-Language></Content-Language><Content-MD5>1B2M2Y8AsgTpgAmY7PhCfg==</Content-MD5>\
    <Cache-Control>max-age=60</Cache-Control><BlobType>AppendBlob</BlobType><CopyStatus>aborted</CopyStatus>\
    <CopySource>https://x/y?a&amp;b</CopySource><New><Etag>other</Etag></New></Properties>\
    <Metadata Encrypted=\"true\"><Cms>1 &lt; 2</Cms><Name>n</Name><Blob>b</Blob><_X9>x</_X9><Empty /><x-ms-invalid-name>7</x-ms-invalid-name>\
    <Stream_Replicator_Source_ETag>\"1\"</Stream_Replicator_Source_ETag>\
    </Metadata><Tags><TagSet><Tag><Key>Name</Key><Value>v</Value></Tag></TagSet></Tags><OrMetadata /></Blob>\
    <Blob><Name>b</Name><Snapshot>2026-11-20T10:00:00.0000000Z</Snapshot><Properties /></Blob>\
    <Blob><Name>c</Name><Deleted>true</Deleted><Properties /></Blob>\
    <Blob><Name Encoded=\"true\">d%EF%BF%BE%25</Name><Deleted>false</Deleted><Properties><Etag>\"0x1\"</Etag>\
    <Content-Type>video/mp4</Content-Type><Cache-Control>max-age=60</Cache-Control></Properties><Metadata /></Blob>\
    <Blob><Name Encoded=\"false\">e%25</Name></Blob><Blob><Name /></Blob>\
    </Blobs><NextMarker>2!a+b/=&amp;</NextMarker></EnumerationResults>\n";

fn read(pieces: &[&[u8]]) -> azure_core::Result<Page> {
    let mut reader = PageReader::new(3);
    for piece in pieces {
        reader.feed(piece)?;
    }
    reader.finish()
}

fn why(page: &str) -> String {
    read(&[page.as_bytes()]).unwrap_err().to_string()
}

#[test]
fn a_page_becomes_its_blobs() {
    let page = read(&[PAGE.as_bytes()]).unwrap();
    assert_eq!(page.next_marker.as_deref(), Some("2!a+b/=&"));
    let names: Vec<&str> = page.blobs.iter().map(|blob| blob.name.as_str()).collect();
    assert_eq!(names, ["\u{feff} a & b é<c>\u{1f3ac}", "d\u{fffe}%", "e%25"]);

    let full = &page.blobs[0];
    assert_eq!((full.size_bytes, full.kind, full.etag.as_str()), (u64::MAX, BlobKind::Append, "\"0x8DCE\""));
    assert_eq!(full.last_modified.unwrap().unix_timestamp(), 1_795_168_801);
    assert_eq!(
        (full.md5_text().as_deref(), full.copy_status),
        (Some("1B2M2Y8AsgTpgAmY7PhCfg=="), Some(CopyStatus::Aborted))
    );
    let headers = BlobProperties {
        content_type: Some("video/mp4".into()),
        cache_control: Some("max-age=60".into()),
        ..BlobProperties::default()
    };
    assert_eq!(*full.properties, headers);
    let metadata: Vec<(&str, &str)> = full.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(
        metadata,
        [("_x9", "x"), ("blob", "b"), ("cms", "1 < 2"), ("empty", ""), ("name", "n"), ("x-ms-invalid-name", "7")]
    );

    assert_eq!(
        full.copied_from.as_ref().map(|from| from.etag.as_str()),
        Some("\"1\""),
        "our own key is none of the owner's"
    );

    let bare = &page.blobs[1];
    assert_eq!((bare.size_bytes, bare.kind, bare.etag.as_str()), (0, BlobKind::Block, "\"0x1\""));
    assert_eq!((bare.last_modified, bare.content_md5, bare.copy_status), (None, None, None));
    assert!(Arc::ptr_eq(&full.properties, &bare.properties), "equal headers are kept once");
}

#[test]
fn a_page_may_be_cut_anywhere() {
    let (whole, bytes) = (read(&[PAGE.as_bytes()]).unwrap(), PAGE.as_bytes());
    for at in 0..=bytes.len() {
        let page = read(&[&bytes[..at], &bytes[at..]]).unwrap();
        assert_eq!((&page.blobs, &page.next_marker), (&whole.blobs, &whole.next_marker), "cut at {at}");
    }
    let page = read(&bytes.chunks(1).collect::<Vec<_>>()).unwrap();
    assert_eq!((page.blobs, page.next_marker), (whole.blobs, whole.next_marker));
}

#[test]
fn a_page_that_ends_early_is_none() {
    let end = PAGE.trim_end().len();
    for at in 0..end {
        read(&[&PAGE.as_bytes()[..at]]).unwrap_err();
    }
    read(&[&PAGE.as_bytes()[..end]]).unwrap();
}

#[test]
fn what_is_no_page_is_refused() {
    let blob = |text: &str| format!("<EnumerationResults><Blobs><Blob>{text}</Blob></Blobs></EnumerationResults>");
    assert!(why("<html><body>Sign in</body></html>").contains("is no listing"));
    assert!(why("<EnumerationResults /><EnumerationResults />").contains("is no listing"));
    assert!(why("<EnumerationResults></Blobs>").contains("end tag"));
    assert!(why("<EnumerationResults /></x>").contains("end tag"));
    assert!(why("<!DOCTYPE x [<!ENTITY y 'z'>]><EnumerationResults />").contains("document type"));
    assert!(why(&blob("<Name>&y;</Name>")).contains("entity"));
    assert!(why(&blob("<Name>&&</Name>")).contains("no XML"));
    assert!(why(&"<EnumerationResults>".repeat(40)).contains("deeper"));
    for wrong in ["<Content-Length>x</Content-Length>", "<Content-MD5>?</Content-MD5>", "<BlobType>x</BlobType>"] {
        why(&blob(&format!("<Name>a</Name><Properties>{wrong}</Properties>")));
    }
}

#[test]
fn a_page_that_no_service_would_send_is_not_read_to_its_end() {
    let (start, blob) = ("<EnumerationResults><Blobs>", "<Blob><Name>a</Name></Blob>");
    let blobs = |count: usize| format!("{start}{}</Blobs></EnumerationResults>", blob.repeat(count));
    assert_eq!(read(&[blobs(5000).as_bytes()]).unwrap().blobs.len(), 5000);
    assert!(why(&blobs(5001)).contains("more blobs"));

    let spaces = vec![b' '; 1024 * 1024];
    let mut reader = PageReader::new(1);
    reader.feed(start.as_bytes()).unwrap();
    let mut taken = 0;
    while reader.feed(b"<New>").and_then(|()| reader.feed(&spaces)).and_then(|()| reader.feed(b"</New>")).is_ok() {
        taken += 1;
    }
    assert!(taken <= 1, "a text of {taken} MiB was taken in one piece");

    let mut reader = PageReader::new(1);
    reader.feed(start.as_bytes()).unwrap();
    let unknown = format!("<New>{}</New>", "x".repeat(LONGEST_EVENT_BYTES - 100)).repeat(16);
    let longest = LONGEST_PAGE_BYTES / unknown.len();
    let taken = (0..).take_while(|_| reader.feed(unknown.as_bytes()).is_ok()).count();
    assert!((longest - 1..=longest).contains(&taken), "{taken}");
}
