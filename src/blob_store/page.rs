//! Reads one page of a listing from its XML, straight into blobs, while it comes: of the text, only what a piece of the
//! body leaves unfinished is kept (List Blobs, Azure Blob REST).

use std::collections::HashSet;
use std::mem;
use std::sync::Arc;

use azure_core::error::ErrorKind;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::draft::{Draft, Field, is_true};
use crate::model::{Blob, BlobProperties};

/// The service's maximum of blobs per page (List Blobs, Azure Blob REST, `maxresults`).
pub const MOST_BLOBS: u16 = 5000;

/// No page of the service is longer: 5000 times a name of 1024 characters (3 KiB), metadata of 8 KiB and 2 KiB of the
/// rest, the address of a copy's source among it. Those of segments without metadata have 3 MiB.
const LONGEST_PAGE_BYTES: usize = 64 * 1024 * 1024;

/// No tag and no text between two tags is longer: the longest is a metadata value of 8 KiB, were every byte escaped.
const LONGEST_EVENT_BYTES: usize = 64 * 1024;

/// A listing is six elements deep; what this reader does not know may be a little deeper.
const DEEPEST: usize = 32;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Some blobs of a container, in the order in which the service lists them.
#[derive(Debug, Default)]
pub struct Page {
    /// Each on its own: what was taken is free, and no page needs a large piece of memory, which leaves gaps among small ones.
    #[expect(clippy::vec_box, reason = "see above")]
    pub blobs: Vec<Box<Blob>>,
    /// Where the next page begins; `None` after the last one.
    pub next_marker: Option<String>,
}

/// A page that is being read.
#[derive(Debug)]
pub struct PageReader {
    read_bytes: usize,
    /// What has come of an event that is not complete.
    rest: Vec<u8>,
    has_begun: bool,
    is_complete: bool,
    open: Vec<Open>,
    /// Names of the open elements, one after the other.
    names: Vec<u8>,
    /// Of the innermost element, where its text matters.
    text: Vec<u8>,
    metadata_key: String,
    draft: Draft,
    items: usize,
    known: HashSet<Arc<BlobProperties>>,
    page: Page,
}

/// An open element.
#[derive(Debug)]
struct Open {
    place: Place,
    /// Where its name begins in the names.
    name_at: usize,
}

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Results,
    NextMarker,
    Blobs,
    Blob,
    Properties,
    Metadata,
    MetadataValue,
    Field(Field),
    Unknown,
}

impl Place {
    fn has_text(self) -> bool {
        matches!(self, Self::NextMarker | Self::MetadataValue | Self::Field(_))
    }
}

impl PageReader {
    /// Reads a page of `blobs` at most.
    pub fn new(blobs: u16) -> Self {
        Self {
            read_bytes: 0,
            rest: Vec::new(),
            has_begun: false,
            is_complete: false,
            open: Vec::new(),
            names: Vec::new(),
            text: Vec::new(),
            metadata_key: String::new(),
            draft: Draft::default(),
            items: 0,
            known: HashSet::new(),
            page: Page { blobs: Vec::with_capacity(blobs.into()), next_marker: None },
        }
    }

    /// Takes the next piece of the body, wherever it is cut.
    ///
    /// # Errors
    /// When this is no listing, or one that is larger than the service ever makes it.
    pub fn feed(&mut self, piece: &[u8]) -> azure_core::Result<()> {
        self.read_bytes = self.read_bytes.saturating_add(piece.len());
        if self.read_bytes > LONGEST_PAGE_BYTES {
            return Err(wrong("is longer than any page of the storage service"));
        }
        let mut rest = mem::take(&mut self.rest);
        if rest.is_empty() {
            let used = self.read(piece)?;
            rest.extend_from_slice(&piece[used..]);
        } else {
            rest.extend_from_slice(piece);
            let used = self.read(&rest)?;
            rest.drain(..used);
        }
        self.rest = rest;
        if self.rest.len() > LONGEST_EVENT_BYTES {
            return Err(wrong("is no XML"));
        }
        Ok(())
    }

    /// The page, once its body is at its end.
    ///
    /// # Errors
    /// When something is missing or left over.
    pub fn finish(self) -> azure_core::Result<Page> {
        if !self.is_complete || !self.rest.iter().all(u8::is_ascii_whitespace) {
            return Err(wrong("is cut off or no XML"));
        }
        Ok(self.page)
    }

    /// Reads all complete events at the begin of `bytes`, and tells how many bytes they have.
    fn read(&mut self, bytes: &[u8]) -> azure_core::Result<usize> {
        let mut used = 0;
        // The XML reader drops such a mark at the begin of what it is given. Within a text it belongs to that.
        while self.has_begun && bytes[used..].starts_with(BYTE_ORDER_MARK) {
            self.push_text(BYTE_ORDER_MARK);
            used += BYTE_ORDER_MARK.len();
        }
        let mut reader = Reader::from_reader(&bytes[used..]);
        // It does not know what is open since earlier pieces: we look at the names ourselves.
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        loop {
            match reader.read_event() {
                // An error here is as a rule an event of which the end is to come; where it is not, nothing after it is
                // taken, so that its bytes become too many, or are left over at the end.
                Ok(Event::Eof) | Err(_) => return Ok(used),
                // So may be the end of a text.
                Ok(Event::Text(_)) if reader.get_ref().is_empty() => return Ok(used),
                Ok(event) => self.take(&event)?,
            }
            self.has_begun = true;
            used = bytes.len() - reader.get_ref().len();
        }
    }

