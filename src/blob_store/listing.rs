//! Lists the blobs of a container: all pages, with metadata and the state of copies.

use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::time::Duration;

use azure_core::http::{Method, Request, UrlExt};
use azure_storage_blob::BlobContainerClientOptions;
use azure_storage_blob::models::CopyStatus as AzureCopyStatus;
use futures::TryStreamExt;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::classify::Refusal;
use super::page::{Page, PageReader};
use super::sas::Grant;
use super::{Container, retry};
use crate::failure::Failure;
use crate::model::{Blob, CopyStatus};

/// What a listing that is not in the order of its names is told as. It is listed as a whole from then on.
const UNORDERED: &str = "listing-unordered";

/// The blobs of a container one after the other, in the order of their names' bytes, with two pages of them in memory: one
/// that is read, and the next, which is fetched meanwhile. A page takes the service longer than us, and who compares two
/// containers is at the end of both pages at once.
#[derive(Debug)]
pub struct Blobs {
    container: Container,
    listed: Listed,
    page: std::vec::IntoIter<Box<Blob>>,
    next: Next,
    last_name: String,
}

/// What a listing names.
#[derive(Debug, Clone, Copy)]
enum Listed {
    /// Blobs.
    Blobs,
    /// And what has blocks that nobody has committed.
    BlobsAndBegun,
}

impl Listed {
    /// As the service calls it (List Blobs, Azure Blob REST, `include`).
    fn include(self) -> &'static str {
        match self {
            Self::Blobs => "copy,metadata",
            Self::BlobsAndBegun => "copy,metadata,uncommittedblobs",
        }
    }
}

#[derive(Debug)]
enum Next {
    First,
    Coming(AbortOnDropHandle<Result<Page, Failure>>),
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
                return Ok(Some(*blob));
            }
            let is_unordered = self.container.account.lists_unordered.load(Ordering::Relaxed);
            let page = match &mut self.next {
                Next::Nothing => return Ok(None),
                Next::First if is_unordered => {
                    self.page = self.container.list_boxed(self.listed).await?.into_iter();
                    self.next = Next::Nothing;
                    continue;
                }
                // A task of its own, so that who reads two listings at once has them read by two processors.
                Next::First => self.container.fetch(self.listed, None).await.unwrap_or_else(lost),
                Next::Coming(page) => page.await.unwrap_or_else(lost),
            };
            self.next = Next::Nothing;
            let page = page?;
            self.verify_order(&page.blobs)?;
            self.page = page.blobs.into_iter();
            let fetch = |marker| Next::Coming(self.container.fetch(self.listed, Some(marker)));
            self.next = page.next_marker.map_or(Next::Nothing, fetch);
        }
    }

    fn verify_order(&mut self, page: &[Box<Blob>]) -> Result<(), Failure> {
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
        self.listing(Listed::Blobs)
    }

    /// Every blob, and also, as a blob without bytes, every name of which there are only blocks that nobody has committed:
    /// what is not among these has no such blocks (List Blobs, Azure Blob REST, `include=uncommittedblobs`).
    #[must_use]
    pub fn blobs_and_begun(&self) -> Blobs {
        self.listing(Listed::BlobsAndBegun)
    }

    fn listing(&self, listed: Listed) -> Blobs {
        let (page, last_name) = (Vec::new().into_iter(), String::new());
        Blobs { container: self.clone(), listed, page, next: Next::First, last_name }
    }

    /// The blob that the service lists first; none where there is none, or where its first page happens to be empty.
    ///
    /// # Errors
    /// As [`Blobs::next`], whatever the order in which the service lists.
    pub async fn first(&self) -> Result<Option<Blob>, Failure> {
        let mut one_by_one = self.clone();
        one_by_one.account.page_size = 1;
        Ok(one_by_one.page(Listed::Blobs, None).await?.blobs.into_iter().next().map(|blob| *blob))
    }

    /// Every blob at once, in the order of their names' bytes.
    ///
    /// # Errors
    /// As [`Blobs::next`], whatever the order in which the service lists.
    pub async fn list(&self) -> Result<Vec<Blob>, Failure> {
        Ok(self.list_boxed(Listed::Blobs).await?.into_iter().map(|blob| *blob).collect())
    }

    async fn list_boxed(&self, listed: Listed) -> Result<Vec<Box<Blob>>, Failure> {
        let (mut blobs, mut marker) = (Vec::new(), None);
        loop {
            let page = self.page(listed, marker).await?;
            blobs.extend(page.blobs);
            marker = page.next_marker;
            if marker.is_none() {
                break;
            }
        }
        blobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(blobs)
    }

    /// A page that comes while something else is done.
    fn fetch(&self, listed: Listed, marker: Option<String>) -> AbortOnDropHandle<Result<Page, Failure>> {
        let container = self.clone();
        let page = async move { container.page(listed, marker).await };
        AbortOnDropHandle::new(tokio::spawn(page.in_current_span()))
    }

    async fn page(&self, listed: Listed, marker: Option<String>) -> Result<Page, Failure> {
        let page = retry::run(self.account.transport.tries(), || self.page_once(listed, marker.as_deref()));
        page.await.map_err(|failure| failure.at_site(&self.account.site))
    }

    /// One page, with a signature of its own: a long listing cannot outlive it, and one bad page costs one page. The SDK
    /// would hold its whole text and read that twice, the second time into a model of every element.
    async fn page_once(&self, listed: Listed, marker: Option<&str>) -> Result<Page, Failure> {
        let page = async {
            let mut body = self.stream(self.list_request(listed, marker)?, &[200]).await?;
            let mut reader = PageReader::new(self.account.page_size);
            while let Some(piece) = body.try_next().await? {
                reader.feed(&piece)?;
            }
            reader.finish()
        };
        page.await.map_err(|error: azure_core::Error| {
            Refusal::from(error).failure(&format!("listing container '{}'", self.name))
        })
    }

    /// List Blobs (Azure Blob REST), in the version that the SDK speaks.
    fn list_request(&self, listed: Listed, marker: Option<&str>) -> azure_core::Result<Request> {
        let mut url = self.url(Grant::List)?;
        let mut query = url.query_builder();
        query.set_pair("restype", "container").set_pair("comp", "list").set_pair("include", listed.include());
        if let Some(prefix) = &self.prefix {
            query.set_pair("prefix", prefix.to_string());
        }
        if let Some(marker) = marker {
            query.set_pair("marker", marker);
        }
        query.set_pair("maxresults", self.account.page_size.to_string());
        query.build();
        let mut request = Request::new(url, Method::Get);
        request.insert_header("accept", "application/xml");
        request.insert_header("x-ms-version", BlobContainerClientOptions::default().version);
        Ok(request)
    }
}

/// A page that nobody fetches any more. Where its task panicked, so do we.
fn lost(error: JoinError) -> Result<Page, Failure> {
    match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        Err(_) => Err(Failure::transient("storage-unreachable", "the listing ended together with the program")),
    }
}

pub(super) fn copy_status(status: AzureCopyStatus) -> CopyStatus {
    match status {
        AzureCopyStatus::Pending => CopyStatus::Pending,
        AzureCopyStatus::Success => CopyStatus::Success,
        AzureCopyStatus::Aborted => CopyStatus::Aborted,
        AzureCopyStatus::Failed => CopyStatus::Failed,
    }
}
