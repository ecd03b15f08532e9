//! Reads bytes of blobs, to compare them, and manifests: the one way in which bytes of files reach this process.

use std::cmp::Ordering;
use std::ops::Range;

use azure_core::http::{Method, Request};
use azure_storage_blob::BlobClientOptions;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::classify::Refusal;
use super::sas::Grant;
use super::{Container, retry};
use crate::failure::Failure;
use crate::model::Blob;

impl Container {
    /// SHA-256 of the bytes of `blob` in `range`, which is not empty, in the version that was listed (Get Blob, Azure Blob
    /// REST). They are not kept. Tries a few times.
    ///
    /// # Errors
    /// Transient `source-changed` when the blob has another version by now, `blob-gone`, and what a busy or silent service
    /// gives; permanent `container-missing`, `storage-denied`.
    pub async fn digest(&self, blob: &Blob, range: Range<u64>) -> Result<[u8; 32], Failure> {
        let read = retry::run(self.account.transport.tries(), || self.digest_once(blob, &range));
        read.await.map_err(|failure| failure.at_site(&self.account.site))
    }

    /// All bytes of `blob`, in the version that was listed, for as many as it was listed with. Tries a few times.
    ///
    /// # Errors
    /// As [`Container::digest`].
    pub async fn read(&self, blob: &Blob) -> Result<Vec<u8>, Failure> {
        if blob.size_bytes == 0 {
            return Ok(Vec::new());
        }
        let read = retry::run(self.account.transport.tries(), async || {
            let mut bytes = Vec::new();
            self.read_once(blob, &(0..blob.size_bytes), |piece| bytes.extend_from_slice(piece)).await?;
            Ok(bytes)
        });
        read.await.map_err(|failure| failure.at_site(&self.account.site))
    }

    async fn digest_once(&self, blob: &Blob, range: &Range<u64>) -> Result<[u8; 32], Failure> {
        let mut digest = Sha256::new();
        self.read_once(blob, range, |piece| digest.update(piece)).await?;
        Ok(digest.finalize().into())
    }

    async fn read_once(&self, blob: &Blob, range: &Range<u64>, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
        let wanted = range.end - range.start;
        let odd = |message| Failure::transient("storage-unreachable", message);
        let doing = || format!("reading blob '{}' in container '{}'", blob.name, self.name);
        let read = async {
            let mut request = Request::new(self.url(Grant::Read(&blob.name))?, Method::Get);
            request.insert_header("x-ms-version", BlobClientOptions::default().version);
            request.insert_header("x-ms-range", format!("bytes={}-{}", range.start, range.end - 1));
            request.insert_header("if-match", blob.etag.clone());
            let mut body = self.stream(request, &[200, 206]).await?;
            let mut bytes = 0;
            // not more than was asked for, whatever the service sends
            while bytes <= wanted
                && let Some(piece) = body.try_next().await?
            {
                take(&piece);
                bytes += piece.len() as u64;
            }
            Ok(bytes)
        };
        let bytes: u64 = read.await.map_err(|error: azure_core::Error| Refusal::from(error).failure(&doing()))?;
        match bytes.cmp(&wanted) {
            Ordering::Equal => Ok(()),
            Ordering::Less => Err(odd(format!("{}: {bytes} of {wanted} bytes came", doing()))),
            Ordering::Greater => {
                Err(odd(format!("{}: more than the {wanted} bytes came that were asked for", doing())))
            }
        }
    }
}
