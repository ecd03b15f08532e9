//! Blobs and containers: written, read, looked at, deleted.
#![expect(clippy::unwrap_used, reason = "stories that two services are told")]

use reqwest::Method;

use crate::support::{Call, World};

/// Of `0123456789`.
const MD5: &str = "eB5eJF1ptWaXm4bijSPyxw==";

pub async fn a_blob_keeps_what_was_put(world: &World) {
    let place = world.container(&world.west).await;
    let put = || place.put("a/b c.mp4").header("x-ms-blob-type", "BlockBlob").body("0123456789");
    let full = put()
        .header("x-ms-blob-content-type", "video/mp4")
        .header("x-ms-blob-cache-control", "max-age=60")
        .header("x-ms-blob-content-language", "de")
        .header("x-ms-blob-content-encoding", "identity")
        .header("x-ms-blob-content-disposition", "inline")
        .header("x-ms-meta-origin", "west, really");
    let written = full.send().await;
    written.is(201, "");
    assert_eq!(written.header("content-md5"), MD5);
    let head = place.head("a/b c.mp4").send().await;
    let got = place.get("a/b c.mp4").send().await;
    for reply in [&head, &got] {
        reply.is(200, "");
        let expected = [
            ("content-length", "10"),
            ("content-type", "video/mp4"),
            ("content-md5", MD5),
            ("cache-control", "max-age=60"),
            ("content-language", "de"),
            ("content-encoding", "identity"),
            ("content-disposition", "inline"),
            ("x-ms-meta-origin", "west, really"),
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-lease-state", "available"),
            ("x-ms-lease-status", "unlocked"),
            ("accept-ranges", "bytes"),
        ];
        for (name, value) in expected {
            assert_eq!(reply.header(name), value, "{name}");
        }
        assert_eq!(reply.header("etag"), written.header("etag"));
        assert_eq!(reply.header("last-modified"), written.header("last-modified"));
        assert!(!reply.header("x-ms-request-id").is_empty() && !reply.header("date").is_empty());
        let why = "Azurite tells the version that it was built for";
        assert_eq!(reply.header("x-ms-version") == "2021-12-02", world.but_azurite(true, false, why));
    }
    assert_eq!(&got.body[..], b"0123456789");
    assert!(head.body.is_empty());

    let again = put().send().await;
    assert_ne!(again.header("etag"), written.header("etag"));
    let plain = place.head("a/b c.mp4").send().await;
    assert_eq!(plain.header("content-type"), "application/octet-stream");
    assert_eq!((plain.header("cache-control"), plain.header("x-ms-meta-origin")), ("", ""));

    put().header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==").send().await.is(400, "Md5Mismatch");
    let untyped = place.put("x").body("x").send().await;
    assert_eq!(untyped.status, 400);
    place.call(Method::DELETE, "a/b c.mp4").send().await.is(202, "");
    place.head("a/b c.mp4").send().await.is(404, "BlobNotFound");
}

