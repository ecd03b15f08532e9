//! Values of the trade: clouds, sites, assets, blobs, locators, streaming URLs, requests, jobs and replicas. No I/O, no async.

mod asset;
mod blob;
mod cloud;
mod compared;
mod job;
mod listing;
mod location;
mod locator;
mod replicated;
mod request;
mod site;
mod streaming;

pub use asset::{Asset, AssetFile, AssetMark, AssetRef};
pub use blob::{
    Blob, BlobKind, BlobProperties, CopiedFrom, CopyStatus, Difference, METADATA_SOURCE_ETAG, PublicAccess,
};
pub use cloud::Cloud;
pub use compared::{CheckedSegments, Compared, ComparedBytes};
pub use job::ReplicationJob;
pub use listing::{Inventory, Pair, Tally};
pub use location::Location;
pub use locator::{LocatorId, StreamingLocator};
pub use replicated::{Content, CopyCount, ManifestProof, Protection, PublishedSite, Replicated, Timing, Verification};
pub use request::{EncodingJobState, Expected, ReplicationRequest};
pub use site::{Route, SiteName};
pub use streaming::{Protocol, StreamingUrl, StreamingUrls, encode as encode_path, join as join_path};
