//! Containers as a whole, and the account's rules for browsers.

use std::collections::BTreeMap;

use anyhow::Result;
use reqwest::{Method, StatusCode};

use super::wire::{self, Call};
use super::{Storage, expect};

impl Storage {
    /// Create Container; one that is there already is fine.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn create_container(&self, container: &str) -> Result<()> {
        let call = Call::new(Method::PUT, self.url(container, "")).query("restype", "container");
        expect(self.send(call).await?, &[StatusCode::CREATED, StatusCode::CONFLICT]).await.map(drop)
    }

    /// The same for a container whose blobs anybody may read, though not list (public access `blob`).
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn create_public_container(&self, container: &str) -> Result<()> {
        let call = Call::new(Method::PUT, self.url(container, "")).query("restype", "container");
        let call = call.header("x-ms-blob-public-access", "blob");
        expect(self.send(call).await?, &[StatusCode::CREATED, StatusCode::CONFLICT]).await.map(drop)
    }

    /// Delete Container; an absent one is fine.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn delete_container(&self, container: &str) -> Result<()> {
        let call = Call::new(Method::DELETE, self.url(container, "")).query("restype", "container");
        expect(self.send(call).await?, &[StatusCode::ACCEPTED, StatusCode::NOT_FOUND]).await.map(drop)
    }

    /// The names of all containers, over all pages of List Containers.
    ///
    /// # Errors
    /// When the service cannot be reached, refuses, or answers with something else than its XML.
    pub async fn list_containers(&self) -> Result<Vec<String>> {
        let (mut names, mut marker) = (Vec::new(), String::new());
        loop {
            let call = Call::new(Method::GET, self.url("", "")).query("comp", "list").page(&marker);
            let body = expect(self.send(call).await?, &[StatusCode::OK]).await?.text().await?;
            let (page, next) = wire::parse_containers(&body)?;
            names.extend(page);
            match next {
                Some(next) => marker = next,
                None => return Ok(names),
            }
        }
    }

    /// Get Container Properties: the answer's headers, names in lower case; `None` when there is no such container.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn container_properties(&self, container: &str) -> Result<Option<BTreeMap<String, String>>> {
        let call = Call::new(Method::GET, self.url(container, "")).query("restype", "container");
        let response = self.send(call).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let response = expect(response, &[StatusCode::OK]).await?;
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Some(response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect()))
    }

    /// Set Blob Service Properties: one rule for browsers (CORS), or none, in place of all there were.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn set_cors(&self, allowed_origins: Option<&str>) -> Result<()> {
        let rule = allowed_origins.map_or_else(String::new, |origins| {
            format!(
                "<CorsRule><AllowedOrigins>{origins}</AllowedOrigins><AllowedMethods>GET,HEAD</AllowedMethods>\
                 <AllowedHeaders>*</AllowedHeaders><ExposedHeaders>*</ExposedHeaders>\
                 <MaxAgeInSeconds>60</MaxAgeInSeconds></CorsRule>"
            )
        });
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Cors>{rule}</Cors></StorageServiceProperties>"
        );
        let call = Call::new(Method::PUT, self.url("", "")).query("restype", "service").query("comp", "properties");
        expect(self.send(call.body(body)).await?, &[StatusCode::ACCEPTED]).await.map(drop)
    }
}
