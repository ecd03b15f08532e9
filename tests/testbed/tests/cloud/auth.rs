//! Who may do what.
#![expect(clippy::unwrap_used, reason = "stories that two services are told")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use sha2::Sha256;
use testbed::storage::{PutOptions, Storage, StoredPolicy};
use time::Duration;

use crate::support::{Call, Reply, World, in_an_hour};

const EXPIRY: &str = "2099-01-01T00:00:00Z";

fn sign(storage: &Storage, text: &str) -> String {
    let key = BASE64.decode(storage.key_base64()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(text.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}

/// An account SAS for blobs ("Create an account SAS", version 2020-12-06 and later).
pub fn account_sas(storage: &Storage, permissions: &str, kinds: &str) -> String {
    let account = storage.account();
    let signature = sign(storage, &format!("{account}\n{permissions}\nb\n{kinds}\n\n{EXPIRY}\n\n\n2021-12-02\n\n"));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let pairs = [("sv", "2021-12-02"), ("ss", "b"), ("srt", kinds), ("sp", permissions), ("se", EXPIRY)];
    query.extend_pairs(pairs).append_pair("sig", &signature).finish()
}

/// A service SAS for one blob.
fn blob_sas(storage: &Storage, container: &str, blob: &str, permissions: &str) -> String {
    let place = format!("/blob/{}/{container}/{blob}", storage.account());
    let text = format!("{permissions}\n\n{EXPIRY}\n{place}\n\n\n\n2021-12-02\nb\n\n\n\n\n\n\n");
    let signature = sign(storage, &text);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let pairs = [("sv", "2021-12-02"), ("sr", "b"), ("sp", permissions), ("se", EXPIRY)];
    query.extend_pairs(pairs).append_pair("sig", &signature).finish()
}

pub async fn signatures_open_what_they_say(world: &World) {
    let place = world.container(&world.west).await;
    place.upload("a b/ü.mp4", "x").await;
    let call = async |method: Method, blob: &str, sas: Option<&str>| -> Reply {
        let call = Call::new(&world.http, method, world.west.blob_url(&place.name, blob, sas));
        call.header("x-ms-blob-type", "BlockBlob").send().await
    };
    let name = "a b/ü.mp4";
    let none = call(Method::GET, name, None).await;
    let why = "the service has had no public access by default since 2023, and asks for credentials";
    none.is(
        world.but_azurite(401, 403, why),
        world.but_azurite("NoAuthenticationInformation", "AuthorizationFailure", why),
    );
    let container = |permissions: &str| world.west.container_sas(&place.name, permissions, in_an_hour());
    call(Method::GET, name, Some(&container("r"))).await.is(200, "");
    call(Method::GET, name, Some(&container("l"))).await.is(403, "AuthorizationPermissionMismatch");
    call(Method::PUT, name, Some(&container("rl"))).await.is(403, "AuthorizationPermissionMismatch");
    call(Method::PUT, "new", Some(&container("c"))).await.is(201, "");
    let overwrite = call(Method::PUT, "new", Some(&container("c"))).await;
    assert_eq!((overwrite.status, overwrite.code().is_empty()), (403, false), "c is for what is not there yet");
    call(Method::DELETE, "new", Some(&container("rwl"))).await.is(403, "AuthorizationPermissionMismatch");
    let failed = world.but_azurite(
        "AuthenticationFailed",
        "AuthorizationFailure",
        "Azurite has its own code for bad signatures",
    );
    let expired = world.west.container_sas(&place.name, "r", in_an_hour() - Duration::hours(2));
    let refusal = call(Method::GET, name, Some(&expired)).await;
    refusal.is(403, failed);
    let forged = container("r").replace("sp=r", "sp=rw");
    call(Method::GET, name, Some(&forged)).await.is(403, failed);
    let elsewhere = world.west.container_sas("another", "r", in_an_hour());
    call(Method::GET, name, Some(&elsewhere)).await.is(403, failed);

    let one = blob_sas(&world.west, &place.name, name, "r");
    call(Method::GET, name, Some(&one)).await.is(200, "");
    call(Method::GET, "new", Some(&one)).await.is(403, failed);
    let list = Call::new(&world.http, Method::GET, world.west.blob_url(&place.name, "", Some(&container("l"))));
    list.query("restype", "container").query("comp", "list").send().await.is(200, "");
}

pub async fn the_key_opens_everything(world: &World) {
    let place = world.container(&world.west).await;
    let name = "a b/ü+(1)&=#.mp4";
    world.west.put(&place.name, name, "0123456789", PutOptions::default()).await.unwrap();
    assert_eq!(world.west.head(&place.name, name).await.unwrap().unwrap().size, 10);
    let part = world.west.get(&place.name, name, Some((3, 5))).await.unwrap().unwrap();
    assert_eq!((&part.bytes[..], part.total_size), (&b"345"[..], 10));
    assert_eq!(world.west.list(&place.name).await.unwrap().unwrap().len(), 1);
    let (_, key) = testbed::process::ACCOUNTS[1];
    let wrong = Storage::new(world.west.endpoint().clone(), "west", key).unwrap();
    let refusal = wrong.head(&place.name, name).await.unwrap_err().to_string();
    assert!(refusal.contains("403"), "{refusal}");
}

pub async fn stored_policies_come_and_go(world: &World) {
    let place = world.container(&world.west).await;
    place.upload("a", "x").await;
    let sas = world.west.container_sas_by_policy(&place.name, "nb:lid:UUID:1 & <2>");
    let get = async || {
        let url = world.west.blob_url(&place.name, "a", Some(&sas));
        Call::new(&world.http, Method::GET, url).send().await.status
    };
    assert_eq!(get().await, 403);
    let policy =
        StoredPolicy { id: "nb:lid:UUID:1 & <2>".into(), permissions: "rl".into(), start: None, expiry: in_an_hour() };
    world.west.set_stored_policies(&place.name, std::slice::from_ref(&policy)).await.unwrap();
    assert_eq!(get().await, 200);
    let later = StoredPolicy { start: Some(in_an_hour()), ..policy.clone() };
    world.west.set_stored_policies(&place.name, &[later]).await.unwrap();
    assert_eq!(get().await, 403);
    let write_only = StoredPolicy { permissions: "w".into(), ..policy };
    world.west.set_stored_policies(&place.name, &[write_only]).await.unwrap();
    assert_eq!(get().await, 403);
    world.west.set_stored_policies(&place.name, &[]).await.unwrap();
    assert_eq!(get().await, 403);
}

pub async fn account_signatures(world: &World) {
    let place = world.container(&world.west).await;
    place.upload("a", "x").await;
    let get = async |sas: &str| {
        let url = world.west.blob_url(&place.name, "a", Some(sas));
        Call::new(&world.http, Method::GET, url).send().await
    };
    get(&account_sas(&world.west, "rl", "sco")).await.is(200, "");
    get(&account_sas(&world.west, "l", "sco")).await.is(403, "AuthorizationPermissionMismatch");
    get(&account_sas(&world.west, "rl", "sc")).await.is(403, "AuthorizationResourceTypeMismatch");
    let failed = world.but_azurite(
        "AuthenticationFailed",
        "AuthorizationFailure",
        "Azurite has its own code for bad signatures",
    );
    let forged = account_sas(&world.west, "l", "sco").replace("sp=l", "sp=rl");
    get(&forged).await.is(403, failed);
}
