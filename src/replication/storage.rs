//! How a job reaches the containers of its two assets.

use super::sites::Sites;
use crate::blob_store::Container;
use crate::model::Asset;

/// The containers of one job's two assets, each opened when it is first needed.
#[derive(Debug)]
pub struct Storage<'a> {
    sites: &'a Sites,
}

impl<'a> Storage<'a> {
    pub fn new(sites: &'a Sites) -> Self {
        Self { sites }
    }

    /// The source asset's container, to list and to copy from.
    pub fn source(&self, asset: &Asset) -> Container {
        self.sites.source.storage.container(&asset.container)
    }

    /// The replica asset's container, to list and to write to.
    pub fn replica(&self, asset: &Asset) -> Container {
        self.sites.replica.storage.container(&asset.container)
    }
}
