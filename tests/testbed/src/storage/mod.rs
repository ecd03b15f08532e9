//! A small blob storage client for tests and the emulator: fills containers, lists them, mints shared access signatures.

mod containers;
mod lease;
mod sign;
mod types;
mod wire;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response, StatusCode, Url};
use time::OffsetDateTime;

pub use types::{BlobBody, BlobInfo, PutKind, PutOptions, StoredPolicy};

pub(crate) use wire::http_client_builder;

use sign::{AccountKey, Sas};
use wire::Call;

/// Everything but RFC 3986's unreserved characters, `/` (a separator inside blob names) and `$` (`$root`, `$web`).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'$');

/// One storage account, spoken to with its account key.
#[derive(Clone)]
pub struct Storage {
    endpoint: Url,
    key: Arc<AccountKey>,
    http: reqwest::Client,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("endpoint", &self.endpoint.as_str()).finish_non_exhaustive()
    }
}

impl Storage {
    /// A client for `endpoint`, which names the account in its path as Azurite does: `http://127.0.0.1:10000/west`.
    ///
    /// # Errors
    /// When the key is not base64, or the endpoint cannot carry a path.
    pub fn new(endpoint: Url, account: &str, key_base64: &str) -> Result<Self> {
        let mut endpoint = endpoint;
        let path = endpoint.path().trim_end_matches('/').to_owned();
        endpoint.set_path(&path);
        endpoint.set_query(None);
        let key = Arc::new(AccountKey::new(account, key_base64)?);
        // connections belong to the runtime that opened them, so each client has its own
        let http = http_client_builder().build().context("cannot set up an HTTP client")?;
        Ok(Self { endpoint, key, http })
    }

    /// The account's root URL, without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// The account's name.
    #[must_use]
    pub fn account(&self) -> &str {
        self.key.account()
    }

    /// The account's key, as settings files carry it.
    #[must_use]
    pub fn key_base64(&self) -> &str {
        self.key.base64()
    }

