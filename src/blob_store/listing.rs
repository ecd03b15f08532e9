//! Lists the blobs of a container: all pages, with metadata and the state of copies.

use std::collections::HashSet;
use std::sync::Arc;

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
use crate::model::{Blob, BlobKind, BlobProperties, CopyStatus, Listing};

impl Container {
    /// Every blob, flat, without snapshots and versions (List Blobs, Azure Blob REST).
    ///
    /// # Errors
    /// Permanent `container-missing` when there is no such container, `storage-denied` when the key is not taken;
    /// transient when the service is busy or out of reach.
    pub async fn list(&self) -> Result<Listing, Failure> {
        let (mut blobs, mut known) = (Vec::new(), HashSet::new());
        let keep = |mut blob: Blob| {
            blob.name.shrink_to_fit();
            blob.etag.shrink_to_fit();
            match known.get(&blob.properties) {
                Some(same) => blob.properties = Arc::clone(same),
                None => drop(known.insert(Arc::clone(&blob.properties))),
            }
            blobs.push(blob);
        };
        self.for_each_blob(keep).await?;
        Ok(Listing::new(blobs))
    }

    /// Shows every blob to `see`, page by page, and keeps none: memory for one page, however many there are.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn for_each_blob(&self, mut see: impl FnMut(Blob)) -> Result<(), Failure> {
        let mut marker = None;
        loop {
            let page = retry::run(self.account.transport.tries(), || self.page(marker.clone()));
            let page = page.await.map_err(|failure| failure.at_site(&self.account.site))?;
            page.blob_items.into_iter().filter_map(blob).for_each(&mut see);
            match page.next_marker.filter(|next| !next.is_empty()) {
                Some(next) => marker = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// One page, with a signature of its own: a long listing cannot outlive it, and one bad page costs one page.
    async fn page(&self, marker: Option<String>) -> Result<ListBlobsResponse, Failure> {
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
