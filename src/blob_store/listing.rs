//! Lists the blobs of a container: all pages, with metadata and the state of copies.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use azure_core::http::Etag;
use azure_storage_blob::models::{
    BlobContainerClientListBlobsOptions, BlobItem, BlobType, CopyStatus as AzureCopyStatus, ListBlobsIncludeItem,
    ListBlobsResponse,
};
use futures::TryStreamExt;

use super::classify::Refusal;
use super::sas::Grant;
use super::{Container, retry};
use crate::failure::Failure;
use crate::model::{Blob, BlobKind, BlobProperties, CopyStatus};

/// What a listing that is not in the order of its names is told as. It is listed as a whole from then on.
const UNORDERED: &str = "listing-unordered";

/// The blobs of a container one after the other, in the order of their names' bytes, with one page of them in memory.
#[derive(Debug)]
pub struct Blobs {
    container: Container,
    page: std::vec::IntoIter<Blob>,
    next: Next,
    last_name: String,
}

#[derive(Debug)]
enum Next {
    First,
    Marked(String),
    Nothing,
}

impl Blobs {
    /// The next one, flat, without snapshots and versions (List Blobs, Azure Blob REST).
    ///
    /// # Errors
    /// Permanent `container-missing` when there is no such container, `storage-denied` when the key is not taken;
    /// transient when the service is busy or out of reach. Needs more time, `listing-unordered`: where names do not come in
    /// the order of their bytes (accounts with a hierarchical namespace list folder by folder), the next listing of this
    /// account is read as a whole and put in order.
    pub async fn next(&mut self) -> Result<Option<Blob>, Failure> {
        loop {
            if let Some(blob) = self.page.next() {
                return Ok(Some(blob));
            }
            let marker = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Nothing => return Ok(None),
                Next::First if self.container.account.lists_unordered.load(Ordering::Relaxed) => {
                    self.page = self.container.list().await?.into_iter();
                    continue;
                }
                Next::First => None,
                Next::Marked(marker) => Some(marker),
            };
            let (page, next) = self.container.page(marker).await?;
            self.verify_order(&page)?;
            (self.page, self.next) = (page.into_iter(), next);
        }
    }

    fn verify_order(&mut self, page: &[Blob]) -> Result<(), Failure> {
        let mut last = self.last_name.as_str();
        for blob in page {
            // No blob's name is empty, so that the first one of all is greater than nothing.
            if blob.name.as_str() <= last {
                self.container.account.lists_unordered.store(true, Ordering::Relaxed);
                let message = format!("container '{}' is not listed in the order of names", self.container.name);
                return Err(
                    Failure::needs_more_time(UNORDERED, message, Duration::ZERO).at_site(&self.container.account.site)
                );
            }
            last = &blob.name;
        }
        self.last_name = last.to_owned();
        Ok(())
    }
}

impl Container {
    /// Every blob, one after the other.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs { container: self.clone(), page: Vec::new().into_iter(), next: Next::First, last_name: String::new() }
    }

    /// Every blob at once, in the order of their names' bytes.
    ///
    /// # Errors
    /// As [`Blobs::next`], whatever the order in which the service lists.
    pub async fn list(&self) -> Result<Vec<Blob>, Failure> {
        let (mut blobs, mut next) = (Vec::new(), Next::First);
        loop {
            let marker = match next {
                Next::First => None,
                Next::Marked(marker) => Some(marker),
                Next::Nothing => break,
            };
            let (page, after) = self.page(marker).await?;
            blobs.extend(page);
            next = after;
        }
        blobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(blobs)
    }

    async fn page(&self, marker: Option<String>) -> Result<(Vec<Blob>, Next), Failure> {
        let page = retry::run(self.account.transport.tries(), || self.page_once(marker.clone()));
        let page = page.await.map_err(|failure| failure.at_site(&self.account.site))?;
        let mut known = HashSet::new();
        let blobs = page.blob_items.into_iter().filter_map(blob).map(|mut blob| {
            // What most of them have in common is kept once.
            match known.get(&blob.properties) {
                Some(same) => blob.properties = Arc::clone(same),
                None => drop(known.insert(Arc::clone(&blob.properties))),
            }
            blob
        });
        let next = page.next_marker.filter(|next| !next.is_empty()).map_or(Next::Nothing, Next::Marked);
        Ok((blobs.collect(), next))
    }

    /// One page, with a signature of its own: a long listing cannot outlive it, and one bad page costs one page.
    async fn page_once(&self, marker: Option<String>) -> Result<ListBlobsResponse, Failure> {
        let options = BlobContainerClientListBlobsOptions {
            include: Some(vec![ListBlobsIncludeItem::Copy, ListBlobsIncludeItem::Metadata]),
            maxresults: Some(i32::from(self.account.page_size)),
            marker,
            ..Default::default()
        };
        let page = async {
            let pager = self.client(Grant::List)?.list_blobs(Some(options))?;
            match pager.into_pages().try_next().await? {
                Some(page) => page.into_model(),
                None => Ok(ListBlobsResponse::default()),
            }
        };
        page.await.map_err(|error: azure_core::Error| {
            Refusal::from(error).failure(&format!("listing container '{}'", self.name))
        })
    }
}

/// `None` for what is no blob of its own: a snapshot, or one that is deleted softly.
fn blob(item: BlobItem) -> Option<Blob> {
    if item.snapshot.is_some() || item.deleted == Some(true) {
        return None;
    }
    let properties = item.properties.unwrap_or_default();
    let metadata = item.metadata.and_then(|metadata| metadata.values).unwrap_or_default();
    Some(Blob {
        name: item.name?,
        size_bytes: properties.content_length.unwrap_or_default(),
        kind: match properties.blob_type {
            Some(BlobType::PageBlob) => BlobKind::Page,
            Some(BlobType::AppendBlob) => BlobKind::Append,
            Some(BlobType::BlockBlob) | None => BlobKind::Block,
        },
        etag: properties.etag.map(quoted).unwrap_or_default(),
        last_modified: properties.last_modified,
        content_md5: properties.content_md5.and_then(|md5| md5.try_into().ok()),
        properties: Arc::new(BlobProperties {
            content_type: given(properties.content_type),
            cache_control: given(properties.cache_control),
            content_encoding: given(properties.content_encoding),
            content_language: given(properties.content_language),
            content_disposition: given(properties.content_disposition),
        }),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect(),
        copy_status: properties.copy_status.map(copy_status),
    })
}

/// The service lists ETags without the quotes that its headers have.
fn quoted(etag: Etag) -> String {
    let etag = String::from(etag);
    if etag.starts_with('"') || etag.starts_with("W/") { etag } else { format!("\"{etag}\"") }
}

/// A property that was never set is listed as an empty element.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) fn copy_status(status: AzureCopyStatus) -> CopyStatus {
    match status {
        AzureCopyStatus::Pending => CopyStatus::Pending,
        AzureCopyStatus::Success => CopyStatus::Success,
        AzureCopyStatus::Aborted => CopyStatus::Aborted,
        AzureCopyStatus::Failed => CopyStatus::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_gets_its_quotes_once() {
        assert_eq!(quoted("0x8D".into()), "\"0x8D\"");
        assert_eq!(quoted("\"0x8D\"".into()), "\"0x8D\"");
    }
}
