//! Which of the Blob service's calls a request is, and what permission it needs.

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::call::Call;

/// The calls, under the names that the Azure Blob REST reference gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of the REST reference")]
pub enum Operation {
    ListContainers,
    GetBlobServiceProperties,
    GetAccountInformation,
    CreateContainer,
    GetContainerProperties,
    DeleteContainer,
    SetContainerAcl,
    GetContainerAcl,
    ListBlobs,
    PutBlob,
    PutBlobFromUrl,
    CopyBlob,
    CopyBlobFromUrl,
    AbortCopyBlob,
    GetBlob,
    GetBlobProperties,
    SetBlobMetadata,
    SetBlobProperties,
    DeleteBlob,
    PutBlock,
    PutBlockFromUrl,
    PutBlockList,
    GetBlockList,
    LeaseBlob,
    AppendBlock,
    PutPage,
    /// None that the model has.
    Unknown,
}

/// What an account SAS calls the things it opens (`srt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceType {
    Service,
    Container,
    Object,
}

impl ResourceType {
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Service => 's',
            Self::Container => 'c',
            Self::Object => 'o',
        }
    }
}

impl Operation {
    pub(crate) fn of(call: &Call) -> Self {
        let (comp, restype) = (call.query.get("comp"), call.query.get("restype"));
        let has = |name: &str| call.headers.contains_key(name);
        let is = |method: &Method| call.method == *method;
        let is_read = is(&Method::GET) || is(&Method::HEAD);
        match (comp, restype) {
            ("properties", "account") if is_read => return Self::GetAccountInformation,
            ("properties", "service") if is(&Method::GET) => return Self::GetBlobServiceProperties,
            _ => {}
        }
        if call.target.container.is_empty() {
            return if comp == "list" && is(&Method::GET) { Self::ListContainers } else { Self::Unknown };
        }
        if call.target.blob.is_empty() {
            return Self::of_container(call, comp, restype);
        }
        match (call.method.as_str(), comp) {
            ("GET", "") => Self::GetBlob,
            ("HEAD", "" | "metadata") => Self::GetBlobProperties,
            ("GET", "blocklist") => Self::GetBlockList,
            ("DELETE", "") => Self::DeleteBlob,
            ("PUT", "block") if has("x-ms-copy-source") => Self::PutBlockFromUrl,
            ("PUT", "block") => Self::PutBlock,
            ("PUT", "blocklist") => Self::PutBlockList,
            ("PUT", "metadata") => Self::SetBlobMetadata,
            ("PUT", "properties") => Self::SetBlobProperties,
            ("PUT", "lease") => Self::LeaseBlob,
            ("PUT", "appendblock") => Self::AppendBlock,
            ("PUT", "page") => Self::PutPage,
            ("PUT", "copy") => Self::AbortCopyBlob,
            ("PUT", "") if has("x-ms-copy-source") && has("x-ms-blob-type") => Self::PutBlobFromUrl,
            ("PUT", "") if call.header("x-ms-requires-sync") == "true" => Self::CopyBlobFromUrl,
            ("PUT", "") if has("x-ms-copy-source") => Self::CopyBlob,
            ("PUT", "") => Self::PutBlob,
            _ => Self::Unknown,
        }
    }

    fn of_container(call: &Call, comp: &str, restype: &str) -> Self {
        if restype != "container" {
            return Self::Unknown;
        }
        match (call.method.as_str(), comp) {
            ("PUT", "") => Self::CreateContainer,
            ("GET" | "HEAD", "" | "metadata") => Self::GetContainerProperties,
            ("DELETE", "") => Self::DeleteContainer,
            ("GET", "list") => Self::ListBlobs,
            ("PUT", "acl") => Self::SetContainerAcl,
            ("GET" | "HEAD", "acl") => Self::GetContainerAcl,
            _ => Self::Unknown,
        }
    }

    /// Letters of which a SAS needs one, and what it must open ("Create an account SAS", "Create a service SAS"). No
    /// letters: the account's key alone may, or an account SAS for what it names.
    pub(crate) fn permissions(self) -> (&'static str, ResourceType) {
        match self {
            Self::ListContainers => ("l", ResourceType::Service),
            Self::GetBlobServiceProperties => ("r", ResourceType::Service),
            Self::CreateContainer => ("cw", ResourceType::Container),
            Self::GetContainerProperties => ("r", ResourceType::Container),
            Self::DeleteContainer => ("d", ResourceType::Container),
            Self::SetContainerAcl | Self::GetContainerAcl => ("", ResourceType::Container),
            Self::ListBlobs => ("l", ResourceType::Container),
            Self::PutBlob | Self::PutBlobFromUrl | Self::CopyBlob | Self::CopyBlobFromUrl => {
                ("wc", ResourceType::Object)
            }
            Self::AppendBlock => ("wa", ResourceType::Object),
            Self::GetBlob | Self::GetBlobProperties | Self::GetBlockList => ("r", ResourceType::Object),
            Self::DeleteBlob => ("d", ResourceType::Object),
            Self::PutBlock
            | Self::PutBlockFromUrl
            | Self::PutBlockList
            | Self::SetBlobMetadata
            | Self::SetBlobProperties
            | Self::LeaseBlob
            | Self::PutPage
            | Self::AbortCopyBlob => ("w", ResourceType::Object),
            // any permission will do (Get Account Information, Azure Blob REST)
            Self::GetAccountInformation | Self::Unknown => ("racwdlup", ResourceType::Service),
        }
    }

    /// Whether it copies from one account to another.
    #[must_use]
    pub fn is_copy(self) -> bool {
        matches!(self, Self::PutBlobFromUrl | Self::CopyBlob | Self::CopyBlobFromUrl | Self::PutBlockFromUrl)
    }
}
