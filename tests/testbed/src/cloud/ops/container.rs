//! Create, look at, delete containers; their stored access policies.

use roxmltree::{Document, Node};

use super::Request;
use crate::cloud::answer::Answer;
use crate::cloud::clock::http_date;
use crate::cloud::error::Refusal;
use crate::cloud::state::{Container, Policy};
use crate::cloud::xml;

pub(super) fn create(request: &Request<'_>) -> Result<Answer, Refusal> {
    let name = &request.call.target.container;
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(3..=63).contains(&name.len()) || !name.bytes().all(is_letter) {
        return Err(Refusal::new(
            400,
            "InvalidResourceName",
            "The specified resource name contains invalid characters.",
        ));
    }
    let container = Container::new(request.shared.clock.stamp(), request.call.metadata()?);
    let answer = stamped(201, &container);
    match request.account.containers().entry(name.clone()) {
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(container);
            Ok(answer)
        }
        std::collections::btree_map::Entry::Occupied(_) => {
            Err(Refusal::new(409, "ContainerAlreadyExists", "The specified container already exists."))
        }
    }
}

fn stamped(status: u16, container: &Container) -> Answer {
    let answer = Answer::new(status).header("etag", &container.stamp.etag.quoted());
    answer.header("last-modified", &http_date(container.stamp.modified))
}

pub(super) fn properties(request: &Request<'_>) -> Result<Answer, Refusal> {
    request.account.with(&request.call.target.container, |container| {
        let mut answer = stamped(200, container)
            .fixed("x-ms-lease-status", "unlocked")
            .fixed("x-ms-lease-state", "available")
            .fixed("x-ms-has-immutability-policy", "false")
            .fixed("x-ms-has-legal-hold", "false");
        for (name, value) in container.metadata.iter() {
            answer.set(&format!("x-ms-meta-{name}"), value);
        }
        Ok(answer)
    })
}

pub(super) fn delete(request: &Request<'_>) -> Result<Answer, Refusal> {
    let removed = request.account.containers().remove(&request.call.target.container);
    removed.map(|_| Answer::new(202)).ok_or_else(Refusal::container_not_found)
}

/// Set Container ACL.
pub(super) fn set_acl(request: &Request<'_>) -> Result<Answer, Refusal> {
    let invalid = || Refusal::new(400, "InvalidXmlDocument", "XML specified is not syntactically valid.");
    let body = std::str::from_utf8(&request.call.body).map_err(|_| invalid())?;
    let policies = match body.trim_start_matches('\u{feff}') {
        "" => Vec::new(),
        body => {
            let document = Document::parse(body).map_err(|_| invalid())?;
            let found = document.descendants().filter(|node| node.has_tag_name("SignedIdentifier"));
            found.map(policy).collect()
        }
    };
    if policies.len() > 5 {
        return Err(Refusal::new(
            400,
            "InvalidInput",
            "One of the request inputs is not valid: five policies at most.",
        ));
    }
    request.account.with(&request.call.target.container, |container| {
        container.policies = policies;
        container.stamp = request.shared.clock.stamp();
        Ok(stamped(200, container))
    })
}

fn policy(node: Node<'_, '_>) -> Policy {
    let text = |name: &str| {
        let found = node.descendants().find(|child| child.has_tag_name(name));
        found.and_then(|child| child.text()).map(str::to_owned)
    };
    Policy {
        id: text("Id").unwrap_or_default(),
        start: text("Start"),
        expiry: text("Expiry"),
        permissions: text("Permission"),
    }
}

/// Get Container ACL.
pub(super) fn acl(request: &Request<'_>) -> Result<Answer, Refusal> {
    request.account.with(&request.call.target.container, |container| {
        let mut body = String::from("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers>");
        for policy in &container.policies {
            body.push_str("<SignedIdentifier>");
            xml::element(&mut body, "Id", &policy.id);
            body.push_str("<AccessPolicy>");
            let parts = [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.permissions)];
            for (name, value) in parts {
                if let Some(value) = value {
                    xml::element(&mut body, name, value);
                }
            }
            body.push_str("</AccessPolicy></SignedIdentifier>");
        }
        body.push_str("</SignedIdentifiers>");
        Ok(stamped(200, container).xml(body))
    })
}
