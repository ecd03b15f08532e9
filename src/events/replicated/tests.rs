//! The event, whole, as subscribers get it.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::*;
use crate::model::{ComparedBytes, Content, CopyCount, LocatorId, ManifestProof, Protocol, StreamingUrls};

/// A replica, all of it told.
pub(in crate::events) fn replicated() -> Replicated {
    let at = |text| times::parse(text).unwrap();
    let site = |name: &str, url: &str| PublishedSite {
        name: name.parse().unwrap(),
        kind: "ams-v2",
        region: Some(format!("{name}europe")),
        base_url: Url::parse(url).unwrap(),
    };
    let (source, replica) = (site("west", "https://w.example/"), site("east", "http://127.0.0.1:8080/base/"));
    let locator_id = LocatorId::parse("0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21").unwrap();
    let urls = StreamingUrls::build(&source.base_url, &replica.base_url, locator_id, "movie.ism").unwrap();
    let proof =
        ManifestProof { site: replica.name.clone(), protocol: Protocol::Hls, status: 200, sha256: "cd".repeat(32) };
    Replicated {
        asset_id: "nb:cid:UUID:6f1c".into(),
        asset_name: "movie".into(),
        replica_asset_id: "nb:cid:UUID:77f2".into(),
        location: None,
        locator_id: Some(locator_id),
        source,
        replica,
        urls,
        content: Content { files: 12, bytes: 48_211_034, digest: "ab".repeat(32), generation: None },
        protection: Protection::default(),
        verification: Verification {
            manifests: vec![proof],
            bytes: ComparedBytes::Sample,
            checked: 9,
            same_cors: Some(true),
            ..Verification::default()
        },
        valid_from: Some(at("2026-11-20T10:00:00Z")),
        valid_until: Some(at("2027-01-19T00:00:00Z")),
        copy: CopyCount {
            copied_files: 12,
            skipped_files: 0,
            copied_bytes: 48_211_034,
            duration: Duration::from_millis(3200),
            compared: None,
            checked: None,
        },
        timing: Timing {
            finished_at: Some(at("2026-11-20T11:15:29.9+01:00")),
            received_at: at("2026-11-20T10:15:30Z"),
            copied_at: at("2026-11-20T10:15:34Z"),
            published_at: at("2026-11-20T10:15:35Z"),
            verified_at: at("2026-11-20T10:15:36Z"),
        },
        attempts: 1,
        correlation: BTreeMap::from([("cmsId".to_owned(), "4711".to_owned())]),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    }
}

#[test]
fn the_same_content_has_the_same_id_whenever_and_however_often_it_is_replicated() {
    let now = times::parse("2026-11-20T10:15:36.3Z").unwrap();
    let first = encode_replicated(&replicated(), "/probe", now);
    let mut again = Replicated { attempts: 7, replica_asset_id: "other".into(), ..replicated() };
    assert_eq!(encode_replicated(&again, "/other", now + Duration::from_secs(9)).id, first.id);
    again.content.digest = "other".into();
    assert_ne!(encode_replicated(&again, "/probe", now).id, first.id);
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of it is the snapshot")]
fn the_event_is_as_its_contract_says() {
    let event = encode_replicated(&replicated(), "/probe", times::parse("2026-11-20T10:15:36.3Z").unwrap());
    assert_eq!(event.routing_key, "media.asset.replicated.west.east");
    let json: Value = serde_json::from_slice(&event.body).unwrap();
    insta::assert_snapshot!(format!("{json:#}"), @r#"
{
  "specversion": "1.0",
  "id": "5f1e31c1-ddc2-5ccb-9da1-66ef267bc5e0",
  "source": "/stream-replicator/west/east",
  "type": "media.asset.replicated.v1",
  "subject": "nb:cid:UUID:6f1c",
  "time": "2026-11-20T10:15:36.300Z",
  "datacontenttype": "application/json",
  "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "data": {
    "asset": {
      "id": "nb:cid:UUID:6f1c",
      "name": "movie",
      "replicaId": "nb:cid:UUID:77f2"
    },
    "locatorId": "0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21",
    "relativePath": "/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest",
    "pathPrefix": "/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/",
    "sites": [
      {
        "name": "west",
        "role": "source",
        "priority": 1,
        "kind": "ams-v2",
        "region": "westeurope",
        "scheme": "https",
        "host": "w.example",
        "port": 443,
        "basePath": "",
        "hostHeader": "w.example"
      },
      {
        "name": "east",
        "role": "replica",
        "priority": 2,
        "kind": "ams-v2",
        "region": "easteurope",
        "scheme": "http",
        "host": "127.0.0.1",
        "port": 8080,
        "basePath": "/base",
        "hostHeader": "127.0.0.1:8080"
      }
    ],
    "urls": [
      {
        "protocol": "smooth",
        "path": "/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest",
        "source": "https://w.example/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest",
        "replica": "http://127.0.0.1:8080/base/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest"
      },
      {
        "protocol": "hls",
        "path": "/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest(format=m3u8-aapl)",
        "source": "https://w.example/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest(format=m3u8-aapl)",
        "replica": "http://127.0.0.1:8080/base/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest(format=m3u8-aapl)"
      },
      {
        "protocol": "dash",
        "path": "/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest(format=mpd-time-csf)",
        "source": "https://w.example/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest(format=mpd-time-csf)",
        "replica": "http://127.0.0.1:8080/base/0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21/movie.ism/manifest(format=mpd-time-csf)"
      }
    ],
    "probe": {
      "path": "/probe",
      "method": "GET",
      "expectedStatus": 200,
      "intervalSeconds": 10
    },
    "cache": {
      "segmentsImmutable": true,
      "manifestMaxAgeSeconds": 5,
      "purge": []
    },
    "protection": {
      "kind": "clear",
      "keyIds": [],
      "licenseHosts": []
    },
    "content": {
      "files": 12,
      "bytes": 48211034,
      "digest": "abababababababababababababababababababababababababababababababab",
      "generation": null
    },
    "verification": {
      "level": "playback",
      "bytes": "sample",
      "segments": "sample",
      "checked": 9,
      "sameCors": true,
      "sameStorageCors": null,
      "at": "2026-11-20T10:15:36.000Z",
      "manifests": [
        {
          "site": "east",
          "protocol": "hls",
          "status": 200,
          "sha256": "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
        }
      ]
    },
    "validity": {
      "from": "2026-11-20T10:00:00.000Z",
      "until": "2027-01-19T00:00:00.000Z"
    },
    "copy": {
      "copiedFiles": 12,
      "skippedFiles": 0,
      "copiedBytes": 48211034,
      "seconds": 3.2
    },
    "timing": {
      "finishedAt": "2026-11-20T10:15:29.900Z",
      "receivedAt": "2026-11-20T10:15:30.000Z",
      "copiedAt": "2026-11-20T10:15:34.000Z",
      "publishedAt": "2026-11-20T10:15:35.000Z",
      "verifiedAt": "2026-11-20T10:15:36.000Z",
      "lagSeconds": 6.4
    },
    "attempts": 1,
    "correlation": {
      "cmsId": "4711"
    }
  }
}
"#);
}
