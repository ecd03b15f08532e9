//! Files of an asset: listed, registered from the container's blobs, described.

use serde_json::{Map, Value, json};

use super::AmsV2;
use super::request::Pages;
use super::resource::{key, literal, with_query};
use super::wire::{AnyRow, FileRow};
use crate::failure::Failure;
use crate::model::AssetFile;

/// The registered files of an asset, a page at a time.
pub struct FilePages<'a>(Pages<'a>);

impl FilePages<'_> {
    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// As every call; `not-found` when the asset is gone.
    pub async fn next(&mut self) -> Result<Option<Vec<AssetFile>>, Failure> {
        let rows = self.0.next::<FileRow>().await?;
        Ok(rows.map(|rows| rows.into_iter().map(file).collect()))
    }
}

impl AmsV2 {
    /// The registered files of an asset, to be read page by page in the order of their ids.
    #[must_use]
    pub fn files(&self, asset_id: &str) -> FilePages<'_> {
        FilePages(self.client.pages(format!("{}/Files", key("Assets", asset_id)), None))
    }

    /// The registered files of an asset at once.
    ///
    /// # Errors
    /// As [`FilePages::next`].
    pub async fn list_files(&self, asset_id: &str) -> Result<Vec<AssetFile>, Failure> {
        let (mut pages, mut files) = (self.files(asset_id), Vec::new());
        while let Some(page) = pages.next().await? {
            files.extend(page);
        }
        Ok(files)
    }

    /// Registers every blob of the asset's container as a file, with its size (contract ams-v2, section 4.1). What happens
    /// where some are registered already is not known: list first, call when names are missing, list again.
    ///
    /// # Errors
    /// As every call; `not-visible-yet` where the asset is there but this function does not see it.
    pub async fn register_files(&self, asset_id: &str) -> Result<(), Failure> {
        let call = with_query("CreateFileInfos", &[("assetid", &literal(asset_id))]);
        match self.client.call_function(call).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.lag_or(asset_id, error).await),
        }
    }

    /// Registers one blob as a file. One that is registered already, by whomever, is no error.
    ///
    /// # Errors
    /// As every call; `conflict` when the service refuses it though it is not there, `bad-request` for a name that no file may have (contract ams-v2, section 3).
    pub async fn register_file(&self, asset_id: &str, name: &str, size_bytes: u64) -> Result<(), Failure> {
        // Edm.Int64 is text in JSON (contract ams-v2, section 2.2).
        let body = json!({ "Name": name, "ParentAssetId": asset_id, "ContentFileSize": size_bytes.to_string() });
        let mut pauses = self.client.pauses();
        loop {
            match self.client.create::<AnyRow>("Files", body.clone()).await {
                Ok(_) => return Ok(()),
                // A second file of one name is refused, so repeating does no harm (contract ams-v2, section 5.2).
                Err(error) if error.status == Some(409) => {
                    let is_there = self.list_files(asset_id).await?.iter().any(|file| file.name == name);
                    return if is_there { Ok(()) } else { Err(error.failure) };
                }
                Err(error) if error.is_ambiguous() => pauses.pause(error.failure).await?,
                Err(error) => return Err(self.lag_or(asset_id, error).await),
            }
        }
    }

    /// Sets what registration leaves open; `None` leaves a member as it is. Take the mark off another primary file first:
    /// a second one is a conflict (contract ams-v2, section 5.2).
    ///
    /// # Errors
    /// As every call.
    pub async fn describe_file(
        &self,
        file_id: &str,
        primary: Option<bool>,
        mime_type: Option<&str>,
    ) -> Result<(), Failure> {
        let mut body = Map::new();
        body.extend(primary.map(|primary| ("IsPrimary".to_owned(), Value::from(primary))));
        body.extend(mime_type.map(|mime_type| ("MimeType".to_owned(), Value::from(mime_type))));
        if body.is_empty() {
            return Ok(());
        }
        Ok(self.client.merge(key("Files", file_id), Value::Object(body)).await?)
    }
}

fn file(row: FileRow) -> AssetFile {
    AssetFile {
        id: row.id,
        name: row.name,
        size_bytes: row.content_file_size.and_then(|size| size.try_into().ok()).unwrap_or_default(),
        is_primary: row.is_primary,
        mime_type: row.mime_type.filter(|text| !text.is_empty()),
        is_encrypted: row.is_encrypted,
    }
}