    /// All blobs of a container in name order, flat and with metadata, over all pages of List Blobs; `None` when there
    /// is no such container. Snapshots are left out.
    ///
    /// # Errors
    /// When the service cannot be reached, refuses, or answers with something else than its XML.
    pub async fn list(&self, container: &str) -> Result<Option<Vec<BlobInfo>>> {
        let (mut blobs, mut marker) = (Vec::new(), String::new());
        loop {
            let call = Call::new(Method::GET, self.url(container, "")).query("restype", "container");
            let call = call.query("comp", "list").query("include", "metadata").page(&marker);
            let response = expect(self.send(call).await?, &[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let (page, next) = wire::parse_blobs(&response.text().await?)?;
            blobs.extend(page);
            match next {
                Some(next) => marker = next,
                None => return Ok(Some(blobs)),
            }
        }
    }

    /// Writes a blob, replacing what is there. Page blobs need a length in whole 512-byte pages.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses, or when a page blob's length does not fit.
    pub async fn put(&self, container: &str, name: &str, body: impl Into<Bytes>, options: PutOptions) -> Result<()> {
        let (body, url) = (body.into(), self.url(container, name));
        let mut stored = Call::new(Method::PUT, url.clone()).headers(&wire::stored_headers(&options));
        if options.content_md5 {
            stored = stored.header("x-ms-blob-content-md5", &BASE64.encode(Md5::digest(&body)));
        }
        match options.blob_type {
            PutKind::Block => self.created(stored.header("x-ms-blob-type", "BlockBlob").body(body)).await,
            PutKind::Staged => {
                let mut list = String::new();
                if !body.is_empty() {
                    let id = BASE64.encode("block-000000");
                    let block = Call::new(Method::PUT, url.clone()).query("comp", "block").query("blockid", &id);
                    self.created(block.body(body)).await?;
                    list = format!("<Latest>{id}</Latest>");
                }
                let list = format!("<BlockList>{list}</BlockList>");
                self.created(stored.query("comp", "blocklist").body(list)).await
            }
            PutKind::Append => {
                self.created(stored.header("x-ms-blob-type", "AppendBlob")).await?;
                if body.is_empty() {
                    return Ok(());
                }
                self.created(Call::new(Method::PUT, url.clone()).query("comp", "appendblock").body(body)).await
            }
            PutKind::Page => {
                let size = body.len();
                if size % 512 != 0 {
                    bail!("a page blob's length is a multiple of 512 bytes, not {size}");
                }
                let create = stored.header("x-ms-blob-type", "PageBlob");
                self.created(create.header("x-ms-blob-content-length", &size.to_string())).await?;
                if size == 0 {
                    return Ok(());
                }
                let write =
                    Call::new(Method::PUT, url.clone()).query("comp", "page").header("x-ms-page-write", "update");
                self.created(write.header("x-ms-range", &format!("bytes=0-{}", size - 1)).body(body)).await
            }
        }
    }

    /// A blob's bytes, or those of `range` (first and last byte, both included); `None` when it is absent.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses, for example because the range starts behind the blob's end.
    pub async fn get(&self, container: &str, name: &str, range: Option<(u64, u64)>) -> Result<Option<BlobBody>> {
        let mut call = Call::new(Method::GET, self.url(container, name));
        if let Some((first, last)) = range {
            call = call.header("x-ms-range", &format!("bytes={first}-{last}"));
        }
        let found = [StatusCode::OK, StatusCode::PARTIAL_CONTENT, StatusCode::NOT_FOUND];
        let response = expect(self.send(call).await?, &found).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let info = wire::info_of(name, response.headers());
        let total_size = wire::total_size(response.headers()).unwrap_or(info.size);
        let info = BlobInfo { size: total_size, ..info };
        Ok(Some(BlobBody { info, total_size, bytes: response.bytes().await? }))
    }

    /// A blob's properties; `None` when it is absent.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn head(&self, container: &str, name: &str) -> Result<Option<BlobInfo>> {
        let call = Call::new(Method::HEAD, self.url(container, name));
        let response = expect(self.send(call).await?, &[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
        Ok((response.status() == StatusCode::OK).then(|| wire::info_of(name, response.headers())))
    }

    /// Deletes a blob with its snapshots; an absent one is fine.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn delete(&self, container: &str, name: &str) -> Result<()> {
        let call = Call::new(Method::DELETE, self.url(container, name)).header("x-ms-delete-snapshots", "include");
        expect(self.send(call).await?, &[StatusCode::ACCEPTED, StatusCode::NOT_FOUND]).await.map(drop)
    }

    /// Snapshot Blob: a read-only copy that a plain listing leaves out.
    ///
    /// # Errors
    /// When the service cannot be reached or refuses.
    pub async fn snapshot(&self, container: &str, name: &str) -> Result<()> {
        self.created(Call::new(Method::PUT, self.url(container, name)).query("comp", "snapshot")).await
    }

    /// Set Container ACL: replaces the container's stored access policies, of which there can be five.
    ///
    /// # Errors
    /// When there are more than five, or when the service cannot be reached or refuses.
    pub async fn set_stored_policies(&self, container: &str, policies: &[StoredPolicy]) -> Result<()> {
        if policies.len() > 5 {
            bail!("a container holds five stored access policies at most, not {}", policies.len());
        }
        let call = Call::new(Method::PUT, self.url(container, "")).query("restype", "container").query("comp", "acl");
        expect(self.send(call.body(wire::policies_xml(policies)?)).await?, &[StatusCode::OK]).await.map(drop)
    }

    /// The query string (without `?`) of a service SAS for the whole container, with its own permissions and expiry.
    #[must_use]
    pub fn container_sas(&self, container: &str, permissions: &str, expiry: OffsetDateTime) -> String {
        self.key.container_sas(container, Sas::AdHoc { permissions, expiry })
    }

    /// The query string (without `?`) of a service SAS for the whole container that leans on a stored access policy.
    #[must_use]
    pub fn container_sas_by_policy(&self, container: &str, policy_id: &str) -> String {
        self.key.container_sas(container, Sas::Stored { policy_id, start: None, expiry: None })
    }

    /// The same with its times in the URL, as media services wrote them (contract ams-v2 section 4.2). Azurite takes them
    /// from the policy all the same, so that must carry them too.
    #[must_use]
    pub fn locator_sas(
        &self,
        container: &str,
        policy_id: &str,
        start: Option<OffsetDateTime>,
        expiry: Option<OffsetDateTime>,
    ) -> String {
        self.key.container_sas(container, Sas::Stored { policy_id, start, expiry })
    }

    /// The address of a blob, with the SAS as its query where one is given. The name is percent-encoded as UTF-8 and
    /// keeps its slashes.
    #[must_use]
    pub fn blob_url(&self, container: &str, name: &str, sas: Option<&str>) -> Url {
        let mut url = self.url(container, name);
        url.set_query(sas);
        url
    }

    fn url(&self, container: &str, name: &str) -> Url {
        let mut path = self.endpoint.path().to_owned();
        for part in [container, name] {
            if !part.is_empty() {
                path.push('/');
                path.extend(utf8_percent_encode(part, PATH));
            }
        }
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        url
    }

    async fn created(&self, call: Call) -> Result<()> {
        expect(self.send(call).await?, &[StatusCode::CREATED]).await.map(drop)
    }

    async fn send(&self, call: Call) -> Result<Response> {
        let what = format!("{} {}", call.method, call.url.path());
        let is_read = call.method == Method::GET || call.method == Method::HEAD;
        let request = call.into_request(&self.key)?;
        let again = request.try_clone().filter(|_| is_read);
        let answer = match (self.http.execute(request).await, again) {
            // A connection that has idled may be closed at the moment it is used again.
            (Err(_), Some(again)) => self.http.execute(again).await,
            (answer, _) => answer,
        };
        answer.with_context(|| format!("{what} got no answer from the blob storage"))
    }
}

/// The answer itself when its status is one of `wanted`, else an error that carries the service's code and text.
async fn expect(response: Response, wanted: &[StatusCode]) -> Result<Response> {
    if wanted.contains(&response.status()) {
        return Ok(response);
    }
    let (status, path) = (response.status(), response.url().path().to_owned());
    let code = wire::header(response.headers(), "x-ms-error-code").unwrap_or_default();
    let text = response.text().await.unwrap_or_default();
    bail!("blob storage answered {status} {code} for {path}: {text}")
}
