//! Leases.

use reqwest::Method;

use crate::support::{Call, World};

const MINE: &str = "7f1f0f6e-0000-4000-8000-000000000001";
const OTHERS: &str = "7f1f0f6e-0000-4000-8000-000000000002";

fn lease(call: Call, action: &str) -> Call {
    call.query("comp", "lease").header("x-ms-lease-action", action)
}

pub async fn a_lease_keeps_others_away(world: &World) {
    let place = world.container(&world.west).await;
    let etag = place.upload("a", "x").await;
    let acquire = |id: &str| {
        lease(place.put("a"), "acquire").header("x-ms-lease-duration", "60").header("x-ms-proposed-lease-id", id)
    };
    let acquired = acquire(MINE).send().await;
    acquired.is(201, "");
    assert_eq!((acquired.header("x-ms-lease-id"), acquired.header("etag")), (MINE, etag.as_str()));
    acquire(OTHERS).send().await.is(409, "LeaseAlreadyPresent");
    acquire(MINE).send().await.is(201, "");
    let head = place.head("a").send().await;
    assert_eq!((head.header("x-ms-lease-state"), head.header("x-ms-lease-status")), ("leased", "locked"));
    assert_eq!(place.list().send().await.texts("LeaseState"), ["leased"]);

    let writes = || {
        [
            place.put("a").header("x-ms-blob-type", "BlockBlob").body("y"),
            place.put("a").query("comp", "metadata").header("x-ms-meta-one", "1"),
            place.block("a", "YQ==").body("z"),
            place.copy("a", &place.url("a", "r")),
            place.call(Method::DELETE, "a"),
        ]
    };
    for write in writes() {
        write.send().await.is(412, "LeaseIdMissing");
    }
    for write in writes() {
        let refused = write.header("x-ms-lease-id", OTHERS).send().await;
        refused.is(412, "LeaseIdMismatchWithBlobOperation");
    }
    place.get("a").send().await.is(200, "");
    place.get("a").header("x-ms-lease-id", MINE).send().await.is(200, "");
    place.get("a").header("x-ms-lease-id", OTHERS).send().await.is(412, "LeaseIdMismatchWithBlobOperation");
    let [put, ..] = writes();
    put.header("x-ms-lease-id", MINE).send().await.is(201, "");
    assert_eq!(place.head("a").send().await.header("x-ms-lease-state"), "leased", "it outlives a write");
}

pub async fn leases_end(world: &World) {
    let place = world.container(&world.west).await;
    place.upload("a", "x").await;
    let with = |action: &str, id: &str| lease(place.put("a"), action).header("x-ms-lease-id", id);
    with("renew", MINE).send().await.is(409, "LeaseIdMismatchWithLeaseOperation");
    lease(place.put("a"), "break").send().await.is(409, "LeaseNotPresentWithLeaseOperation");
    let acquire = lease(place.put("a"), "acquire").header("x-ms-lease-duration", "5").send().await;
    assert_eq!(acquire.status, 400, "15 to 60 seconds");
    let acquire = lease(place.put("a"), "acquire").header("x-ms-lease-duration", "15").send().await;
    acquire.is(201, "");
    let id = acquire.header("x-ms-lease-id").to_owned();
    with("renew", OTHERS).send().await.is(409, "LeaseIdMismatchWithLeaseOperation");
    with("renew", &id).send().await.is(200, "");
    with("change", &id).header("x-ms-proposed-lease-id", MINE).send().await.is(200, "");
    with("release", &id).send().await.is(409, "LeaseIdMismatchWithLeaseOperation");
    with("release", MINE).send().await.is(200, "");
    assert_eq!(place.head("a").send().await.header("x-ms-lease-state"), "available");
    place
        .put("a")
        .header("x-ms-lease-id", MINE)
        .header("x-ms-blob-type", "BlockBlob")
        .send()
        .await
        .is(412, NOT_PRESENT);

    lease(place.put("a"), "acquire").header("x-ms-lease-duration", "-1").send().await.is(201, "");
    let broken = lease(place.put("a"), "break").header("x-ms-lease-break-period", "0").send().await;
    broken.is(202, "");
    assert_eq!(broken.header("x-ms-lease-time"), "0");
    let head = place.head("a").send().await;
    assert_eq!((head.header("x-ms-lease-state"), head.header("x-ms-lease-status")), ("broken", "unlocked"));
    place.upload("a", "y").await;
    let slow = lease(place.put("a"), "acquire").header("x-ms-lease-duration", "60").send().await;
    slow.is(201, "");
    lease(place.put("a"), "break").header("x-ms-lease-break-period", "30").send().await.is(202, "");
    assert_eq!(place.head("a").send().await.header("x-ms-lease-state"), "breaking");
    let renew = with("renew", slow.header("x-ms-lease-id")).send().await;
    renew.is(409, "LeaseIsBrokenAndCannotBeRenewed");
    let acquire = lease(place.put("a"), "acquire").header("x-ms-lease-duration", "60").send().await;
    assert_eq!(acquire.status, 409);
    lease(place.put("gone"), "acquire").header("x-ms-lease-duration", "60").send().await.is(404, "BlobNotFound");
}

const NOT_PRESENT: &str = "LeaseNotPresentWithBlobOperation";
