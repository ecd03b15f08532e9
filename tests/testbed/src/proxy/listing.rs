//! Changes in the body of a List Blobs answer.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Result;
use roxmltree::{Document, Node};

/// What is done to a listing.
#[derive(Clone, Debug)]
pub enum ListEdit {
    /// Leave this blob out.
    Omit(String),
    /// Give a blob's property (an element of `Properties`, such as `Content-Length`) another value, or add it.
    Set {
        /// The blob's name.
        name: String,
        /// The element's name.
        property: String,
        /// Its new text.
        value: String,
    },
    /// Send so many bytes of the body and no more, under a matching length: XML that ends in the middle.
    Truncate(usize),
}

impl ListEdit {
    /// The listing with this change.
    ///
    /// # Errors
    /// When the listing is not XML.
    pub(super) fn apply(&self, xml: String) -> Result<String> {
        match self {
            Self::Omit(name) => edit(xml, |blob, found| (found == name).then(|| vec![(blob.range(), String::new())])),
            Self::Set { name, property, value } => {
                let properties = BTreeMap::from([(property.clone(), Some(value.clone()))]);
                set_properties(xml, |found| (found == name).then(|| properties.clone()))
            }
            Self::Truncate(bytes) => {
                let end = (0..=*bytes.min(&xml.len())).rev().find(|&end| xml.is_char_boundary(end));
                Ok(xml[..end.unwrap_or_default()].to_owned())
            }
        }
    }
}

/// New values of a blob's properties; `None` takes the property away.
pub(super) type Properties = BTreeMap<String, Option<String>>;

/// Changes the properties of those blobs for which `change` answers.
pub(super) fn set_properties(xml: String, mut change: impl FnMut(&str) -> Option<Properties>) -> Result<String> {
    edit(xml, |blob, name| {
        let changes = change(name)?;
        let properties = blob.children().find(|node| node.has_tag_name("Properties"))?;
        let mut edits = Vec::new();
        let mut added = String::new();
        for (property, value) in changes {
            let element = value.map(|value| format!("<{property}>{}</{property}>", escape(&value)));
            match properties.children().find(|node| node.has_tag_name(property.as_str())) {
                Some(old) => edits.push((old.range(), element.unwrap_or_default())),
                None => added.push_str(&element.unwrap_or_default()),
            }
        }
        // behind the opening tag, which a blob's properties always have with a closing one
        let start = properties.first_child()?.range().start;
        edits.push((start..start, added));
        Some(edits)
    })
}

type Edit = (Range<usize>, String);

/// Splices the edits that `of_blob` wants into the text, so that the rest stays byte for byte.
fn edit(xml: String, mut of_blob: impl FnMut(Node<'_, '_>, &str) -> Option<Vec<Edit>>) -> Result<String> {
    let mut edits = Vec::new();
    {
        let document = Document::parse(&xml)?;
        for blob in document.descendants().filter(|node| node.has_tag_name("Blob")) {
            let name = blob.children().find(|node| node.has_tag_name("Name")).and_then(|name| name.text());
            edits.extend(of_blob(blob, name.unwrap_or_default()).unwrap_or_default());
        }
    }
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut text = xml;
    for (range, new) in edits.into_iter().rev() {
        text.replace_range(range, &new);
    }
    Ok(text)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
