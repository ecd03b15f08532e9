//! Conditional reads and writes.

use reqwest::Method;

use crate::support::World;

const OTHER: &str = "\"0x8D0000000000000\"";
const LONG_AGO: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

pub async fn conditions_of_reads(world: &World) {
    let place = world.container(&world.west).await;
    let etag = place.upload("a", "x").await;
    let modified = place.head("a").send().await.header("last-modified").to_owned();
    for method in [Method::GET, Method::HEAD] {
        let read = async |name: &'static str, value: &str| {
            place.call(method.clone(), "a").header(name, value).send().await.status
        };
        assert_eq!(read("if-match", &etag).await, 200);
        assert_eq!(read("if-match", "*").await, 200);
        assert_eq!(read("if-match", OTHER).await, 412);
        assert_eq!(read("if-none-match", OTHER).await, 200);
        assert_eq!(read("if-none-match", &etag).await, 304);
        assert_eq!(read("if-modified-since", LONG_AGO).await, 200);
        assert_eq!(read("if-modified-since", &modified).await, 304);
        assert_eq!(read("if-unmodified-since", &modified).await, 200);
        assert_eq!(read("if-unmodified-since", LONG_AGO).await, 412);
    }
    place.get("a").header("if-match", OTHER).send().await.is(412, "ConditionNotMet");
}

pub async fn conditions_of_writes(world: &World) {
    let place = world.container(&world.west).await;
    let put = |name: &str| place.put(name).header("x-ms-blob-type", "BlockBlob").body("y");
    put("new").header("if-match", OTHER).send().await.is(412, "ConditionNotMet");
    put("new").header("if-none-match", "*").send().await.is(201, "");
    put("new").header("if-none-match", "*").send().await.is(409, "BlobAlreadyExists");
    let etag = place.upload("a", "x").await;
    put("a").header("if-match", OTHER).send().await.is(412, "ConditionNotMet");
    put("a").header("if-none-match", &etag).send().await.is(412, "ConditionNotMet");
    put("a").header("if-unmodified-since", LONG_AGO).send().await.is(412, "ConditionNotMet");
    let put = put("a").header("if-match", &etag).send().await;
    put.is(201, "");
    let metadata = |condition: &str| {
        let call = place.put("a").query("comp", "metadata").header("x-ms-meta-one", "1");
        call.header("if-match", condition)
    };
    metadata(&etag).send().await.is(412, "ConditionNotMet");
    let set = metadata(put.header("etag")).send().await;
    set.is(200, "");
    let commit = place.commit("a", &[]).header("if-match", &etag).send().await;
    commit.is(412, "ConditionNotMet");
    place.call(Method::DELETE, "a").header("if-match", &etag).send().await.is(412, "ConditionNotMet");
    place.call(Method::DELETE, "a").header("if-match", set.header("etag")).send().await.is(202, "");
}
