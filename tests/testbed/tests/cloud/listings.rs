//! Lists of blobs.
#![expect(clippy::unwrap_used, reason = "stories that two services are told")]

use crate::support::World;

pub async fn pages_in_the_order_of_names(world: &World) {
    let place = world.container(&world.west).await;
    let names = ["B", "a/1", "a/10", "a/2", "a0", "b", "ä", "z"];
    for name in names {
        place.upload(name, "x").await;
    }
    let mut expected = names.to_vec();
    expected.sort_unstable();
    for size in [1, 3, 8, 5000] {
        let (mut found, mut marker, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = place.list().query("maxresults", &size.to_string()).query("marker", &marker).send().await;
            page.is(200, "");
            let page_names = page.texts("Name");
            assert!(page_names.len() <= size);
            found.extend(page_names);
            pages += 1;
            marker = page.texts("NextMarker").concat();
            if marker.is_empty() {
                break;
            }
        }
        assert_eq!(found, expected, "{size}");
        assert_eq!(pages, names.len().div_ceil(size), "{size}");
    }
    assert_eq!(place.list().query("prefix", "a").send().await.texts("Name"), ["a/1", "a/10", "a/2", "a0"]);
    let second = place.list().query("prefix", "a/").query("maxresults", "2").send().await;
    let marker = second.texts("NextMarker").concat();
    let second = place.list().query("prefix", "a/").query("marker", &marker).send().await;
    assert_eq!(second.texts("Name"), ["a/2"]);
    assert!(place.list().query("prefix", "c").send().await.texts("Name").is_empty());
    assert_eq!(place.list().query("maxresults", "0").send().await.status, 400);
}

pub async fn folders(world: &World) {
    let place = world.container(&world.west).await;
    for name in ["a", "a/1", "a/b/2", "a/b/3", "b/4", "c"] {
        place.upload(name, "x").await;
    }
    let list = async |prefix: &str, size: &str, marker: &str| {
        let call = place.list().query("prefix", prefix).query("delimiter", "/").query("maxresults", size);
        let page = if marker.is_empty() { call } else { call.query("marker", marker) }.send().await;
        page.is(200, "");
        let document = roxmltree::Document::parse(page.text()).unwrap();
        let mut found: Vec<String> = Vec::new();
        for node in document.descendants().filter(|node| node.has_tag_name("Name")) {
            let kind = if node.parent().unwrap().has_tag_name("BlobPrefix") { "folder " } else { "" };
            found.push(format!("{kind}{}", node.text().unwrap()));
        }
        found.sort_unstable();
        (found, page.texts("NextMarker").concat())
    };
    assert_eq!(list("", "100", "").await.0, ["a", "c", "folder a/", "folder b/"]);
    assert_eq!(list("a/", "100", "").await.0, ["a/1", "folder a/b/"]);
    if world.model.is_some() {
        // Azurite counts folders apart from blobs
        let (first, marker) = list("", "2", "").await;
        assert_eq!(first, ["a", "folder a/"]);
        assert_eq!(list("", "2", &marker).await, (vec!["c".to_owned(), "folder b/".to_owned()], String::new()));
    }
}

pub async fn what_a_listing_tells(world: &World) {
    let (west, east) = world.containers().await;
    let put = west.put("a").header("x-ms-blob-type", "BlockBlob").header("x-ms-blob-content-type", "video/mp4");
    let put = put.header("x-ms-blob-cache-control", "max-age=60").header("x-ms-meta-one", "a & <b>");
    put.body("0123456789").send().await.is(201, "");
    east.put("copy").header("x-ms-copy-source", west.url("a", "r").as_str()).send().await.is(202, "");
    let listed = east.list().query("include", "metadata,copy").send().await;
    let head = east.head("copy").send().await;
    let etag = head.header("etag").trim_matches('"').to_owned();
    for (element, value) in [
        ("Name", "copy"),
        ("Etag", &etag),
        ("Content-Length", "10"),
        ("Content-Type", "video/mp4"),
        ("Content-MD5", "eB5eJF1ptWaXm4bijSPyxw=="),
        ("Cache-Control", "max-age=60"),
        ("BlobType", "BlockBlob"),
        ("LeaseStatus", "unlocked"),
        ("Last-Modified", head.header("last-modified")),
        ("one", "a & <b>"),
        ("CopyId", head.header("x-ms-copy-id")),
        ("CopyStatus", "success"),
        ("CopyProgress", "10/10"),
    ] {
        assert_eq!(listed.texts(element), [value], "{element}");
    }
    let plain = east.list().send().await;
    assert!(plain.texts("one").is_empty());
    let why = "Azurite tells of copies also when nobody asks";
    assert_eq!(plain.texts("CopyStatus").len(), world.but_azurite(0, 1, why));
    let document = roxmltree::Document::parse(plain.text()).unwrap();
    assert_eq!(document.root_element().attribute("ContainerName"), Some(east.name.as_str()));
}

pub async fn uncommitted_blobs(world: &World) {
    let place = world.container(&world.west).await;
    place.upload("b", "x").await;
    for name in ["a", "b", "c"] {
        place.block(name, "YQ==").body("x").send().await.is(201, "");
    }
    assert_eq!(place.list().send().await.texts("Name"), ["b"]);
    let all = place.list().query("include", "metadata,uncommittedblobs").send().await;
    assert_eq!(all.texts("Name"), ["a", "b", "c"]);
    assert_eq!(all.texts("Content-Length"), ["0", "1", "0"]);
    let page = place.list().query("include", "uncommittedblobs").query("maxresults", "1").send().await;
    assert_eq!(page.texts("Name"), ["a"]);
}

pub async fn odd_names(world: &World) {
    let place = world.container(&world.west).await;
    let mut names = vec!["a b.mp4", "a+b.mp4", "ü&<é>\".mp4", "100%/x.mp4", "#?;,'.mp4", "[x]{y}.mp4"];
    for name in &names {
        place.upload(name, *name).await;
    }
    names.sort_unstable();
    let mut found = place.list().send().await.texts("Name");
    found.sort_unstable();
    assert_eq!(found, names);
    for name in names {
        assert_eq!(place.get(name).send().await.text(), name);
        let copy = format!("{name}.copy");
        place.copy(&copy, &place.url(name, "r")).send().await.is(202, "");
    }
    if world.model.is_some() {
        // Azurite writes such names into its XML as they are, and that is none then
        place.upload("\u{1}odd", "x").await;
        let listed = place.list().query("maxresults", "1").send().await;
        assert_eq!(listed.texts("Name"), ["%01odd"]);
        assert!(listed.text().contains("<Name Encoded=\"true\">"));
    }
}
