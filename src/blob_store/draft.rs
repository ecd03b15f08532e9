//! One blob while it is read from a listing: field by field, as the XML brings them (List Blobs, Azure Blob REST).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use azure_core::error::ErrorKind;
use azure_core::time::parse_rfc7231;
use azure_storage_blob::models::{BlobType, CopyStatus as AzureCopyStatus};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use time::OffsetDateTime;

use super::listing::copy_status;
use crate::model::{Blob, BlobKind, BlobProperties, CopiedFrom, CopyStatus, METADATA_SOURCE_ETAG};

/// An element that says something about a blob which we keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Name { is_encoded: bool },
    Snapshot,
    Deleted,
    LastModified,
    Etag,
    ContentLength,
    ContentMd5,
    ContentType,
    CacheControl,
    ContentEncoding,
    ContentLanguage,
    ContentDisposition,
    BlobType,
    CopyStatus,
}

impl Field {
    /// The one among a blob's properties that an element of this name is.
    pub fn of_properties(element: &[u8]) -> Option<Self> {
        Some(match element {
            b"Last-Modified" => Self::LastModified,
            b"Etag" => Self::Etag,
            b"Content-Length" => Self::ContentLength,
            b"Content-MD5" => Self::ContentMd5,
            b"Content-Type" => Self::ContentType,
            b"Cache-Control" => Self::CacheControl,
            b"Content-Encoding" => Self::ContentEncoding,
            b"Content-Language" => Self::ContentLanguage,
            b"Content-Disposition" => Self::ContentDisposition,
            b"BlobType" => Self::BlobType,
            b"CopyStatus" => Self::CopyStatus,
            _ => return None,
        })
    }
}

/// What is known of a blob so far.
#[derive(Debug, Default)]
pub struct Draft {
    name: String,
    /// A snapshot, or one that is deleted softly: no blob of its own.
    is_shadow: bool,
    size_bytes: u64,
    kind: Option<BlobType>,
    etag: String,
    last_modified: Option<OffsetDateTime>,
    content_md5: Option<[u8; 16]>,
    properties: BlobProperties,
    metadata: BTreeMap<String, String>,
    copied_from: Option<CopiedFrom>,
    copy_status: Option<CopyStatus>,
}

impl Draft {
    /// Takes an element's text. An empty one is the same as none: so is a property listed that was never set.
    ///
    /// # Errors
    /// When the text is not what this field holds.
    pub fn set(&mut self, field: Field, text: &str) -> azure_core::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let given = || Some(text.to_owned());
        match field {
            Field::Name { is_encoded: false } => text.clone_into(&mut self.name),
            Field::Name { is_encoded: true } => {
                let name = percent_decode_str(text).decode_utf8();
                self.name = name.map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))?.into();
            }
            Field::Snapshot => self.is_shadow = true,
            Field::Deleted => self.is_shadow |= is_true(text),
            Field::LastModified => self.last_modified = Some(parse_rfc7231(text.trim())?),
            Field::Etag => self.etag = quoted(text),
            Field::ContentLength => {
                let size = text.trim().parse::<u64>();
                self.size_bytes = size.map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))?;
            }
            Field::ContentMd5 => {
                let md5 = BASE64_STANDARD.decode(text.trim());
                let md5 = md5.map_err(|error| azure_core::Error::new(ErrorKind::DataConversion, error))?;
                self.content_md5 = md5.try_into().ok();
            }
            Field::ContentType => self.properties.content_type = given(),
            Field::CacheControl => self.properties.cache_control = given(),
            Field::ContentEncoding => self.properties.content_encoding = given(),
            Field::ContentLanguage => self.properties.content_language = given(),
            Field::ContentDisposition => self.properties.content_disposition = given(),
            Field::BlobType => self.kind = Some(text.trim().parse()?),
            Field::CopyStatus => self.copy_status = Some(copy_status(text.trim().parse::<AzureCopyStatus>()?)),
        }
        Ok(())
    }

    /// Takes one pair of metadata, the owner's or ours. Its key is in lower case: the service keeps one, whatever its case.
    pub fn set_metadata(&mut self, key: String, value: &str) {
        if key == METADATA_SOURCE_ETAG {
            self.copied_from = Some(CopiedFrom::parse(value));
        } else {
            self.metadata.insert(key, value.to_owned());
        }
    }

    /// The blob, whose headers are shared with those in `known`; `None` for what is no blob of its own.
    pub fn finish(self, known: &mut HashSet<Arc<BlobProperties>>) -> Option<Blob> {
        if self.is_shadow || self.name.is_empty() {
            return None;
        }
        let properties = known.get(&self.properties).cloned().unwrap_or_else(|| {
            let properties = Arc::new(self.properties);
            known.insert(Arc::clone(&properties));
            properties
        });
        Some(Blob {
            name: self.name,
            size_bytes: self.size_bytes,
            kind: match self.kind {
                Some(BlobType::PageBlob) => BlobKind::Page,
                Some(BlobType::AppendBlob) => BlobKind::Append,
                Some(BlobType::BlockBlob) | None => BlobKind::Block,
            },
            etag: self.etag,
            last_modified: self.last_modified,
            content_md5: self.content_md5,
            properties,
            metadata: self.metadata,
            copied_from: self.copied_from,
            copy_status: self.copy_status,
        })
    }
}

/// XML Schema's two words for true, and .NET's.
pub fn is_true(text: &str) -> bool {
    matches!(text.trim(), "true" | "True" | "1")
}

/// The service lists ETags without the quotes that its headers have.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') || etag.starts_with("W/") { etag.to_owned() } else { format!("\"{etag}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_gets_its_quotes_once() {
        assert_eq!(quoted("0x8D"), "\"0x8D\"");
        assert_eq!(quoted("\"0x8D\""), "\"0x8D\"");
        assert_eq!(quoted("W/\"0x8D\""), "W/\"0x8D\"");
    }
}
