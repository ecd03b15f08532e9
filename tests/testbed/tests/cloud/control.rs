//! The model as it is told and asked over HTTP.
#![expect(clippy::unwrap_used, reason = "stories of the model")]

use reqwest::Method;
use serde_json::{Value, json};
use testbed::storage::Storage;

use crate::support::World;

async fn control(world: &World, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = world.model.as_ref().unwrap().endpoint().join(&format!("_model/{path}")).unwrap();
    let response = world.http.request(method, url).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn all_that_a_process_of_its_own_needs() {
    let world = World::model().await;
    let key = "bWFkZSB1cA==";
    let ask = async |method: Method, path: &str, body: Value| {
        let (status, answer) = control(&world, method, path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    };
    ask(Method::POST, "accounts", json!({ "name": "north", "key": key })).await;
    let files = json!([
        { "prefix": "segments/", "count": 1000, "size": 65_536, "md5": true, "content_type": "video/mp4" },
        { "prefix": "movie.mp4", "count": 1, "size": 314_572_800 },
    ]);
    ask(Method::POST, "seed", json!({ "account": "north", "container": "asset", "files": files })).await;
    let endpoint = world.model.as_ref().unwrap().endpoint().join("north").unwrap();
    let north = Storage::new(endpoint, "north", key).unwrap();
    let listed = north.list("asset").await.unwrap().unwrap();
    assert_eq!(listed.len(), 1001);
    assert_eq!((listed[0].name.as_str(), listed[0].size), ("movie.mp4", 314_572_800));
    assert_eq!(listed[0].content_md5, None);
    assert_eq!((listed[1].name.as_str(), listed[1].size), ("segments/0000000", 65_536));
    assert_eq!(listed[1].content_type.as_deref(), Some("video/mp4"));
    assert!(listed[1].content_md5.is_some() && listed[1].content_md5 != listed[2].content_md5);

    ask(Method::PUT, "log", json!({ "requests": 2 })).await;
    ask(Method::DELETE, "counters", Value::Null).await;
    for name in ["a", "segments/0000001", "segments/0000002"] {
        north.head("asset", name).await.unwrap();
    }
    let counters = ask(Method::GET, "counters", Value::Null).await;
    assert_eq!(counters["answers"], json!({ "GetBlobProperties": { "200": 2, "404": 1 } }));
    assert_eq!(counters["in_flight"], 0);
    let log = ask(Method::GET, "log", Value::Null).await;
    let blobs: Vec<_> = log.as_array().unwrap().iter().map(|entry| entry["blob"].as_str().unwrap()).collect();
    assert_eq!(blobs, ["segments/0000001", "segments/0000002"], "the latest two");
    assert!(log[0]["started_milliseconds"].as_f64() <= log[0]["ended_milliseconds"].as_f64());

    let mut costs = ask(Method::GET, "costs", Value::Null).await;
    assert_eq!((costs["round_trip_milliseconds"].as_f64(), costs["copy_mib_per_second"].as_f64()), (Some(0.0), None));
    costs["lacks_put_blob_from_url"] = true.into();
    ask(Method::PUT, "costs", costs).await;
    assert!(world.model.as_ref().unwrap().costs().lacks_put_blob_from_url);
    ask(Method::PUT, "costs", json!({})).await;
    assert_eq!(world.model.as_ref().unwrap().costs(), testbed::cloud::Costs::default());

    let places = |left: &str, right: &str| json!({ "left": { "account": "north", "container": left }, "right": { "account": "north", "container": right } });
    let same = ask(Method::POST, "compare", places("asset", "asset")).await;
    assert_eq!((same["count"].as_u64(), same["left_bytes"].as_u64()), (Some(0), Some(314_572_800 + 65_536_000)));
    let (status, missing) = control(&world, Method::POST, "compare", places("asset", "none")).await;
    assert_eq!((status, missing["error"].as_str()), (404, Some("ContainerNotFound")));
}

#[tokio::test]
async fn what_it_does_not_understand() {
    let world = World::model().await;
    for (method, path, body, status) in [
        (Method::GET, "nothing", json!({}), 404),
        (Method::PUT, "costs", json!({ "round_trip": 1 }), 400),
        (Method::POST, "accounts", json!({ "name": "x", "key": "no base64!" }), 400),
        (Method::POST, "seed", json!({ "account": "none", "container": "c", "files": [] }), 404),
    ] {
        let (found, answer) = control(&world, method, path, body).await;
        assert_eq!(found, status, "{path}: {answer}");
        assert!(answer["error"].is_string());
    }
    // rules have their own stories; here they only arrive
    let rule = json!({ "account": "east", "container": "c", "name": "*", "damage": "flip_byte" });
    assert_eq!(control(&world, Method::POST, "corruptions", rule).await.0, 200);
    let rule = json!({ "account": "west", "container": "c", "name": "a", "after_copies": 3 });
    assert_eq!(control(&world, Method::POST, "overwrites", rule).await.0, 200);
    assert_eq!(control(&world, Method::DELETE, "rules", Value::Null).await.0, 200);
}