    fn take(&mut self, event: &Event<'_>) -> azure_core::Result<()> {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::Empty(tag) => {
                self.begin(tag)?;
                self.end(tag.name().as_ref())
            }
            Event::End(tag) => self.end(tag.name().as_ref()),
            Event::Text(text) => {
                self.push_text(text);
                Ok(())
            }
            Event::CData(text) => {
                self.push_text(text);
                Ok(())
            }
            Event::GeneralRef(reference) => self.push_reference(reference),
            Event::DocType(_) => Err(wrong("has a document type")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, tag: &BytesStart<'_>) -> azure_core::Result<()> {
        let name = tag.name();
        let place = match (self.open.last().map(|open| open.place), name.as_ref()) {
            (None, b"EnumerationResults") if !self.is_complete => Place::Results,
            (None, _) => return Err(wrong("is no listing")),
            (Some(Place::Results), b"Blobs") => Place::Blobs,
            (Some(Place::Results), b"NextMarker") => Place::NextMarker,
            (Some(Place::Blobs), b"Blob") => self.begin_blob()?,
            (Some(Place::Blob), b"Properties") => Place::Properties,
            (Some(Place::Blob), b"Metadata") => Place::Metadata,
            (Some(Place::Blob), b"Name") => Place::Field(Field::Name { is_encoded: is_encoded(tag)? }),
            (Some(Place::Blob), b"Snapshot") => Place::Field(Field::Snapshot),
            (Some(Place::Blob), b"Deleted") => Place::Field(Field::Deleted),
            (Some(Place::Properties), name) => Field::of_properties(name).map_or(Place::Unknown, Place::Field),
            (Some(Place::Metadata), key) => {
                self.metadata_key = text(key)?.to_ascii_lowercase();
                Place::MetadataValue
            }
            (Some(_), _) => Place::Unknown,
        };
        if self.open.len() == DEEPEST {
            return Err(wrong("is deeper than any listing"));
        }
        if place.has_text() {
            self.text.clear();
        }
        self.open.push(Open { place, name_at: self.names.len() });
        self.names.extend_from_slice(name.as_ref());
        Ok(())
    }

    fn begin_blob(&mut self) -> azure_core::Result<Place> {
        self.items += 1;
        if self.items > usize::from(MOST_BLOBS) {
            return Err(wrong("has more blobs than any page of the storage service"));
        }
        self.draft = Draft::default();
        Ok(Place::Blob)
    }

    fn end(&mut self, name: &[u8]) -> azure_core::Result<()> {
        let Some(Open { place, name_at }) = self.open.pop().filter(|open| self.names[open.name_at..] == *name) else {
            return Err(wrong("has an end tag without its start tag"));
        };
        self.names.truncate(name_at);
        match place {
            Place::Field(field) => self.draft.set(field, text(&self.text)?)?,
            Place::MetadataValue => self.draft.set_metadata(mem::take(&mut self.metadata_key), text(&self.text)?),
            Place::Blob => self.page.blobs.extend(mem::take(&mut self.draft).finish(&mut self.known).map(Box::new)),
            Place::NextMarker if self.text.is_empty() => {}
            Place::NextMarker => self.page.next_marker = Some(text(&self.text)?.to_owned()),
            Place::Results => self.is_complete = true,
            Place::Blobs | Place::Properties | Place::Metadata | Place::Unknown => {}
        }
        Ok(())
    }

    fn push_text(&mut self, bytes: &[u8]) {
        if self.open.last().is_some_and(|open| open.place.has_text()) {
            self.text.extend_from_slice(bytes);
        }
    }

    fn push_reference(&mut self, reference: &BytesRef<'_>) -> azure_core::Result<()> {
        let letter = reference.resolve_char_ref();
        if let Some(letter) = letter.map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))? {
            self.push_text(letter.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            let known = resolve_predefined_entity(text(reference)?);
            self.push_text(known.ok_or_else(|| wrong("has an entity that XML does not define"))?.as_bytes());
        }
        Ok(())
    }
}

/// Names with characters that XML 1.0 cannot hold are listed percent-encoded (List Blobs, from version 2021-02-12).
fn is_encoded(name: &BytesStart<'_>) -> azure_core::Result<bool> {
    let encoded = name.try_get_attribute("Encoded");
    let encoded = encoded.map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))?;
    encoded.map_or(Ok(false), |encoded| Ok(is_true(text(&encoded.value)?)))
}

fn text(bytes: &[u8]) -> azure_core::Result<&str> {
    std::str::from_utf8(bytes).map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))
}

/// A wrong page: nothing that the service would send, so half an answer, which may be whole the next time.
fn wrong(how: &str) -> azure_core::Error {
    azure_core::Error::with_message(ErrorKind::DataConversion, format!("the page {how}"))
}

#[cfg(test)]
mod tests;
