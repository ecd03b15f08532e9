//! One world for both services: raw requests with a signature, and the answers' parts that matter.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Url};
use testbed::cloud::{CloudModel, Costs};
use testbed::process::{ACCOUNTS, AZURITE_VARIABLE, Azurite};
use testbed::storage::Storage;
use time::{Duration, OffsetDateTime};
use tokio::sync::OnceCell;

/// Two accounts of one service.
pub struct World {
    pub west: Storage,
    pub east: Storage,
    pub http: Client,
    pub model: Option<CloudModel>,
}

impl World {
    pub async fn azurite() -> Self {
        static AZURITE: OnceCell<Option<Azurite>> = OnceCell::const_new();
        let own = AZURITE.get_or_init(async || match std::env::var(AZURITE_VARIABLE) {
            Ok(_) => None,
            Err(_) => Some(Azurite::start(&ACCOUNTS).await.unwrap()),
        });
        let endpoint = match own.await {
            Some(azurite) => azurite.endpoint().clone(),
            None => std::env::var(AZURITE_VARIABLE).unwrap().parse().unwrap(),
        };
        let storage = |at: usize| {
            let (name, key) = ACCOUNTS[at];
            Storage::new(endpoint.join(&format!("/{name}")).unwrap(), name, key).unwrap()
        };
        Self { west: storage(0), east: storage(1), http: http(), model: None }
    }

    pub async fn model() -> Self {
        Self::with_costs(Costs::none()).await
    }

    pub async fn with_costs(costs: Costs) -> Self {
        let model = CloudModel::start(&ACCOUNTS, costs).await.unwrap();
        let (west, east) = (model.storage("west").unwrap(), model.storage("east").unwrap());
        Self { west, east, http: http(), model: Some(model) }
    }

    /// What the service does; Azurite is known to do something else, for this reason.
    pub fn but_azurite<T>(&self, service: T, azurite: T, _why: &str) -> T {
        if self.model.is_some() { service } else { azurite }
    }

    /// A fresh container in each account: west's and east's.
    pub async fn containers(&self) -> (Place<'_>, Place<'_>) {
        (self.container(&self.west).await, self.container(&self.east).await)
    }

    pub async fn container<'a>(&'a self, storage: &'a Storage) -> Place<'a> {
        let name = format!("test-{}", uuid::Uuid::new_v4().simple());
        storage.create_container(&name).await.unwrap();
        Place { world: self, storage, name }
    }
}

fn http() -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

pub fn in_an_hour() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::hours(1)
}

/// A container.
pub struct Place<'a> {
    pub world: &'a World,
    pub storage: &'a Storage,
    pub name: String,
}

impl Place<'_> {
    /// A blob's URL with a signature that permits this.
    pub fn url(&self, blob: &str, permissions: &str) -> Url {
        let sas = self.storage.container_sas(&self.name, permissions, in_an_hour());
        self.storage.blob_url(&self.name, blob, Some(&sas))
    }

    pub fn call(&self, method: Method, blob: &str) -> Call {
        Call::new(&self.world.http, method, self.url(blob, "racwdl"))
    }

    pub fn put(&self, blob: &str) -> Call {
        self.call(Method::PUT, blob)
    }

    pub fn get(&self, blob: &str) -> Call {
        self.call(Method::GET, blob)
    }

    pub fn head(&self, blob: &str) -> Call {
        self.call(Method::HEAD, blob)
    }

    pub fn list(&self) -> Call {
        self.get("").query("restype", "container").query("comp", "list")
    }

    /// Put Blob; gives the ETag.
    pub async fn upload(&self, blob: &str, body: impl Into<Bytes>) -> String {
        let call = self.put(blob).header("x-ms-blob-type", "BlockBlob").header("content-type", "video/mp4");
        let reply = call.body(body).send().await;
        reply.is(201, "");
        reply.header("etag").to_owned()
    }

    /// Put Block.
    pub fn block(&self, blob: &str, id: &str) -> Call {
        self.put(blob).query("comp", "block").query("blockid", id)
    }

    /// Put Block List, of `Latest` ids.
    pub fn commit(&self, blob: &str, ids: &[&str]) -> Call {
        let list: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        self.put(blob).query("comp", "blocklist").body(format!("<BlockList>{list}</BlockList>"))
    }

    /// Copy Blob with `x-ms-requires-sync`.
    pub fn copy(&self, blob: &str, source: &Url) -> Call {
        self.put(blob).header("x-ms-requires-sync", "true").header("x-ms-copy-source", source.as_str())
    }
}

/// A request.
pub struct Call {
    http: Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    pub fn new(http: &Client, method: Method, url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-version", "2021-12-02".parse().unwrap());
        Self { http: http.clone(), method, url, headers, body: Bytes::new() }
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Reply {
        let request = self.http.request(self.method, self.url).headers(self.headers);
        let response = request.header("content-length", self.body.len()).body(self.body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.bytes().await.unwrap() }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub fn code(&self) -> &str {
        self.header("x-ms-error-code")
    }

    /// Asserts status and error code.
    #[track_caller]
    pub fn is(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code()), (status, code), "{self:?}");
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap().trim_start_matches('\u{feff}')
    }

    /// The texts of all elements of a name.
    pub fn texts(&self, element: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(self.text()).unwrap();
        let found = document.descendants().filter(|node| node.has_tag_name(element));
        found.map(|node| node.text().unwrap_or_default().to_owned()).collect()
    }

    /// Names, sizes of a list of blocks.
    pub fn blocks(&self, list: &str) -> BTreeMap<String, u64> {
        let document = roxmltree::Document::parse(self.text()).unwrap();
        let blocks = document.descendants().filter(|node| node.has_tag_name(list)).flat_map(|node| node.children());
        let text = |node: roxmltree::Node<'_, '_>, name: &str| {
            node.children().find(|child| child.has_tag_name(name)).unwrap().text().unwrap().to_owned()
        };
        blocks
            .filter(|node| node.has_tag_name("Block"))
            .map(|node| (text(node, "Name"), text(node, "Size").parse().unwrap()))
            .collect()
    }
}
