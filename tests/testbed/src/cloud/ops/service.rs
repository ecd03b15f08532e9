//! What tools ask an account before they begin: its containers, its kind, its settings.

use super::Request;
use crate::cloud::answer::Answer;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::xml;

const MAX_RESULTS: usize = 5000;

/// List Containers.
pub(super) fn list_containers(request: &Request<'_>) -> Result<Answer, Refusal> {
    let query = &request.call.query;
    let (prefix, marker) = (query.get("prefix"), query.get("marker"));
    let with_metadata = query.get("include").split(',').any(|one| one == "metadata");
    let limit = match query.get("maxresults") {
        "" => MAX_RESULTS,
        text => text.parse().map_err(|_| Refusal::invalid_query("maxresults"))?,
    };
    if limit == 0 {
        return Err(Refusal::out_of_range_query("maxresults"));
    }
    let mut body =
        String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"");
    body.push_str(&request.call.endpoint());
    body.push_str("\">");
    for (name, value) in [("Prefix", prefix), ("Marker", marker), ("MaxResults", query.get("maxresults"))] {
        if !value.is_empty() {
            xml::element(&mut body, name, value);
        }
    }
    body.push_str("<Containers>");
    let containers = request.account.containers();
    let mut found = containers.iter().filter(|(name, _)| name.starts_with(prefix) && name.as_str() >= marker);
    for (name, container) in found.by_ref().take(limit.min(MAX_RESULTS)) {
        body.push_str("<Container>");
        xml::element(&mut body, "Name", name);
        body.push_str("<Properties>");
        xml::element(&mut body, "Last-Modified", &http_date(container.stamp.modified));
        xml::element(&mut body, "Etag", &container.stamp.etag.quoted());
        body.push_str(
            "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
             <HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>",
        );
        if with_metadata {
            body.push_str("<Metadata>");
            for (name, value) in container.metadata.iter() {
                xml::element(&mut body, name, value);
            }
            body.push_str("</Metadata>");
        }
        body.push_str("</Container>");
    }
    body.push_str("</Containers>");
    xml::element(&mut body, "NextMarker", found.next().map(|(name, _)| name.as_str()).unwrap_or_default());
    body.push_str("</EnumerationResults>");
    Ok(Answer::new(200).xml(body))
}

/// Get Account Information.
pub(super) fn information() -> Answer {
    let answer = Answer::new(200).fixed("x-ms-sku-name", "Standard_LRS").fixed("x-ms-account-kind", "StorageV2");
    answer.fixed("x-ms-is-hns-enabled", "false")
}

/// Get Blob Service Properties.
pub(super) fn properties() -> Answer {
    const RETENTION: &str = "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>";
    let metrics = format!("<Version>1.0</Version><Enabled>false</Enabled>{RETENTION}");
    Answer::new(200).xml(format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Logging><Version>1.0</Version>\
         <Read>false</Read><Write>false</Write><Delete>false</Delete>{RETENTION}</Logging>\
         <HourMetrics>{metrics}</HourMetrics><MinuteMetrics>{metrics}</MinuteMetrics><Cors />\
         <DefaultServiceVersion>2021-12-02</DefaultServiceVersion><DeleteRetentionPolicy><Enabled>false</Enabled>\
         </DeleteRetentionPolicy><StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>"
    ))
}
