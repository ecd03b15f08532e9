//! Answers as the service and its gateways may write them, byte for byte: dates in every form, both flavours, pages and links.

use stream_replicator::media_service::ams_v2::AmsV2;
use time::OffsetDateTime;
use time::macros::datetime;

use super::world::{WEST, World};
use crate::blob_store::scripted::{Answer, Scripted};

const LOCATOR: &str = "nb:lid:UUID:0b6d2f10-7a1e-4c55-9a3e-5d1f0c8e7a21";
const ASSET: &str = "nb:cid:UUID:77f2c6b8-90d3-4a1b-8c55-2f7f0e6d1c09";

/// A media service that answers by script, behind the emulator's token door.
async fn scripted(world: &World, bodies: &[String]) -> anyhow::Result<(AmsV2, Scripted)> {
    let answers = bodies.iter().map(|body| Answer::new(200).body(body)).collect();
    let scripted = Scripted::start(answers).await?;
    let api_url = format!("http://{}/api/", scripted.address()).parse().map(Some)?;
    Ok((world.client_with(WEST, |media| media.api_url = api_url)?, scripted))
}

fn locator(start: &str, expires: &str) -> String {
    format!(
        r#"{{"Id":"{LOCATOR}","ExpirationDateTime":{expires},"Type":2,"Path":"http://h/x/","BaseUri":"http://h",
        "ContentAccessComponent":"x","AccessPolicyId":"nb:pid:UUID:1","AssetId":"{ASSET}","StartTime":{start},"Name":null}}"#
    )
}

fn verbose(rows: &str) -> String {
    format!(r#"{{"d":{{"results":[{rows}]}}}}"#)
}

#[tokio::test]
async fn dates_are_read_in_every_form_that_the_service_writes() {
    let world = World::start().await.unwrap();
    let whole = datetime!(2017-06-01 12:00:00 UTC);
    let milliseconds = whole + time::Duration::milliseconds(603);
    let forms: [(&str, OffsetDateTime); 11] = [
        (r#""\/Date(1496318400000)\/""#, whole),
        (r#""/Date(1496318400603)/""#, milliseconds),
        (r#""\/Date(1496318400000+0000)\/""#, whole),
        (r#""2017-06-01T12:00:00""#, whole),
        (r#""2017-06-01T12:00:00.6""#, whole + time::Duration::milliseconds(600)),
        (r#""2017-06-01T12:00:00.603""#, milliseconds),
        (r#""2017-06-01T12:00:00Z""#, whole),
        (r#""2017-06-01T12:00:00.6030000Z""#, milliseconds),
        (r#""2017-06-01T14:00:00+02:00""#, whole),
        (r#""9999-12-31T23:59:59.9999999""#, datetime!(9999-12-31 23:59:59.9999999 UTC)),
        (r#""\/Date(253402300799999)\/""#, datetime!(9999-12-31 23:59:59.999 UTC)),
    ];
    for (form, expected) in forms {
        let (client, _) = scripted(&world, &[verbose(&locator(form, form))]).await.unwrap();
        let read = client.list_locators(ASSET).await.unwrap();
        assert_eq!((read[0].start, read[0].expires), (Some(expected), expected), "{form}");
    }
    for unset in ["null", r#""0001-01-01T00:00:00""#, r#""\/Date(-62135596800000)\/""#] {
        let (client, _) = scripted(&world, &[verbose(&locator(unset, r#""2017-06-01T12:00:00""#))]).await.unwrap();
        assert_eq!(client.list_locators(ASSET).await.unwrap()[0].start, None, "{unset}");
    }
}

#[tokio::test]
async fn both_flavours_are_read_with_numbers_and_booleans_as_text() {
    let world = World::start().await.unwrap();
    let row = |size: &str, flag: &str| {
        format!(
            r#"{{"Id":"f","Name":"clip.ism","ContentFileSize":{size},"IsPrimary":{flag},"IsEncrypted":false,"MimeType":""}}"#
        )
    };
    for body in [
        verbose(&row(r#""2311""#, r#""true""#)),
        format!(r#"{{"d":[{}]}}"#, row("2311", "true")),
        format!(r#"{{"odata.metadata":"m","value":[{}]}}"#, row(r#""2311""#, "true")),
        format!("\u{20}\r\n{}\r\n", verbose(&row("2311", "true"))),
    ] {
        let (client, _) = scripted(&world, std::slice::from_ref(&body)).await.unwrap();
        let files = client.list_files(ASSET).await.unwrap_or_else(|failure| panic!("{failure}: {body}"));
        assert_eq!((files.len(), files[0].size_bytes, files[0].is_primary), (1, 2311, true), "{body}");
        assert_eq!(files[0].mime_type, None);
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_transient_and_never_taken_for_an_empty_one() {
    let world = World::start().await.unwrap();
    for garbage in
        ["", "<html>200</html>", "{}", r#"{"d":{}}"#, r#"{"d":{"results":[{"Name":1}]}}"#, r#"{"d":{"results":["#]
    {
        let (client, _) = scripted(&world, &[garbage.to_owned()]).await.unwrap();
        let failure = client.list_files(ASSET).await.unwrap_err();
        assert_eq!((failure.kind.name(), failure.code), ("transient", "unreadable-answer"), "{garbage}");
    }
}

#[tokio::test]
async fn a_next_link_is_followed_below_the_root_only() {
    let world = World::start().await.unwrap();
    let row = |id: usize| format!(r#"{{"Id":"f{id}","Name":"{id}.mp4","ContentFileSize":"1"}}"#);
    let page = |id: usize, next: &str| format!(r#"{{"d":{{"results":[{}],"__next":"{next}"}}}}"#, row(id));
    let bodies = [page(1, "Files?$skiptoken=a"), page(2, "Files?$skiptoken=b"), verbose(&row(3))];
    let (client, service) = scripted(&world, &bodies).await.unwrap();
    let names: Vec<_> = client.list_files(ASSET).await.unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(names, ["1.mp4", "2.mp4", "3.mp4"]);
    let seen = service.seen();
    assert!(seen[1].contains("$skiptoken=a") && seen[2].contains("$skiptoken=b"), "{seen:#?}");

    let (client, service) = scripted(&world, &[page(1, "http://127.0.0.1:1/api/Files")]).await.unwrap();
    let failure = client.list_files(ASSET).await.unwrap_err();
    assert_eq!((failure.kind.name(), failure.code), ("permanent", "redirect-refused"));
    assert_eq!(service.seen().len(), 1, "our token went elsewhere");
}
