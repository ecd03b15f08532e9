//! The verbs as typed calls: read, list in pages, create, change, delete, call a function.

use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::classify::CallError;
use super::client::{Call, Client};
use super::resource::with_query;
use super::wire;
use crate::failure::Failure;
use crate::http::Method;

/// The most entities in one answer (contract ams-v2, section 2.3).
const PAGE: usize = 1000;
/// The most entities of a kind that an account can hold are a million (contract ams-v2, section 4.3).
const MAX_PAGES: usize = 1001;

impl Client {
    /// Reads one entity; `None` when it is not there.
    pub async fn find<T: DeserializeOwned>(&self, resource: String) -> Result<Option<T>, CallError> {
        let call = Call { method: Method::GET, resource, body: None };
        let name = call.name();
        match self.send(call).await {
            Ok(response) => {
                let read = wire::entity(&response.body);
                read.map(Some).map_err(|error| CallError::unreadable(&name, &error, self.site()))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A whole set, to be read page by page; `filter` is an OData expression.
    pub fn pages(&self, set: String, filter: Option<&str>) -> Pages<'_> {
        let filter = filter.map(str::to_owned);
        Pages { client: self, next: Some(page_of(&set, filter.as_deref(), 0)), set, filter, rows: 0, count: 0 }
    }

    /// Reads a whole set at once.
    pub async fn list<T: DeserializeOwned>(&self, set: &str, filter: Option<&str>) -> Result<Vec<T>, CallError> {
        let mut pages = self.pages(set.to_owned(), filter);
        let mut items = Vec::new();
        while let Some(page) = pages.next().await? {
            items.extend(page);
        }
        Ok(items)
    }

    /// Reads at most one row of a set.
    pub async fn first<T: DeserializeOwned>(&self, set: &str) -> Result<Option<T>, CallError> {
        Ok(self.page(with_query(set, &[("$top", "1")])).await?.items.into_iter().next())
    }

    async fn page<T: DeserializeOwned>(&self, resource: String) -> Result<wire::Page<T>, CallError> {
        let call = Call { method: Method::GET, resource, body: None };
        let name = call.name();
        let response = self.send(call).await?;
        wire::page(&response.body).map_err(|error| CallError::unreadable(&name, &error, self.site()))
    }

    /// Adds one entity to a set. After an ambiguous error look before repeating.
    pub async fn create<T: DeserializeOwned>(&self, set: &str, body: Value) -> Result<T, CallError> {
        let call = Call { method: Method::POST, resource: set.to_owned(), body: Some(body) };
        let name = call.name();
        let response = self.send(call).await?;
        wire::entity(&response.body).map_err(|error| CallError::unreadable(&name, &error, self.site()))
    }

    /// Changes the members in `body`; the verb is the protocol's own (contract ams-v2, section 2.4).
    pub async fn merge(&self, resource: String, body: Value) -> Result<(), CallError> {
        let method = Method::from_bytes(b"MERGE").unwrap_or(Method::PATCH);
        self.send(Call { method, resource, body: Some(body) }).await.map(drop)
    }

    /// Deletes one entity; one that is gone already is no error.
    pub async fn delete(&self, resource: String) -> Result<(), CallError> {
        match self.send(Call { method: Method::DELETE, resource, body: None }).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Calls a function import without a result.
    pub async fn call_function(&self, resource: String) -> Result<(), CallError> {
        self.send(Call { method: Method::GET, resource, body: None }).await.map(drop)
    }

    /// A next link, relative to the root. It must lie below the root or the front door, as it is asked with our token.
    fn below_root(&self, link: &str) -> Result<String, CallError> {
        let root = self.root();
        let refused = || {
            let message = format!("the media service names a next page that is not below {root}");
            CallError::before(Failure::permanent("redirect-refused", message).at_site(self.site()))
        };
        let link = root.join(link).map_err(|_| refused())?;
        [&root, self.front_door()].iter().find_map(|root| relative(&link, root)).ok_or_else(refused)
    }
}

/// A set that is read page by page.
pub struct Pages<'a> {
    client: &'a Client,
    set: String,
    filter: Option<String>,
    next: Option<String>,
    rows: usize,
    count: usize,
}

impl Pages<'_> {
    /// The next page; `None` after the last one.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Vec<T>>, CallError> {
        let Some(resource) = self.next.take() else { return Ok(None) };
        if self.count == MAX_PAGES {
            let message = format!("{} has no end: {} rows read", self.set, self.rows);
            return Err(CallError::before(Failure::transient("endless-list", message).at_site(self.client.site())));
        }
        let page = self.client.page::<T>(resource).await?;
        self.count += 1;
        self.rows += page.items.len();
        self.next = match page.next {
            Some(next) => Some(self.client.below_root(&next)?),
            // No link is known of this service: a full page may have a successor.
            None if page.items.len() >= PAGE => Some(page_of(&self.set, self.filter.as_deref(), self.rows)),
            None => None,
        };
        Ok(Some(page.items))
    }
}

fn page_of(set: &str, filter: Option<&str>, skip: usize) -> String {
    let skip = skip.to_string();
    let mut options = Vec::new();
    options.extend(filter.map(|filter| ("$filter", filter)));
    options.push(("$orderby", "Id"));
    if skip != "0" {
        options.push(("$skip", &skip));
    }
    with_query(set, &options)
}

/// What follows `root` in `link`; the first path segment is written `API` or `api`.
fn relative(link: &Url, root: &Url) -> Option<String> {
    let (start, rest) = link.path().split_at_checked(root.path().len())?;
    let is_below = link.origin() == root.origin() && start.eq_ignore_ascii_case(root.path());
    let query = link.query().map(|query| format!("?{query}")).unwrap_or_default();
    is_below.then(|| format!("{rest}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_links_are_taken_below_the_root_only() {
        let root = Url::parse("https://clu.example/api/").unwrap();
        let under = |link: &str| relative(&Url::parse(link).unwrap(), &root);
        assert_eq!(under("https://clu.example/API/Assets?$skip=1000").as_deref(), Some("Assets?$skip=1000"));
        assert_eq!(under("https://evil.example/api/Assets"), None);
        assert_eq!(under("http://clu.example/api/Assets"), None);
        assert_eq!(under("https://clu.example/other"), None);
    }

    #[test]
    fn every_page_has_a_stable_order() {
        assert_eq!(page_of("Files", None, 0), "Files?$orderby=Id");
        assert_eq!(
            page_of("Assets", Some("Id eq 'x'"), 2000),
            "Assets?$filter=Id%20eq%20%27x%27&$orderby=Id&$skip=2000"
        );
    }
}
