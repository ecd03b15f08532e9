//! Writes the service's XML.

/// Appends text with the three characters escaped that elements cannot hold.
pub(crate) fn escape_into(xml: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>']) {
        xml.push_str(&rest[..at]);
        xml.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            _ => "&gt;",
        });
        rest = &rest[at + 1..];
    }
    xml.push_str(rest);
}

/// Appends an element with text.
pub(crate) fn element(xml: &mut String, name: &str, text: &str) {
    if text.is_empty() {
        xml.push('<');
        xml.push_str(name);
        xml.push_str(" />");
        return;
    }
    xml.push('<');
    xml.push_str(name);
    xml.push('>');
    escape_into(xml, text);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}
