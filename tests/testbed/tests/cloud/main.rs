//! The cloud model: the same stories against Azurite and against the model, then what the model alone can do.

mod auth;
mod blobs;
mod blocks;
mod conditions;
mod control;
mod copies;
mod costs;
mod leases;
mod listings;
mod program;
mod rules;
mod support;

/// Each story twice: on Azurite, and on the model without costs.
macro_rules! on_both {
    ($($room:ident::$story:ident),* $(,)?) => {
        mod azurite {
            $(#[tokio::test] async fn $story() { crate::$room::$story(&crate::support::World::azurite().await).await; })*
        }
        mod model {
            $(#[tokio::test] async fn $story() { crate::$room::$story(&crate::support::World::model().await).await; })*
        }
    };
}

on_both!(
    auth::signatures_open_what_they_say,
    auth::the_key_opens_everything,
    auth::stored_policies_come_and_go,
    auth::account_signatures,
    blobs::a_blob_keeps_what_was_put,
    blobs::parts_of_a_blob,
    blobs::metadata_and_headers_are_replaced,
    blobs::other_kinds_of_blobs,
    blobs::what_is_not_there,
    blobs::containers_come_and_go,
    blobs::what_tools_ask_first,
    blocks::a_list_commits_blocks,
    blocks::block_ids_and_lists_that_are_refused,
    blocks::blocks_of_a_newer_version,
    blocks::blocks_from_a_source,
    conditions::conditions_of_reads,
    conditions::conditions_of_writes,
    copies::whole_copies,
    copies::put_blob_from_url,
    copies::copies_in_the_services_own_time,
    copies::sources_that_refuse,
    copies::conditions_of_copies,
    leases::a_lease_keeps_others_away,
    leases::leases_end,
    listings::pages_in_the_order_of_names,
    listings::folders,
    listings::what_a_listing_tells,
    listings::uncommitted_blobs,
    listings::odd_names,
);
