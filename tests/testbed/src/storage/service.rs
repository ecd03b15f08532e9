//! What belongs to a container or an account as a whole: headers of the one, rules for browsers of the other.

use std::collections::BTreeMap;

use anyhow::Result;
use reqwest::{Method, StatusCode};

use super::wire::Call;
use super::{Storage, expect};

impl Storage {
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
