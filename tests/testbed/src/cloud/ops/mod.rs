//! The calls themselves.

mod block_list;
mod blocks;
mod conditions;
mod container;
mod copy;
mod copy_source;
mod get;
mod kinds;
mod lease;
mod list;
mod put;
mod service;

use std::sync::Arc;

use super::answer::Answer;
use super::auth::Grant;
use super::call::Call;
use super::error::Refusal;
use super::operation::Operation;
use super::shared::Shared;
use super::state::Account;

/// All that a call's code needs.
pub(crate) struct Request<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) account: &'a Arc<Account>,
    pub(crate) call: &'a Call,
    pub(crate) grant: Grant,
}

/// Carries out a call that is allowed.
///
/// # Errors
/// As the service refuses.
pub(crate) async fn serve(request: Request<'_>, operation: Operation) -> Result<Answer, Refusal> {
    match operation {
        Operation::ListContainers => service::list_containers(&request),
        Operation::GetBlobServiceProperties => Ok(service::properties()),
        Operation::GetAccountInformation => Ok(service::information()),
        Operation::CreateContainer => container::create(&request),
        Operation::GetContainerProperties => container::properties(&request),
        Operation::DeleteContainer => container::delete(&request),
        Operation::SetContainerAcl => container::set_acl(&request),
        Operation::GetContainerAcl => container::acl(&request),
        Operation::ListBlobs => list::list(&request),
        Operation::PutBlob => put::put(&request),
        Operation::SetBlobMetadata => put::set_metadata(&request),
        Operation::SetBlobProperties => put::set_properties(&request),
        Operation::DeleteBlob => put::delete(&request),
        Operation::PutBlobFromUrl => copy::put_from_url(&request).await,
        Operation::CopyBlobFromUrl => copy::sync_copy(&request).await,
        Operation::CopyBlob => copy::start(&request),
        Operation::AbortCopyBlob => copy::abort(&request),
        Operation::GetBlob => get::get(&request),
        Operation::GetBlobProperties => get::head(&request),
        Operation::PutBlock => blocks::put(&request),
        Operation::PutBlockFromUrl => blocks::put_from_url(&request).await,
        Operation::PutBlockList => block_list::put(&request),
        Operation::AppendBlock => kinds::append(&request),
        Operation::PutPage => kinds::put_page(&request),
        Operation::GetBlockList => block_list::get(&request),
        Operation::LeaseBlob => lease::lease(&request),
        Operation::Unknown => Err(Refusal::not_implemented()),
    }
}
