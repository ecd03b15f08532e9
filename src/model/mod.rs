//! Values of the trade: clouds, sites, assets, blobs, locators, streaming URLs, requests, jobs and replicas. No I/O, no async.

mod asset;
mod blob;
mod cloud;
mod compared;
mod job;
mod listing;
mod locator;
mod replicated;
mod request;
mod site;
mod streaming;

pub use asset::{Asset, AssetFile, AssetMark, AssetRef};
pub use blob::{Blob, BlobKind, BlobProperties, CopyStatus, Difference, METADATA_SOURCE_ETAG};
pub use cloud::Cloud;
pub use compared::{Compared, ComparedBytes};
pub use job::ReplicationJob;
pub use listing::{Inventory, Pair, Tally};
pub use locator::{LocatorId, StreamingLocator};
pub use replicated::{Content, CopyCount, ManifestProof, PublishedSite, Replicated, Timing};
pub use request::{EncodingJobState, Expected, ReplicationRequest};
pub use site::{Route, SiteName};
pub use streaming::{Protocol, StreamingUrl, StreamingUrls};