pub async fn parts_of_a_blob(world: &World) {
    let place = world.container(&world.west).await;
    place.upload("digits", "0123456789").await;
    for (header, range, bytes, told) in [
        ("x-ms-range", "bytes=2-4", "234", "bytes 2-4/10"),
        ("range", "bytes=7-", "789", "bytes 7-9/10"),
        ("range", "bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        let part = place.get("digits").header(header, range).send().await;
        part.is(206, "");
        assert_eq!((part.text(), part.header("content-range")), (bytes, told));
        assert_eq!(part.header("x-ms-blob-content-md5"), MD5);
        assert_eq!(part.header("content-md5"), "");
    }
    let both = place.get("digits").header("range", "bytes=0-0").header("x-ms-range", "bytes=9-9").send().await;
    assert_eq!(both.text(), "9");
    let behind = place.get("digits").header("x-ms-range", "bytes=10-12").send().await;
    let why = "Azurite lets a range begin just behind the end";
    behind.is(world.but_azurite(416, 206, why), world.but_azurite("InvalidRange", "", why));
    place.get("digits").header("x-ms-range", "bytes=11-12").send().await.is(416, "InvalidRange");
    let hashed = place.get("digits").header("x-ms-range", "bytes=0-9").header("x-ms-range-get-content-md5", "true");
    assert_eq!(hashed.send().await.header("content-md5"), MD5);
    place.upload("empty", "").await;
    place.get("empty").send().await.is(200, "");
    let behind = place.get("empty").header("x-ms-range", "bytes=0-").send().await;
    behind.is(world.but_azurite(416, 206, why), world.but_azurite("InvalidRange", "", why));
}

pub async fn metadata_and_headers_are_replaced(world: &World) {
    let place = world.container(&world.west).await;
    let first = place.upload("a", "0123456789").await;
    let set = place.put("a").query("comp", "metadata").header("x-ms-meta-one", "1").header("x-ms-meta-two", "2");
    let set = set.send().await;
    set.is(200, "");
    assert_ne!(set.header("etag"), first);
    place.put("a").query("comp", "metadata").header("x-ms-meta-two", "3").send().await.is(200, "");
    let head = place.head("a").send().await;
    assert_eq!((head.header("x-ms-meta-one"), head.header("x-ms-meta-two")), ("", "3"));
    assert_eq!(head.header("content-type"), "video/mp4");
    let set = place.put("a").query("comp", "properties").header("x-ms-blob-cache-control", "no-store").send().await;
    set.is(200, "");
    let head = place.head("a").send().await;
    assert_eq!(head.header("cache-control"), "no-store");
    assert_eq!(head.header("etag"), set.header("etag"));
    assert_eq!(head.header("x-ms-meta-two"), "3");
    assert_eq!(head.header("content-md5"), "", "what is not given is cleared");
}

pub async fn other_kinds_of_blobs(world: &World) {
    let (west, east) = world.containers().await;
    let append = west.put("append").header("x-ms-blob-type", "AppendBlob").send().await;
    append.is(201, "");
    for (body, offset) in [("0123", "0"), ("4567", "4")] {
        let appended = west.put("append").query("comp", "appendblock").body(body).send().await;
        appended.is(201, "");
        assert_eq!(appended.header("x-ms-blob-append-offset"), offset);
    }
    let page = west.put("page").header("x-ms-blob-type", "PageBlob").header("x-ms-blob-content-length", "1024");
    page.send().await.is(201, "");
    let write = west.put("page").query("comp", "page").header("x-ms-page-write", "update");
    write.header("x-ms-range", "bytes=512-1023").body(vec![7; 512]).send().await.is(201, "");
    assert_eq!(west.get("append").send().await.text(), "01234567");
    let page = west.get("page").send().await;
    assert_eq!((page.body[511], page.body[512], page.body.len()), (0, 7, 1024));
    assert_eq!(west.list().send().await.texts("BlobType"), ["AppendBlob", "PageBlob"]);
    west.put("append")
        .query("comp", "page")
        .header("x-ms-page-write", "update")
        .header("x-ms-range", "bytes=0-511")
        .body(vec![7; 512])
        .send()
        .await
        .is(409, "InvalidBlobType");
    let odd = west.put("odd").header("x-ms-blob-type", "PageBlob").header("x-ms-blob-content-length", "100");
    assert_eq!(odd.send().await.status, 400);
    east.put("copy").header("x-ms-copy-source", west.url("append", "r").as_str()).send().await.is(202, "");
    let copy = east.get("copy").send().await;
    assert_eq!((copy.text(), copy.header("x-ms-blob-type")), ("01234567", "AppendBlob"));
}

pub async fn what_is_not_there(world: &World) {
    let place = world.container(&world.west).await;
    place.get("x").send().await.is(404, "BlobNotFound");
    place.head("x").send().await.is(404, "BlobNotFound");
    place.call(Method::DELETE, "x").send().await.is(404, "BlobNotFound");
    place.put("x").query("comp", "metadata").send().await.is(404, "BlobNotFound");
    place.get("x").query("comp", "blocklist").send().await.is(404, "BlobNotFound");
    world.west.delete_container(&place.name).await.unwrap();
    place.get("x").send().await.is(404, "ContainerNotFound");
    place.list().send().await.is(404, "ContainerNotFound");
    place.put("x").header("x-ms-blob-type", "BlockBlob").send().await.is(404, "ContainerNotFound");
    place.block("x", "YQ==").body("x").send().await.is(404, "ContainerNotFound");
    let xml = place.get("x").send().await;
    assert_eq!(xml.texts("Code"), ["ContainerNotFound"]);
    assert_eq!(xml.header("content-type"), "application/xml");
}

pub async fn containers_come_and_go(world: &World) {
    let place = world.container(&world.west).await;
    // a second time is no error of the client's
    world.west.create_container(&place.name).await.unwrap();
    assert!(world.west.list_containers().await.unwrap().contains(&place.name));
    let sas = account_sas(world, "rwdlc", "sco");
    let container = |method| {
        let mut url = world.west.blob_url(&place.name, "", None);
        url.set_query(Some(&sas));
        Call::new(&world.http, method, url).query("restype", "container")
    };
    container(Method::PUT).send().await.is(409, "ContainerAlreadyExists");
    let head = container(Method::HEAD).send().await;
    head.is(200, "");
    assert!(!head.header("etag").is_empty() && !head.header("last-modified").is_empty());
    container(Method::DELETE).send().await.is(202, "");
    container(Method::HEAD).send().await.is(404, "ContainerNotFound");
    container(Method::DELETE).send().await.is(404, "ContainerNotFound");
    assert!(!world.west.list_containers().await.unwrap().contains(&place.name));
}

pub async fn what_tools_ask_first(world: &World) {
    let sas = account_sas(world, "rl", "sco");
    let account = |path: &str| {
        let mut url = world.west.blob_url(path, "", None);
        url.set_path(&format!("/west/{path}"));
        url.set_query(Some(&sas));
        Call::new(&world.http, Method::GET, url)
    };
    let information = account("").query("restype", "account").query("comp", "properties").send().await;
    information.is(200, "");
    assert!(!information.header("x-ms-sku-name").is_empty() && !information.header("x-ms-account-kind").is_empty());
    let properties = account("").query("restype", "service").query("comp", "properties").send().await;
    properties.is(200, "");
    assert_eq!(properties.texts("StorageServiceProperties").len(), 1);
    let containers = account("").query("comp", "list").query("prefix", "no-such-").send().await;
    containers.is(200, "");
    assert!(containers.texts("Name").is_empty());
}

/// A SAS of west's account for blobs.
pub fn account_sas(world: &World, permissions: &str, kinds: &str) -> String {
    crate::auth::account_sas(&world.west, permissions, kinds)
}
