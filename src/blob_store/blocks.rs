//! Blobs in blocks: each is copied on the server side by a request of its own, and only the commit makes a blob of them.
//!
//! Staged blocks wait for a week (Put Block From URL, Azure Blob REST): whoever comes back sees which there are, and stages
//! the rest.

use azure_core::http::RequestContent;
use azure_storage_blob::models::{
    Block as ListedBlock, BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockFromUrlOptions,
    BlockListType, BlockLookupList, HttpRange,
};

use super::Container;
use super::blob_copy::{BlobCopy, in_time};
use super::classify::Refusal;
use super::sas::Grant;
use crate::failure::Failure;
use crate::model::Blob;

/// One block of a blob. Ids of one blob's blocks are equally long, 64 bytes at most (Put Block, Azure Blob REST).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its id, as bytes.
    pub id: Vec<u8>,
    /// Where it begins in the blob, in bytes.
    pub offset: u64,
    /// Its length in bytes; 4000 MiB at most.
    pub bytes: u64,
}

/// A block that waits for its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedBlock {
    /// Its id, as bytes.
    pub id: Vec<u8>,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Container {
    /// The blocks that were staged for the blob of this name and not committed (Get Block List, Azure Blob REST); none where
    /// there is no such blob. Tries once.
    ///
    /// # Errors
    /// Transient when the service is busy or out of reach; permanent `container-missing`, `storage-denied`.
    pub async fn staged_blocks(&self, name: &str) -> Result<Vec<StagedBlock>, Failure> {
        let look = async {
            let client = self.blob(Grant::Read(name), None)?.block_blob_client();
            client.get_block_list(BlockListType::Uncommitted, None).await?.into_model()
        };
        let listed = match look.await.map_err(|error: azure_core::Error| Refusal::from(error)) {
            Ok(list) => list.uncommitted_blocks.unwrap_or_default(),
            Err(refusal) if refusal.is_blob_absent() && !refusal.is_container_absent() => Vec::new(),
            Err(refusal) => {
                let doing = format!("listing the blocks of blob '{name}' in container '{}'", self.name);
                return Err(refusal.failure(&doing).at_site(&self.account.site));
            }
        };
        let staged =
            |block: ListedBlock| Some(StagedBlock { id: block.name?, bytes: u64::try_from(block.size?).ok()? });
        Ok(listed.into_iter().filter_map(staged).collect())
    }

    /// Copies one block of `blob`, in the version that `source` listed (Put Block From URL, Azure Blob REST). Done when it
    /// answers; the blob does not change by it. Tries once.
    ///
    /// # Errors
    /// As [`Container::copy_whole`], but for what concerns copies in the service's own time.
    pub async fn stage_block(&self, source: &Self, blob: &Blob, block: &Block) -> Result<(), Failure> {
        let copy = BlobCopy::of(self, source, blob);
        let stage = async {
            let options = BlockBlobClientStageBlockFromUrlOptions {
                source_range: Some(HttpRange::new(block.offset, block.bytes)),
                source_if_match: Some(blob.etag.as_str().into()),
                ..Default::default()
            };
            let client = self.blob(Grant::Write(&blob.name), None)?.block_blob_client();
            client.stage_block_from_url(&block.id, 0, copy.source_url()?, Some(options)).await
        };
        let staged = in_time(block.bytes, stage).await;
        staged.map(drop).map_err(|refusal| copy.failure(&refusal, &format!("its bytes from {} on", block.offset)))
    }

    /// Makes the copy of `blob` an empty one, so that nobody takes it for complete. Tries once.
    ///
    /// # Errors
    /// As [`Container::commit_blocks`].
    pub async fn empty(&self, source: &Self, blob: &Blob) -> Result<(), Failure> {
        self.commit_blocks(source, blob, Vec::new()).await
    }

    /// Makes the blob of these blocks, in this order, with the headers and the metadata of `blob`: blocks bring none along
    /// (Put Block List, Azure Blob REST). Blocks that are not named are dropped. The blob names its source's version in its
    /// metadata. Tries once; to try again after a lost answer does no harm.
    ///
    /// # Errors
    /// Transient `blocks-missing` when one of them is not staged any longer; else as [`Container::staged_blocks`].
    pub async fn commit_blocks(&self, source: &Self, blob: &Blob, ids: Vec<Vec<u8>>) -> Result<(), Failure> {
        let copy = BlobCopy::of(self, source, blob);
        let commit = async {
            let properties = &blob.properties;
            let options = BlockBlobClientCommitBlockListOptions {
                blob_content_type: properties.content_type.clone(),
                blob_cache_control: properties.cache_control.clone(),
                blob_content_encoding: properties.content_encoding.clone(),
                blob_content_language: properties.content_language.clone(),
                blob_content_disposition: properties.content_disposition.clone(),
                blob_content_md5: blob.content_md5.map(Vec::from),
                metadata: Some(copy.metadata()),
                ..Default::default()
            };
            let list = BlockLookupList { latest: Some(ids), ..Default::default() };
            let client = self.blob(Grant::Write(&blob.name), None)?.block_blob_client();
            client.commit_block_list(RequestContent::try_from(list)?, Some(options)).await
        };
        match commit.await.map_err(Refusal::from) {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.has_code("InvalidBlockList") => {
                let message = format!("{}: a block that was staged is gone", copy.doing());
                Err(Failure::transient("blocks-missing", message).at_site(&self.account.site))
            }
            Err(refusal) => Err(copy.failure(&refusal, "committing its blocks")),
        }
    }
}
